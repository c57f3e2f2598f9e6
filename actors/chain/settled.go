package chain

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// SettledBelow is how far below a settled block its state reaches at least. It and
// [SettledEvery] fit into the window that a node keeps below its finalised block.
const SettledBelow = 1024

// SettledEvery is the largest distance of settled heights for which a node whose
// finalised block has passed one has all blocks of it.
const SettledEvery = keepBelowFinalized - SettledBelow

// Settled returns the state that every node has of the finalised block at a height, and
// the height of the lowest block in it: what follows from the blocks up to there alone,
// as if that block were head and finalised, and nothing that members told each other of
// these blocks, so that the nodes of a chain agree on it bit for bit. Approvals and the
// hashes of signed blocks are not in it: a block is the same with either of two quorums.
// CannotJudge when the block is not final, or what belongs to it is not kept any more.
// (docs/formats/checkpoint-statement.md)
func (s *State) Settled(number uint64) (settled *State, lowest uint64, err error) {
	at := s.At(number)
	switch {
	case s.Config == nil || !s.Followed:
		return nil, 0, fault.New(fault.CannotJudge, "the chain and the bridge do not stand at one block")
	case number == 0 || number > s.Finalized.Number || at == nil:
		return nil, 0, fault.New(fault.CannotJudge, "block %d is not final, or not kept any more: the finalised block is %d", number, s.Finalized.Number)
	}
	if lowest, err = s.settledFrom(at); err != nil {
		return nil, 0, err
	}
	last := s.Entry(at.LastCarrier)
	c := newState()
	c.pointers = pointers{Genesis: s.Genesis, Head: at.id(), Finalized: at.id(), LatestPow: last.id(), Followed: true}
	c.Config = &message.NodeConfigured{ChainSpec: s.Config.ChainSpec, GenesisPayload: s.Config.GenesisPayload, Behaviour: s.Config.Behaviour}
	c.rules = s.rules
	for h := lowest; h <= number; h++ {
		e := s.At(h)
		if e == nil {
			return nil, 0, fault.New(fault.CannotJudge, "block %d below the finalised block is not kept any more", h)
		}
		bare := *e.taken(Connected)
		bare.Approvals, bare.Signed = aura.None(), common.Hash{}
		bare.Arrival, bare.Reached, bare.Excluded, bare.Reported = 0, 0, false, false
		c.put(&bare)
	}
	return c, lowest, nil
}

// settledFrom returns the lowest height that rules on blocks above at can ask for.
func (s *State) settledFrom(at *Entry) (uint64, error) {
	last := s.Entry(at.LastCarrier)
	lowest := at.Number - min(at.Number, SettledBelow)
	if last == nil {
		return 0, fault.New(fault.CannotJudge, "the last carrier below block %d is not kept any more", at.Number)
	}
	lowest = min(lowest, last.Number)
	if last.Carrier == nil { // genesis
		return 0, nil
	}
	final := s.finalizedBy(last)
	if final == nil {
		return 0, fault.New(fault.CannotJudge, "the block that is final below block %d is not kept any more", at.Number)
	}
	return min(lowest, final.Number), nil
}

// Approved gives a block of a settled state the approvals and the signed block that this
// node has of it. It reports whether the state has the block.
func (s *State) Approved(root common.Hash, approvals aura.Approvals, signed common.Hash) bool {
	e := s.Entry(root)
	if e == nil {
		return false
	}
	next := *e
	next.Approvals, next.Signed = approvals, signed
	s.put(&next)
	return true
}
