package chain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// mostBehind is how far the last common block may be below our head and a member's.
// (docs/decisions/0083-synced.md)
const mostBehind = 2

// Gate is what production waits for while this node talks to others. It begins anew
// with every run.
type Gate struct {
	Synced   bool
	Told     uint64 // the slot in which a fact of this run said so last; zero for never
	Needs    string // what is waited for; empty when synced
	Said     string // Needs as a fact said it last
	Agreeing uint32 // members whose heads agree with ours, ourselves included
	Assumed  bool   // by an operator; counts until a quorum of members can be asked
	Started  uint64 // the slot in which the run began
	Listen   uint64 // up to this slot nothing is signed: our own key is listened for
	Members  []MemberAt
	Bitcoin  message.BitcoinCurrent // what the bridge actor said last in this run
	Foreign  *message.KeyInUse      // another process signs with our key: nothing is signed any more
}

func (g *Gate) fields(f *record.Fields, from int) {
	f.Bool(from, &g.Synced)
	f.Uint64(from+1, &g.Told)
	f.String(from+2, &g.Needs)
	f.Uint32(from+3, &g.Agreeing)
	f.Bool(from+4, &g.Assumed)
	f.Uint64(from+5, &g.Started)
	f.Uint64(from+6, &g.Listen)
	record.List(f, from+7, &g.Members)
	f.Bool(from+8, &g.Bitcoin.Current)
	f.String(from+9, &g.Bitcoin.Reason)
	record.Optional(f, from+10, &g.Foreign)
	f.String(from+11, &g.Said)
}

// MemberAt is where a connected member said that it is.
type MemberAt struct {
	Authority uint32
	Head      message.BlockID // as told
	Since     int64           // when it was told first, Unix milliseconds
	Known     message.BlockID // the newest head that it told and that is in the tree, or nothing
}

// Fields implements record.Record.
func (m *MemberAt) Fields(f *record.Fields) {
	f.Uint32(1, &m.Authority)
	f.Fixed(2, m.Head.Root[:])
	f.Uint64(3, &m.Head.Number)
	f.Int64(4, &m.Since)
	f.Fixed(5, m.Known.Root[:])
	f.Uint64(6, &m.Known.Number)
}

// beginGate closes the gate at the start of a run: where others are is not known any
// more, and who else signs with our key is listened for.
func (x *turn) beginGate() {
	x.Gate = Gate{}
	if !x.Config.Peers {
		return
	}
	x.Gate.Started = x.slotAt(x.Time)
	x.Gate.Bitcoin.Reason = "it was not heard of in this run yet"
	if x.Config.HasAuthority && x.Config.ListenSlots > 0 {
		x.Gate.Listen = x.Gate.Started + uint64(x.Config.ListenSlots)
	}
}

// memberHeads takes where the members are to whom proven connections exist.
func (x *turn) memberHeads(m *message.MemberHeads) {
	if !x.Config.Peers {
		return
	}
	n := uint32(len(x.rules.spec.Authorities))
	var list []MemberAt
	for _, h := range m.Heads {
		if h.Head == nil || h.Authority >= n || slices.ContainsFunc(list, func(a MemberAt) bool { return a.Authority == h.Authority }) {
			continue
		}
		at := MemberAt{Authority: h.Authority, Head: *h.Head, Since: x.Time}
		if i := x.memberAt(h.Authority); i >= 0 {
			at.Known = x.Gate.Members[i].Known
			if x.Gate.Members[i].Head == at.Head {
				at.Since = x.Gate.Members[i].Since
			}
		}
		list = append(list, at)
	}
	x.Gate.Members = list
}

// memberAt is the place of a member in the list, or -1.
func (s *State) memberAt(authority uint32) int {
	return slices.IndexFunc(s.Gate.Members, func(a MemberAt) bool { return a.Authority == authority })
}

// bitcoinCurrent takes whether the bridge actor follows Bitcoin to its tip.
func (x *turn) bitcoinCurrent(m *message.BitcoinCurrent) { x.Gate.Bitcoin = *m }

