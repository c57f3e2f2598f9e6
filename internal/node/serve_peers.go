package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/connected"
)

// proveMember signs that this node's peer id is a member's. It is no approval of anything,
// see [peer.ProofRoot], so it is made outside a turn.
func (n *Node) proveMember(genesis common.Hash, id string) (authority uint32, proof aura.Signature, ok bool) {
	if !n.config.HasAuthority || n.signer.key == nil {
		return 0, proof, false
	}
	return n.config.Authority, n.signer.key.Sign(peer.ProofRoot(genesis, n.config.Authority, id)), true
}

// firstRun is how many blocks below the recent ones are looked for at first: most who ask
// want few. The runs after it are longer.
const firstRun = 32

// Blocks implements p2p.Source.
func (s chainSource) Blocks(ctx context.Context, from uint64, each func(signed []byte) error) error {
	length := uint64(firstRun)
	for number := from; ; {
		head := s.n.view.snapshot().Head.Number
		if number > head {
			return nil
		}
		if recent, ok := s.n.branch.at(number); ok {
			if err := s.n.giveSigned(recent, each); err != nil {
				return err
			}
			number++
			continue
		}
		r, err := s.n.connected()
		if err != nil {
			return err
		}
		run, err := r.Run(ctx, number, min(number+length-1, head))
		if err != nil || len(run) == 0 {
			return err
		}
		for _, b := range run {
			if err := s.n.giveSigned(stored{b.Root, b.Signed}, each); err != nil {
				return err
			}
		}
		number += uint64(len(run))
		length = min(4*length, connected.MaxRun)
	}
}

// giveSigned reads a block's bytes for who asked.
func (n *Node) giveSigned(s stored, each func(signed []byte) error) error {
	if s.signed != (journal.Hash{}) {
		raw, err := n.journal.Content(s.signed)
		if err != nil {
			return err
		}
		return each(raw)
	}
	c, genesis, err := n.Rules()
	if err != nil {
		return err
	}
	return each(block.Genesis(c, *genesis).Encode())
}

// Descend implements p2p.Source.
func (s chainSource) Descend(ctx context.Context, root common.Hash, lowest uint64, each func(signed []byte) error) error {
	for length := uint64(firstRun); ; {
		found, err := s.n.branchBlock(ctx, root)
		if err != nil || found == nil {
			return err
		}
		if found.signed == (journal.Hash{}) {
			return nil // genesis is built, not sent (wire.md 9.4)
		}
		raw, err := s.n.journal.Content(found.signed)
		if err != nil {
			return err
		}
		if err := each(raw); err != nil {
			return err
		}
		b := &found.block.Block
		if b.Payload.BlockNumber <= lowest {
			return nil
		}
		root = b.ParentHash
		for _, below := range slices.Backward(s.n.runTo(ctx, root, b.Payload.BlockNumber-1, lowest, length)) {
			if below.Signed == (journal.Hash{}) {
				return nil
			}
			if err := s.n.giveSigned(stored{below.Root, below.Signed}, each); err != nil {
				return err
			}
			if below.Number <= lowest {
				return nil
			}
			root = below.Parent
		}
		length = min(4*length, connected.MaxRun)
	}
}

// runTo returns blocks of the head's branch, not below lowest, up to one with a root. It is
// empty when they are to be looked up one by one, which says what is wrong: recent ones,
// and those of other branches.
func (n *Node) runTo(ctx context.Context, root common.Hash, number, lowest, length uint64) []connected.Block {
	if _, recent := n.branch.byRoot(root); recent || number < lowest || number > n.view.snapshot().Head.Number {
		return nil
	}
	r, err := n.connected()
	if err != nil {
		return nil
	}
	run, err := r.Run(ctx, max(lowest, number+1-min(number+1, length)), number)
	if err != nil || len(run) == 0 || run[len(run)-1].Root != root {
		return nil
	}
	return run
}

// branchBlock returns a block by its root: a recent one of the head's branch without the index.
func (n *Node) branchBlock(ctx context.Context, root common.Hash) (*foundBlock, error) {
	if s, ok := n.branch.byRoot(root); ok {
		return n.readBlock(s)
	}
	return n.blockOf(ctx, root)
}

// byRoot finds a recent block of the head's branch.
func (b *branch) byRoot(root common.Hash) (stored, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.recent {
		if s.root == root {
			return s, true
		}
	}
	return stored{}, false
}

// Content implements p2p.Source: signed blocks and execution payloads, which every peer may
// have anyhow, and nothing else of the journal. (docs/formats/peer-protocol.md, Blocks)
func (s chainSource) Content(_ context.Context, hash [32]byte) ([]byte, error) {
	data, err := s.n.journal.Content(hash)
	if err != nil {
		if fault.Is(err, fault.Corrupt) {
			return nil, err
		}
		return nil, nil // not here
	}
	if _, _, err := s.n.memo.Decode(data); err == nil {
		return data, nil
	}
	if _, err := block.DecodePayload(data); err == nil {
		return data, nil
	}
	return nil, nil
}

// Signatures implements p2p.Source: those of a payment that the bridge actor knows now.
func (s chainSource) Signatures(ctx context.Context, txid [32]byte) ([]message.PaymentSignatures, error) {
	state, err := s.n.peers.looks.look(ctx, s.n.runtime, bridge.ID)
	if err != nil {
		return nil, err
	}
	b, ok := state.(*bridge.State)
	if !ok {
		return nil, fault.New(fault.Fatal, "the bridge's state is a %T", state)
	}
	p := b.Payment(txid)
	if p == nil {
		return nil, nil
	}
	keys, _, err := s.n.Rules()
	if err != nil {
		return nil, err
	}
	var out []message.PaymentSignatures
	for _, m := range p.Signatures {
		if int(m.Member) < len(keys.FederationKeys) {
			out = append(out, message.PaymentSignatures{Txid: txid, Key: keys.FederationKeys[m.Member], Signatures: m.Signatures})
		}
	}
	return out, nil
}

// Transaction implements p2p.Source.
func (s chainSource) Transaction(common.Hash) []byte { return nil }

// Approvals implements p2p.Source: the single signatures that the chain actor keeps of a block
// of the tree.
func (s chainSource) Approvals(ctx context.Context, root common.Hash) ([]aura.Approval, error) {
	state, err := s.n.peers.looks.look(ctx, s.n.runtime, chain.ID)
	if err != nil {
		return nil, err
	}
	c, ok := state.(*chain.State)
	if !ok {
		return nil, fault.New(fault.Fatal, "the chain's state is a %T", state)
	}
	return c.Singles(root), nil
}

// looks keeps copies of states for a moment: what peers ask for costs the sequencer no more
// than a few copies a second, however often they ask.
type looks struct {
	mu     sync.Mutex
	copies map[core.ID]looked
}

type looked struct {
	state core.State
	at    time.Time
}

// lookEvery is how old a copy may be.
const lookEvery = 250 * time.Millisecond

// look returns a copy of an actor's state, which is shared and must not be changed.
func (l *looks) look(ctx context.Context, r *actors.Runtime, id core.ID) (core.State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.copies[id]; ok && time.Since(c.at) < lookEvery {
		return c.state, nil
	}
	state, _, err := r.Look(ctx, id)
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "reading the state of "+string(id))
	}
	if l.copies == nil {
		l.copies = map[core.ID]looked{}
	}
	l.copies[id] = looked{state, time.Now()}
	return state, nil
}
