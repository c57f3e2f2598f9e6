package miner

import (
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Names of the actor, its neighbour and its edge.
const (
	ID         core.ID   = "miner"
	chain      core.ID   = "chain"
	AnswerEdge core.Edge = "answer"
)

// Miner is the core.
type Miner struct{}

// New returns the core.
func New() *Miner { return &Miner{} }

// ID implements core.Core.
func (*Miner) ID() core.ID { return ID }

// NewState implements core.Core.
func (*Miner) NewState() core.State { return newState() }

// Messages implements core.Core.
func (*Miner) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.ChainMoved{}, &message.CreateAuxBlock{}, &message.SubmitAuxBlock{}, &message.WorkJudged{},
	}
}

// Handle implements core.Core.
func (*Miner) Handle(state core.State, m core.Message, _ core.Turn, out *core.Out) {
	s := state.(*State)
	switch m := m.(type) {
	case *message.NodeConfigured:
		s.nodeConfigured(m)
	case *message.ChainMoved:
		s.chainMoved(m)
	case *message.CreateAuxBlock:
		answer(out, s.createAuxBlock(m))
	case *message.SubmitAuxBlock:
		if no := s.submitAuxBlock(m, out); no != nil {
			answer(out, no)
		}
	case *message.WorkJudged:
		answer(out, &message.AuxBlockJudged{Request: m.Request, Accepted: m.Accepted, Check: m.Check, Reason: m.Reason})
	}
}

// answer is connection-bound: nobody else waits for it.
func answer(out *core.Out, m core.Message) { out.Effect(AnswerEdge, core.ConnectionBound, m) }

func (s *State) nodeConfigured(m *message.NodeConfigured) {
	c, _, err := spec.Parse(m.ChainSpec.Data)
	if err != nil {
		panic("chain spec: " + err.Error())
	}
	s.Spec, s.spec = m.ChainSpec, c
}

func (s *State) chainMoved(m *message.ChainMoved) {
	if m.Reset {
		s.open.Clear()
	}
	for _, b := range m.Connected {
		s.open.Set(b.Number, b.Root)
	}
	finalized := s.Finalized
	s.Finalized, s.LatestPow, s.LatestBits, s.QueuedEnd = *m.Finalized, *m.LatestPow, m.LatestBits, m.QueuedEnd
	for number, _, ok := s.open.Min(); ok && number <= s.Finalized.Number; number, _, ok = s.open.Min() {
		s.open.PopMin()
	}
	if finalized != s.Finalized || m.Reset {
		s.dropStale()
	}
}

// dropStale takes out what can no longer be carried: its range does not start at the
// first open block, or does not end at one.
func (s *State) dropStale() {
	_, first, any := s.open.Min()
	var kept []Template
	for _, t := range s.Templates {
		if any && t.RangeStart == first && s.isOpen(t.RangeEnd) {
			kept = append(kept, t)
			continue
		}
		if len(s.Stale) >= maxStale {
			s.Stale = s.Stale[1:]
		}
		s.Stale = append(s.Stale, Stale{t.Hash})
	}
	s.Templates = kept
}

func (s *State) isOpen(root common.Hash) (found bool) {
	s.open.Scan(func(_ uint64, r common.Hash) bool {
		found = r == root
		return !found
	})
	return found
}

// createAuxBlock commits to all blocks after the finalised one up to the head. An
// answer without work still says what the target is, for proofs of other ranges.
func (s *State) createAuxBlock(m *message.CreateAuxBlock) *message.AuxBlock {
	a := &message.AuxBlock{Request: m.Request}
	no := func(reason string) *message.AuxBlock {
		a.Error, a.Check = reason, string(auxpow.NoWork)
		return a
	}
	if s.spec == nil {
		return no("the node is not configured yet")
	}
	a.ChainID, a.PreviousBlock, a.Height = s.spec.ChainID, s.LatestPow.Root, s.LatestPow.Number+1
	head, end, ok := s.open.Max()
	if !ok {
		return no("no block after the finalised one")
	}
	bits, err := auxpow.NextBits(s.spec.Retarget, s.LatestBits, s.LatestPow.Number, head)
	if err != nil {
		return no(err.Error())
	}
	a.Bits = bits
	_, a.RangeStart, _ = s.open.Min()
	if s.QueuedEnd == end {
		return no("a proof up to the head waits to be carried")
	}
	hashes := make([]common.Hash, 0, s.open.Len())
	s.open.Scan(func(_ uint64, root common.Hash) bool {
		hashes = append(hashes, root)
		return true
	})
	a.Hash, a.RangeEnd = auxpow.Commitment(hashes), end
	s.remember(Template{
		Hash: a.Hash, RangeStart: a.RangeStart, RangeEnd: end, Height: a.Height, Recipient: m.FeeRecipient, Bits: bits,
	})
	return a
}

// remember keeps work. It is the same for everybody: who asked first stays noted. A
// request for nobody (the zero account) leaves the place to the next.
func (s *State) remember(t Template) {
	kept := slices.Clone(s.Templates)
	if i := slices.IndexFunc(kept, func(k Template) bool { return k.Hash == t.Hash }); i >= 0 {
		if kept[i].Recipient == (common.Address{}) {
			kept[i].Recipient = t.Recipient
		}
		s.Templates = kept
		return
	}
	if len(kept) >= maxTemplates {
		kept = kept[1:]
	}
	s.Templates = append(kept, t)
}

func (s *State) template(hash [32]byte) (Template, bool) {
	i := slices.IndexFunc(s.Templates, func(t Template) bool { return t.Hash == hash })
	if i < 0 {
		return Template{}, false
	}
	return s.Templates[i], true
}

// submitAuxBlock checks a proof against the head of now: retargeting may have
// moved the target since the work was handed out. nil means that the chain actor is
// asked. (C9, C13)
func (s *State) submitAuxBlock(m *message.SubmitAuxBlock, out *core.Out) *message.AuxBlockJudged {
	no := func(check auxpow.Reject, reason string) *message.AuxBlockJudged {
		return &message.AuxBlockJudged{Request: m.Request, Check: string(check), Reason: reason}
	}
	t, known := s.template(m.Hash)
	if !known {
		if slices.Contains(s.Stale, Stale{m.Hash}) {
			return no(auxpow.StaleWork, "blocks of its range are final, or left the head's branch")
		}
		return no(auxpow.UnknownWork, "no work with this hash was handed out")
	}
	proof, err := auxpow.ParseNamecoin(m.AuxPow)
	if err != nil {
		return no(auxpow.MalformedProof, err.Error())
	}
	head, _, _ := s.open.Max()
	bits, err := auxpow.NextBits(s.spec.Retarget, s.LatestBits, s.LatestPow.Number, head)
	if err != nil {
		return no(auxpow.RefusedByChain, err.Error())
	}
	if check, reason := proof.Judge(chainhash.Hash(t.Hash), s.spec.ChainID, bits); check != "" {
		return no(check, reason)
	}
	header := block.AuxPowHeader{
		RangeStart: t.RangeStart, RangeEnd: t.RangeEnd, Bits: bits, ChainID: s.spec.ChainID,
		Height: t.Height, AuxPow: proof, FeeRecipient: t.Recipient,
	}
	if m.HasRecipient {
		header.FeeRecipient = m.FeeRecipient
	}
	out.Send(chain, &message.QueueWork{Header: header.Encode(), Request: m.Request})
	return nil
}