// assumeSynced is an operator's statement that the federation's head is ours.
func (x *turn) assumeSynced(m *message.AssumeSynced) {
	switch {
	case !x.Config.Peers:
		x.answer(m.Request, "this node talks to no peers: it waits for nothing")
	case x.Gate.Synced:
		x.answer(m.Request, "this node is synced")
	case x.positions().known >= x.rules.spec.Quorum():
		x.answer(m.Request, "the heads of a quorum of members are known, and they decide: "+x.Gate.Needs)
	default:
		head := x.Head
		x.Gate.Assumed = true
		x.out.Fact(&message.SyncAssumed{Head: &head, Reason: m.Reason})
		x.answer(m.Request, "")
	}
}

// judgeSynced draws the conclusion at the end of a turn, and says it when it changed. What
// is waited for may change with every message; it is said again after a round of slots.
func (x *turn) judgeSynced() {
	if x.rules == nil || !x.Config.Peers || x.Conflict != nil {
		return
	}
	x.learnHeads()
	p, g := x.positions(), &x.Gate
	synced := g.Synced
	g.Needs = x.unsynced(&p)
	g.Synced, g.Agreeing = g.Needs == "", uint32(p.agree)
	if p.known >= x.rules.spec.Quorum() {
		g.Assumed = false
	}
	now := x.slotAt(x.Time)
	switch {
	case g.Told == 0 || g.Synced != synced:
	case g.Needs != g.Said && now >= g.Told+uint64(len(x.rules.spec.Authorities)):
	default:
		return
	}
	g.Told, g.Said = max(now, 1), g.Needs
	x.out.Fact(&message.SyncedChanged{Synced: g.Synced, Needs: g.Needs, Members: g.Agreeing, Quorum: uint32(x.rules.spec.Quorum())})
}

// learnHeads notes which of the heads told are in the tree.
func (x *turn) learnHeads() {
	for i, at := range x.Gate.Members {
		if at.Known == at.Head || x.Entry(at.Head.Root) == nil {
			continue
		}
		list := slices.Clone(x.Gate.Members)
		list[i].Known = at.Head
		x.Gate.Members = list
	}
}

// positions is where the members are, seen from our head.
type positions struct {
	known   int      // members whose position is known, ourselves included
	told    int      // of them, those that are connected and told it, ourselves included
	agree   int      // of them, those that agree with our head
	same    bool     // every known one is at our very head
	missing []string // what is to be said of the others
}

// positions compares the members' heads with ours: those agree that have a common block
// with us and each other, at most mostBehind below each.
func (x *turn) positions() (p positions) {
	var at []*Entry
	p.same = true
	head := x.Entry(x.Head.Root)
	for a := range uint32(len(x.rules.spec.Authorities)) {
		if x.Config.HasAuthority && a == x.Config.Authority {
			at = append(at, head)
			p.told++
			continue
		}
		e, connected := x.positionOf(a)
		if x.memberAt(a) >= 0 {
			p.told++
		}
		switch {
		case e != nil:
			at = append(at, e)
			p.same = p.same && e.Root == head.Root
			if !x.near(head, e) {
				p.missing = append(p.missing, fmt.Sprintf("member %d is elsewhere", a))
			}
		case connected:
			p.known++ // but nowhere near
			p.same = false
			p.missing = append(p.missing, fmt.Sprintf("member %d is elsewhere", a))
		default:
			p.missing = append(p.missing, fmt.Sprintf("member %d is not heard of", a))
		}
	}
	p.known += len(at)
	for base := head; base != nil && base.Number+mostBehind >= head.Number; base = x.Entry(base.Parent) {
		agree := 0
		for _, e := range at {
			if x.onTop(base, e) {
				agree++
			}
		}
		p.agree = max(p.agree, agree)
	}
	return p
}

// onTop reports whether e is base or at most mostBehind blocks above it.
func (x *turn) onTop(base, e *Entry) bool {
	return e.Number >= base.Number && e.Number-base.Number <= mostBehind && x.isAncestor(base, e)
}

