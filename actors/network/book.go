package network

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

const (
	// keepAddress is how long an address of a peer that is no member is kept without being seen
	// to be right, milliseconds.
	keepAddress int64 = 30 * 24 * 60 * 60 * 1000
	// Between two lists for the edge at least, milliseconds: peers that come and go may not fill
	// the journal with them.
	betweenBooks int64 = 30_000
	betweenBans  int64 = 1_000
)

// place names the entry of a peer: a member's by its authority, which stays when the member
// changes its key, one of ours by its id, a legacy peer's by its address.
func place(id string, p Peer, address string) string {
	switch {
	case p.HasAuthority:
		return fmt.Sprintf("authority/%05d", p.Authority)
	case p.Legacy:
		return byAddress + address
	}
	return byPeer + id
}

// dialable returns the address at which a connected peer can be reached again, "" for none.
// The address of an inbound connection is none (wire.md P12); what such a peer says of itself
// is believed of its own IP address, and of members.
func (p Peer) dialable() string {
	switch {
	case !p.Inbound:
		return p.Address
	case p.Listen != "" && (p.HasAuthority || ipOf(p.Listen) == p.ip()):
		return p.Listen
	}
	return ""
}

// enter writes a peer's address down.
func (x *turn) enter(id string, p Peer) {
	address := p.dialable()
	if address == "" {
		return
	}
	e := Entry{Peer: id, Address: address, HasAuthority: p.HasAuthority, Authority: p.Authority, Seen: x.Time}
	if p.Legacy {
		e.Peer = "" // another one after its restart
	}
	name := place(id, p, address)
	before, ok := x.book.Get(name)
	if !ok && !p.HasAuthority {
		x.makeBookRoom()
	}
	x.book.Set(name, e)
	if before.Seen = e.Seen; before != e {
		x.BookChanged = true
	}
	if p.HasAuthority { // it may have been known before it proved itself
		if _, ok := x.book.Delete(byPeer + id); ok {
			x.BookChanged = true
		}
	}
}

// refresh notes that an address was right until now.
func (x *turn) refresh(id string, p Peer) {
	name := place(id, p, p.dialable())
	if e, ok := x.book.Get(name); ok {
		e.Seen = x.Time
		x.book.Set(name, e)
	}
}

// makeBookRoom forgets the address that was not right for longest, when there are too many.
func (x *turn) makeBookRoom() {
	var oldest string
	var seen int64
	count := 0
	x.book.Scan(func(name string, e Entry) bool {
		if !e.HasAuthority {
			if count++; oldest == "" || e.Seen < seen {
				oldest, seen = name, e.Seen
			}
		}
		return true
	})
	if count >= maxBook {
		x.book.Delete(oldest)
	}
}

// forgetAddresses drops what is too old, and members that the federation has no more.
func (x *turn) forgetAddresses() {
	for name, e := range all(x.book) {
		if !e.HasAuthority && x.Time-e.Seen > keepAddress || e.HasAuthority && e.Authority >= x.Members {
			x.book.Delete(name)
		}
	}
}

// guide gives the edge its lists when they changed and enough time has passed: never two
// requests at once.
func (x *turn) guide() {
	if !x.Peers || !x.Guiding.None() {
		return
	}
	since := x.Time - x.GuidedAt
	if !(x.BansChanged && since >= betweenBans || x.BookChanged && since >= betweenBooks) {
		return
	}
	x.Guiding = core.Ref{Sequence: x.Sequence, Index: uint32(len(x.out.List()))}
	x.GuidedAt, x.BookChanged, x.BansChanged = x.Time, false, false
	x.out.Effect(PeersEdge, core.UntilDone, x.guidance())
}

func (x *turn) guidance() *message.GuideConnections {
	m := &message.GuideConnections{}
	x.bans.Scan(func(name string, b Ban) bool {
		peer, address := parts(name)
		m.Bans = append(m.Bans, message.PeerBan{Peer: peer, Address: address, Until: b.Until})
		return true
	})
	var members, others []Entry
	x.book.Scan(func(_ string, e Entry) bool {
		if _, banned := x.banOf(e.Peer, e.Address); banned {
			return true
		}
		if e.HasAuthority {
			members = append(members, e)
		} else if s, ok := x.standings.Get(subject(e.Peer, e.Peer == "", e.Address)); !ok || s.Score > conduct.DisconnectAt {
			others = append(others, e)
		}
		return true
	})
	slices.SortFunc(others, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Seen, a.Seen), strings.Compare(a.Peer, b.Peer), strings.Compare(a.Address, b.Address))
	})
	for _, e := range append(members, others[:min(len(others), maxGuided)]...) {
		m.Known = append(m.Known, message.KnownPeer{Peer: e.Peer, Address: e.Address, HasAuthority: e.HasAuthority, Authority: e.Authority})
	}
	return m
}
