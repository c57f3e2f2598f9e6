package chain

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// eagerSlots is for how many slots approvals that are missing are asked for at each one;
// then at every eagerSlots-th, for as long as they are missed.
const eagerSlots = 8

// askApprovals asks for the approvals of blocks at or above the head that lack their
// quorum, and of the carrier that would finalise a range: each was gossiped once, and may
// have been lost. Single approvals and whole blocks are asked for in turns, since who has a
// quorum in one aggregate may have none of them singly, and legacy's peers give blocks only.
func (x *turn) askApprovals() {
	now := x.slotAt(x.Time)
	for _, e := range x.incomplete(now) {
		age := now - e.Slot
		switch {
		case age > eagerSlots && age%eagerSlots > 1:
		case age%2 == 1:
			x.out.Effect(PeersEdge, core.FireAndForget, &message.FetchApprovals{Root: e.Root, Number: e.Number})
		default:
			x.out.Effect(PeersEdge, core.FireAndForget, &message.FetchBlocks{Root: e.Root, From: e.Number})
		}
	}
}

// incomplete returns the blocks of earlier slots that approvals are missing of, the lowest
// first, at most maxAsked: of the stored ones the newest that each member is charged with,
// so that nobody's blocks crowd out another's.
func (x *turn) incomplete(now uint64) (list []*Entry) {
	add := func(e *Entry) {
		if e != nil && !e.Excluded && e.Slot < now && !x.hasQuorum(e) && !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	for author := range aura.MaxAuthorities {
		x.waiting.Descend(place{author: author + 1}, func(p place) bool {
			if p.author != author {
				return p.author > author
			}
			if e := x.Entry(p.root); e.Number >= x.Head.Number {
				add(e)
			}
			return false
		})
	}
	if carrier := x.Entry(x.Entry(x.Head.Root).LastCarrier); carrier != nil && x.isProof(carrier) && x.finalises(carrier) {
		add(carrier)
	}
	slices.SortFunc(list, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), bytes.Compare(a.Root[:], b.Root[:]))
	})
	return list[:min(len(list), maxAsked)]
}

// blame tells the network actor which peer answered with a block that is at fault in what
// its root covers: who serves blocks has judged them. Who passes gossip on has not, since
// that asks for no state, and is told nothing of.
func (x *turn) blame(m *message.BlocksReceived, root common.Hash) {
	if x.Config.Peers && m.Peer != "" && m.Origin == Sync && root != (common.Hash{}) {
		x.out.Send(network, &message.PeerFault{Peer: m.Peer, Kind: message.ActInvalidBlock, Detail: "block " + root.Hex()})
	}
}