// near reports whether two blocks have a common one, at most mostBehind below each.
func (x *turn) near(head, e *Entry) bool {
	for base := head; base != nil && base.Number+mostBehind >= head.Number; base = x.Entry(base.Parent) {
		if x.onTop(base, e) {
			return true
		}
	}
	return false
}

// positionOf returns the block that a member is at, nil when it is not in the tree, and
// whether anything is known of the member. A head that was told just now may still be on its
// way to us. A member to whom there is no connection, or a legacy one, which tells no head,
// is at the newest block of this run that it signed in the last slots.
func (x *turn) positionOf(authority uint32) (e *Entry, known bool) {
	signed := x.lastSigned(authority)
	i := x.memberAt(authority)
	if i < 0 {
		return signed, signed != nil
	}
	at := &x.Gate.Members[i]
	e = x.Entry(at.Head.Root)
	if e == nil && x.Time-at.Since <= int64(mostBehind*x.rules.spec.SlotDuration) && at.Head.Number <= at.Known.Number+mostBehind {
		e = x.Entry(at.Known.Root)
	}
	if e != nil && e.Status == Invalid {
		e = nil
	}
	if signed != nil && signed.Number >= at.Head.Number {
		return signed, true // newer than what it told
	}
	return e, true
}

// lastSigned returns the newest block of the tree that a member signed within its last two
// turns to make one, or nil.
func (x *turn) lastSigned(authority uint32) *Entry {
	now := x.slotAt(x.Time)
	last := x.newest(uint8(authority), now+1)
	if last == nil || last.Slot <= x.Gate.Started || last.Slot+2*uint64(len(x.rules.spec.Authorities)) < now {
		return nil
	}
	if e := x.Entry(last.Root); e != nil && e.Status != Invalid {
		return e
	}
	return nil
}

// unsynced is what is waited for, or "": a quorum of members at our head, or, after
// everyone was down, so many connected ones at our very head that the others cannot have
// gone on without one of them; and Bitcoin. (docs/decisions/0083-synced.md)
func (x *turn) unsynced(p *positions) string {
	var needs []string
	n, quorum := len(x.rules.spec.Authorities), x.rules.spec.Quorum()
	together := p.same && p.told >= max(min(2, n), n-quorum+1)
	assumed := x.Gate.Assumed && p.known < quorum
	if p.agree < quorum && !together && !assumed {
		needs = append(needs, fmt.Sprintf("%d of the %d members needed agree with our head: %s", p.agree, quorum, strings.Join(p.missing, ", ")))
	}
	if b := x.Gate.Bitcoin; x.Config.Bitcoin && !b.Current {
		needs = append(needs, "Bitcoin: "+b.Reason)
	}
	return strings.Join(needs, "; ")
}

// mute is why this member signs nothing yet in this run, or "". A lock on this machine
// cannot see a process elsewhere that has the same key; its signatures can be heard.
func (x *turn) mute() string {
	if x.Gate.Foreign != nil {
		return fmt.Sprintf("another process signs with this member's key: block %s", x.Gate.Foreign.Root)
	}
	if x.Gate.Listen > 0 && x.slotAt(x.Time) <= x.Gate.Listen {
		return fmt.Sprintf("this member listens up to slot %d for signatures by its own key before it signs", x.Gate.Listen)
	}
	return ""
}

// endListening goes on with what had to wait while our own key was listened for.
func (x *turn) endListening() {
	if x.Gate.Listen == 0 || x.mute() != "" {
		return
	}
	x.Gate.Listen = 0
	x.decideAgain()
	x.orderPayments()
}

// gated is why no block is made, or "".
func (x *turn) gated() string {
	switch {
	case !x.Config.Peers:
		return ""
	case x.mute() != "":
		return x.mute()
	case !x.Gate.Synced:
		return "not synced: " + x.Gate.Needs
	}
	return ""
}
