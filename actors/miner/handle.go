package miner

import (
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
		&message.NodeConfigured{}, &message.ChainMoved{}, &message.CreateAuxBlock{}, &message.SubmitAuxBlock{},
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
		answer(out, s.submitAuxBlock(m, out))
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
		s.Templates = nil // their ranges start at a block that no longer is the first open one
	}
}

// createAuxBlock commits to all blocks after the finalised one up to the head.
func (s *State) createAuxBlock(m *message.CreateAuxBlock) *message.AuxBlock {
	no := func(reason string) *message.AuxBlock {
		return &message.AuxBlock{Request: m.Request, Error: reason}
	}
	head, end, ok := s.open.Max()
	switch {
	case s.spec == nil:
		return no("the node is not configured yet")
	case !ok:
		return no("no block after the finalised one")
	case s.QueuedEnd == end:
		return no("a proof up to the head waits to be carried")
	}
	bits, err := auxpow.NextBits(s.spec.Retarget, s.LatestBits, s.LatestPow.Number, head)
	if err != nil {
		return no(err.Error())
	}
	hashes := make([]common.Hash, 0, s.open.Len())
	s.open.Scan(func(_ uint64, root common.Hash) bool {
		hashes = append(hashes, root)
		return true
	})
	t := Template{
		Hash: auxpow.Commitment(hashes), RangeStart: hashes[0], RangeEnd: end,
		Height: s.LatestPow.Number + 1, Recipient: m.FeeRecipient,
	}
	s.remember(t)
	return &message.AuxBlock{
		Request: m.Request, Hash: t.Hash, ChainID: s.spec.ChainID, PreviousBlock: s.LatestPow.Root,
		Bits: bits, Height: t.Height, RangeStart: t.RangeStart, RangeEnd: t.RangeEnd,
	}
}

func (s *State) remember(t Template) {
	kept := make([]Template, 0, len(s.Templates)+1)
	for _, old := range s.Templates {
		if old.Hash != t.Hash {
			kept = append(kept, old)
		}
	}
	if len(kept) >= maxTemplates {
		kept = kept[1:]
	}
	s.Templates = append(kept, t)
}

// submitAuxBlock checks a proof against the head of now: retargeting may have
// moved the target since the work was handed out. (C9, C13)
func (s *State) submitAuxBlock(m *message.SubmitAuxBlock, out *core.Out) *message.AuxBlockJudged {
	no := func(reason string) *message.AuxBlockJudged {
		return &message.AuxBlockJudged{Request: m.Request, Reason: reason}
	}
	t, known := s.take(m.Hash)
	if !known {
		return no("unknown-hash: no such work was handed out, or its range is final already")
	}
	proof, err := auxpow.ParseNamecoin(m.AuxPow)
	if err != nil {
		return no("malformed: " + err.Error())
	}
	head, _, _ := s.open.Max()
	bits, err := auxpow.NextBits(s.spec.Retarget, s.LatestBits, s.LatestPow.Number, head)
	if err != nil {
		return no(err.Error())
	}
	if !proof.CheckWork(bits) {
		return no("high-hash: the parent block's hash misses the target")
	}
	if err := proof.CheckStructure(chainhash.Hash(t.Hash), s.spec.ChainID); err != nil {
		return no("bad-structure: " + err.Error())
	}
	header := block.AuxPowHeader{
		RangeStart: t.RangeStart, RangeEnd: t.RangeEnd, Bits: bits, ChainID: s.spec.ChainID,
		Height: t.Height, AuxPow: proof, FeeRecipient: t.Recipient,
	}
	out.Send(chain, &message.QueueWork{Header: header.Encode()})
	return &message.AuxBlockJudged{Request: m.Request, Accepted: true}
}

func (s *State) take(hash [32]byte) (Template, bool) {
	for i, t := range s.Templates {
		if t.Hash == hash {
			rest := append([]Template(nil), s.Templates[:i]...)
			s.Templates = append(rest, s.Templates[i+1:]...)
			return t, true
		}
	}
	return Template{}, false
}
