package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// mostBehind is how far a common block may be below heads that agree, and grace how long
// a member may take for what it was told last. (docs/decisions/0083-synced.md)
const (
	mostBehind = 2
	grace      = 4 * slot
)

// gate is what the oracle holds against a member's production: when what it was told
// by others last allowed it.
type gate struct {
	allowed int64  // when, in this life; 0 for never
	life    int    // of the member
	slot    uint64 // of the block that it decided to make last
	assumed bool   // by its operator, in this life
}

// looksAround judges whether production is safe by what a member was told, which is
// the rule said anew: a quorum at its head, or, when nobody went on without it, so many
// at its very head that those who are not heard of are no quorum without one of them.
func (o *oracle) looksAround(p *process) {
	g := &o.views[p.m.index].gate
	if g.life != p.m.lives {
		*g = gate{life: p.m.lives, slot: g.slot}
	}
	if o.mayProduce(p, g) {
		g.allowed = o.w.now
	}
}

func (o *oracle) mayProduce(p *process, g *gate) bool {
	n, quorum := o.w.opt.Members, o.w.quorum()
	own := o.w.blocks.get(p.m.state().Head.Root)
	if own == nil {
		return false
	}
	heads, told, same := [][]common.Hash{{own.root}}, 1, true
	for peer := range n {
		if peer == p.m.index {
			continue
		}
		at := o.signedBy(p, peer)
		if s := p.peers.heard[peer]; s != nil {
			told++
			at = append(at, s.head.Root)
		}
		if len(at) > 0 {
			heads = append(heads, at)
			same = same && slices.Contains(at, own.root)
		}
	}
	if same && told >= max(min(2, n), n-quorum+1) || g.assumed && told < quorum {
		return true
	}
	for base, low := own, own.number; base != nil && base.number+mostBehind >= low; base = o.w.blocks.get(base.parent) {
		agree := 0
		for _, at := range heads {
			if slices.ContainsFunc(at, func(head common.Hash) bool { return o.stands(head, base) }) {
				agree++
			}
		}
		if agree >= quorum {
			return true
		}
	}
	return false
}

// signedBy is the newest block that a member was heard in this life to have signed, if its
// slot is not longer past than two turns of all members.
func (o *oracle) signedBy(p *process, member int) []common.Hash {
	newest := uint64(0)
	var at []common.Hash
	for _, root := range p.peers.signed[member] {
		b := o.w.blocks.get(root)
		if b != nil && b.slot >= newest && b.slot+2*uint64(o.w.opt.Members) >= uint64(p.m.wall())/slot {
			newest, at = b.slot, []common.Hash{root}
		}
	}
	return at
}

// stands reports whether a head is a block or just above it.
func (o *oracle) stands(head common.Hash, base *known) bool {
	h := o.w.blocks.get(head)
	if h == nil || h.number < base.number || h.number-base.number > mostBehind {
		return false
	}
	on, _ := o.w.blocks.contains(head, base.root)
	return on
}

// decides is asked after each turn: a member that begins a block has to be where the
// federation is, as far as it was told.
func (o *oracle) decides(p *process) {
	g, b := &o.views[p.m.index].gate, p.m.state().Building
	if b == nil || b.Slot == g.slot || !p.m.honest() || !p.m.state().Config.Peers {
		return
	}
	o.looksAround(p)
	g.slot = b.Slot
	if o.w.now-g.allowed > grace {
		o.w.fail("production", []*member{p.m}, "member %d begins a block of slot %d on %s at %d: nothing it was told for %.1f s says that the federation is there",
			p.m.index, b.Slot, name(p.m.state().Head.Root), p.m.state().Head.Number, float64(o.w.now-g.allowed)/1000)
	}
}

// banned: nobody who does what a node does is banned, and no member by its score.
func (o *oracle) banned(v *view, f *message.PeerBanned) {
	if f.Operator {
		return
	}
	if !o.audit {
		o.w.result.Bans++
	}
	for peer := range len(o.w.members) + len(o.w.strangers) {
		if f.Peer != peerID(peer) && f.Address != address(peer) {
			continue
		}
		if peer < len(o.w.members) || o.w.strangers[peer-len(o.w.members)].harmless() {
			o.w.fail("ban", []*member{v.m}, "member %d bans peer %d: %s", v.m.index, peer, f.Reason)
		}
	}
}
