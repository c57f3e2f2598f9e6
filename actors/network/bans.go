package network

import (
	"strings"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// banOf returns the ban that a connection falls under.
func (x *turn) banOf(id, address string) (Ban, bool) {
	if b, ok := x.bans.Get(byPeer + id); ok {
		return b, true
	}
	if ip := ipOf(address); ip != "" {
		return x.bans.Get(byAddress + ip)
	}
	return Ban{}, false
}

// parts names a ban's subject as messages do.
func parts(subject string) (peer, address string) {
	if ip, ok := strings.CutPrefix(subject, byAddress); ok {
		return "", ip
	}
	return strings.TrimPrefix(subject, byPeer), ""
}

// banByScore bans a peer whose score fell too low, longer each time. A legacy peer's id
// costs nothing: its IP address is banned too, unless somebody else there is kept.
func (x *turn) banByScore(id string, p Peer, connected bool, name string, s Standing) {
	if b, ok := x.bans.Get(byPeer + id); ok && (b.Operator || b.Until > x.Time) {
		return // it is told by its ban already
	}
	strikes := conduct.Strikes(s.Strikes, s.BanEnds, x.Time)
	until := x.Time + conduct.BanFor(strikes)
	reason := "score"
	if len(s.Untold) > 0 {
		s = x.tellScore(id, s, true)
	}
	s.Strikes, s.BanEnds = strikes+1, until
	s.Score, s.At, s.Told = conduct.AfterBan, x.Time, conduct.AfterBan
	x.standings.Set(name, s)
	x.ban(byPeer+id, Ban{Until: until}, reason)
	if ip := p.ip(); connected && p.Legacy && ip != "" && !x.keptAt(ip) {
		x.ban(byAddress+ip, Ban{Until: until}, reason)
	}
	if connected {
		x.disconnect(id, "banned: "+reason)
	}
}

// keptAt reports whether a peer of ours is connected from an IP address, or a member is
// known there.
func (x *turn) keptAt(ip string) (kept bool) {
	x.peers.Scan(func(id string, p Peer) bool {
		_, banned := x.bans.Get(byPeer + id)
		kept = !banned && !p.Legacy && p.ip() == ip
		return !kept
	})
	if kept {
		return true
	}
	x.book.Scan(func(_ string, e Entry) bool {
		kept = e.HasAuthority && ipOf(e.Address) == ip
		return !kept
	})
	return kept
}

// ban puts a ban in force; the one that ends first makes room.
func (x *turn) ban(subject string, b Ban, reason string) {
	if _, ok := x.bans.Get(subject); !ok && !b.Operator {
		x.makeBanRoom()
	}
	x.bans.Set(subject, b)
	x.BansChanged = true
	peer, address := parts(subject)
	x.out.Fact(&message.PeerBanned{Peer: peer, Address: address, Until: b.Until, Reason: reason, Operator: b.Operator})
}

func (x *turn) makeBanRoom() {
	var first string
	var ends int64
	count := 0
	x.bans.Scan(func(name string, b Ban) bool {
		if !b.Operator {
			if count++; first == "" || b.Until < ends {
				first, ends = name, b.Until
			}
		}
		return true
	})
	if count >= maxBans {
		x.unban(first, false)
	}
}

func (x *turn) unban(subject string, operator bool) {
	x.bans.Delete(subject)
	x.BansChanged = true
	peer, address := parts(subject)
	x.out.Fact(&message.PeerUnbanned{Peer: peer, Address: address, Operator: operator})
}

// pardon lifts what a score brought on a peer that proved to be a member.
func (x *turn) pardon(id string) {
	if b, ok := x.bans.Get(byPeer + id); ok && !b.Operator {
		x.unban(byPeer+id, false)
	}
}

// endBans takes out the bans whose time is over. The edge knows the time of each and needs
// no new list for it.
func (x *turn) endBans() {
	changed := x.BansChanged
	for name, b := range all(x.bans) {
		if b.Until != 0 && b.Until <= x.Time {
			x.unban(name, false)
		}
	}
	x.BansChanged = changed
}

// banPeer is an operator's decision, which holds for members too.
func (x *turn) banPeer(m *message.BanPeer) {
	refuse := func(reason string) {
		x.out.Effect(AnswerEdge, core.ConnectionBound, &message.OperatorAnswer{Request: m.Request, Reason: reason})
	}
	name, no := named(m.Peer, m.Address)
	if no != "" {
		refuse(no)
		return
	}
	if b, ok := x.bans.Get(name); !ok || !b.Operator {
		count := 0
		x.bans.Scan(func(_ string, b Ban) bool {
			if b.Operator {
				count++
			}
			return true
		})
		if count >= maxOperatorBans {
			refuse("there are too many bans by operators: end some first")
			return
		}
	}
	var until int64
	if m.Seconds != 0 {
		until = x.Time + int64(min(m.Seconds, 1<<40))*1000
	}
	x.ban(name, Ban{Until: until, Operator: true}, clip(m.Reason))
	for id, p := range all(x.peers) {
		if name == byPeer+id || name == byAddress+p.ip() {
			x.disconnect(id, "banned by an operator")
		}
	}
	x.out.Effect(AnswerEdge, core.ConnectionBound, &message.OperatorAnswer{Request: m.Request, Done: true})
}

// unbanPeer ends a ban by an operator or a score; what led to the latter is forgiven.
func (x *turn) unbanPeer(m *message.UnbanPeer) {
	name, no := named(m.Peer, m.Address)
	if no == "" {
		if _, ok := x.bans.Get(name); !ok {
			no = "it is not banned"
		}
	}
	if no != "" {
		x.out.Effect(AnswerEdge, core.ConnectionBound, &message.OperatorAnswer{Request: m.Request, Reason: no})
		return
	}
	x.unban(name, true)
	if s, ok := x.standings.Get(name); ok {
		s.Score, s.Told, s.Strikes, s.BanEnds = 0, 0, 0, 0
		x.standings.Set(name, s)
	}
	x.out.Effect(AnswerEdge, core.ConnectionBound, &message.OperatorAnswer{Request: m.Request, Done: true})
}

// named returns the subject that an operator means, or why there is none.
func named(peer, address string) (subject, no string) {
	switch {
	case (peer == "") == (address == ""):
		return "", "name a peer id or an IP address, one of them"
	case len(peer)+len(address) > maxText:
		return "", "that is no peer id and no IP address"
	case peer != "":
		return byPeer + peer, ""
	}
	return byAddress + address, ""
}

// disconnect has the edge say goodbye and close.
func (x *turn) disconnect(id, reason string) {
	x.out.Effect(PeersEdge, core.FireAndForget, &message.DisconnectPeer{Peer: id, Reason: reason})
}
