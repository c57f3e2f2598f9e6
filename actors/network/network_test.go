package network_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

func configured(t fataler) *actor {
	a := newActor(t)
	a.guided(a.handle(configuration()))
	return a
}

// guided answers what the edge was given.
func (a *actor) guided(out []core.Output) *message.GuideConnections {
	for i, o := range out {
		if m, ok := o.Message.(*message.GuideConnections); ok {
			a.answer(core.Ref{Sequence: a.turn.Sequence, Index: uint32(i)}, &message.ConnectionsGuided{})
			return m
		}
	}
	return nil
}

// A node without peers says nothing to anybody.
func TestWithoutPeers(t *testing.T) {
	a := newActor(t)
	if out := a.handle(ours("early", "1.2.3.4")); len(out) != 0 {
		t.Errorf("before the configuration: %+v", out)
	}
	m := configuration()
	m.Peers = false
	if out := a.handle(m); len(out) != 0 {
		t.Errorf("%+v", out)
	}
}

// The sync actor hears of every peer that comes, moves and goes, the chain actor of members.
func TestWhoIsTold(t *testing.T) {
	a := configured(t)
	out := a.handle(ours("full", "1.2.3.4"))
	if seen := only(t, of[*message.PeersSeen](out)); len(seen.Peers) != 1 || seen.Peers[0].Peer != "full" || seen.Peers[0].Legacy {
		t.Errorf("%+v", seen)
	}
	if n := len(of[*message.MemberHeads](out)); n != 0 {
		t.Errorf("the chain actor is told of a full node")
	}
	if joined := only(t, of[*message.PeerJoined](out)); joined.Peer != "full" || joined.HasAuthority {
		t.Errorf("%+v", joined)
	}
	out = a.handle(head("full", 7))
	if seen := only(t, of[*message.PeersSeen](out)); seen.Peers[0].Head.Number != 7 {
		t.Errorf("%+v", seen)
	}
	out = a.handle(member("m2", "1.2.3.5", 2))
	if heads := only(t, of[*message.MemberHeads](out)); len(heads.Heads) != 0 {
		t.Errorf("a member without a head has one: %+v", heads)
	}
	out = a.handle(head("m2", 9))
	heads := only(t, of[*message.MemberHeads](out))
	if len(heads.Heads) != 1 || heads.Heads[0].Authority != 2 || heads.Heads[0].Head.Number != 9 {
		t.Errorf("%+v", heads)
	}
	out = a.handle(&message.PeerGone{Peer: "m2", Reason: "closed"})
	if heads := only(t, of[*message.MemberHeads](out)); len(heads.Heads) != 0 {
		t.Errorf("a member that is gone has a head: %+v", heads)
	}
	if seen := only(t, of[*message.PeersSeen](out)); len(seen.Gone) != 1 || seen.Gone[0].Peer != "m2" {
		t.Errorf("%+v", seen)
	}
	if out := a.handle(&message.PeerGone{Peer: "m2"}); len(out) != 0 {
		t.Errorf("gone twice: %+v", out)
	}
}

// A member with two connections has the head that it told last; this node's own authority is
// no other member; an index beyond the federation is none.
func TestHeadsOfMembers(t *testing.T) {
	a := newActor(t)
	m := configuration()
	m.HasAuthority, m.Authority = true, 0
	a.handle(m)
	for _, c := range []*message.PeerConnected{
		member("a", "1.1.1.1", 1), member("b", "1.1.1.2", 1), member("self", "1.1.1.3", 0), member("false", "1.1.1.4", 4), member("c", "1.1.1.5", 3),
	} {
		a.handle(c)
	}
	a.handle(head("c", 3))
	a.handle(head("b", 8))
	a.handle(head("self", 11))
	out := a.handle(head("a", 5))
	heads := only(t, of[*message.MemberHeads](out)).Heads
	if len(heads) != 2 || heads[0].Authority != 1 || heads[0].Head.Number != 5 || heads[1].Authority != 3 {
		t.Errorf("%+v", heads)
	}
	out = a.handle(head("false", 99))
	if n := len(of[*message.MemberHeads](out)); n != 0 {
		t.Errorf("an authority that does not exist moved")
	}
}

// What a peer does adds up, is told when it amounts to something, and ends in a ban.
func TestBanByScore(t *testing.T) {
	a := configured(t)
	a.handle(ours("bad", "1.2.3.4"))
	out := a.handle(acts("bad", message.ActGap, 1))
	if scored := only(t, of[*message.PeerScored](out)); scored.Score != -20_000 || len(scored.Acts) != 1 || scored.Acts[0].Count != 1 {
		t.Errorf("%+v", scored)
	}
	if d := only(t, of[*message.DisconnectPeer](out)); d.Peer != "bad" {
		t.Errorf("%+v", d)
	}
	if out := a.handle(acts("bad", message.ActReset, 1)); len(of[*message.DisconnectPeer](out)) != 0 {
		t.Errorf("disconnected twice for one score: %+v", out)
	}
	a.wait(2 * second)
	out = a.handle(acts("bad", message.ActOrder, 2))
	banned := only(t, of[*message.PeerBanned](out))
	if banned.Peer != "bad" || banned.Operator || banned.Until != a.turn.Time+conduct.BanFor(0) {
		t.Errorf("%+v", banned)
	}
	g := only(t, of[*message.GuideConnections](out))
	if len(g.Bans) != 1 || g.Bans[0].Peer != "bad" || len(g.Known) != 0 {
		t.Errorf("%+v", g)
	}
	if n := len(of[*message.DisconnectPeer](out)); n != 1 {
		t.Errorf("%d disconnections", n)
	}
	a.guided(out)
	a.handle(&message.PeerGone{Peer: "bad"})
	out = a.handle(ours("bad", "1.2.3.4"))
	if len(of[*message.PeerJoined](out)) != 0 || len(of[*message.DisconnectPeer](out)) != 1 {
		t.Errorf("a banned peer is taken in: %+v", out)
	}
	a.reload()
	a.wait(conduct.BanFor(0))
	out = a.handle(ours("bad", "1.2.3.4"))
	if len(of[*message.PeerUnbanned](out)) != 1 || len(of[*message.PeerJoined](out)) != 1 {
		t.Errorf("the ban does not end: %+v", out)
	}
	out = a.handle(acts("bad", message.ActForged, 1))
	if again := only(t, of[*message.PeerBanned](out)); again.Until != a.turn.Time+2*conduct.BanFor(0) {
		t.Errorf("the second ban is not twice as long: %+v", again)
	}
}

// A legacy peer's reputation is its address's: another id does not help it, and the ban holds
// for the address, unless a peer of ours is there.
func TestLegacyByAddress(t *testing.T) {
	a := configured(t)
	a.handle(legacy("one", "9.9.9.9"))
	a.handle(acts("one", message.ActGap, 2))
	a.handle(&message.PeerGone{Peer: "one"})
	out := a.handle(legacy("two", "9.9.9.9"))
	if joined := only(t, of[*message.PeerJoined](out)); joined.Score != -40_000 {
		t.Errorf("%+v", joined)
	}
	out = a.handle(acts("two", message.ActGap, 1))
	if bans := of[*message.PeerBanned](out); len(bans) != 2 || bans[0].Peer != "two" || bans[1].Address != "9.9.9.9" {
		t.Errorf("%+v", bans)
	}
	out = a.handle(legacy("three", "9.9.9.9"))
	if len(of[*message.PeerJoined](out)) != 0 {
		t.Errorf("its address is banned: %+v", out)
	}
	for i, neighbour := range []*message.PeerConnected{ours("good", "8.8.8.8"), member("m", "8.8.8.9", 1)} {
		a.handle(neighbour)
		id := fmt.Sprint("near", i)
		a.handle(legacy(id, ipOf(neighbour)))
		out = a.handle(acts(id, message.ActForged, 1))
		if banned := only(t, of[*message.PeerBanned](out)); banned.Peer != id {
			t.Errorf("%+v", banned)
		}
	}
}

func ipOf(m *message.PeerConnected) string {
	return m.Address[len("/ip4/") : len(m.Address)-len("/tcp/55444")]
}

// A member is told about and kept, whatever it does; an operator may ban it.
func TestMembersAreKept(t *testing.T) {
	a := configured(t)
	a.handle(member("m", "1.1.1.1", 1))
	out := a.handle(acts("m", message.ActWrongGenesis, 50))
	if scored := only(t, of[*message.PeerScored](out)); scored.Score != conduct.Lowest {
		t.Errorf("%+v", scored)
	}
	if len(of[*message.PeerBanned](out))+len(of[*message.DisconnectPeer](out)) != 0 {
		t.Errorf("%+v", out)
	}
	out = a.handle(&message.BanPeer{Request: 3, Peer: "m", Reason: "its operator asked for it"})
	if banned := only(t, of[*message.PeerBanned](out)); !banned.Operator || banned.Until != 0 {
		t.Errorf("%+v", banned)
	}
	if len(of[*message.DisconnectPeer](out)) != 1 || !only(t, of[*message.OperatorAnswer](out)).Done {
		t.Errorf("%+v", out)
	}
	a.handle(&message.PeerGone{Peer: "m"})
	if out := a.handle(member("m", "1.1.1.1", 1)); len(of[*message.PeerJoined](out)) != 0 {
		t.Errorf("an operator's ban does not hold for a member")
	}
	a.wait(100 * 24 * hour)
	if out := a.handle(member("m", "1.1.1.1", 1)); len(of[*message.PeerJoined](out)) != 0 {
		t.Errorf("a ban for ever ended")
	}
	out = a.handle(&message.UnbanPeer{Request: 4, Peer: "m"})
	if !only(t, of[*message.OperatorAnswer](out)).Done || len(of[*message.PeerUnbanned](out)) != 1 {
		t.Errorf("%+v", out)
	}
	if out := a.handle(member("m", "1.1.1.1", 1)); len(of[*message.PeerJoined](out)) != 1 {
		t.Errorf("the ban goes on")
	}
}

// A peer that was banned before it proved to be a member is one from then on.
func TestProofPardons(t *testing.T) {
	a := configured(t)
	a.handle(acts("m", message.ActWrongGenesis, 1)) // it was not connected: the handshake failed
	out := a.handle(member("m", "1.1.1.1", 1))
	if len(of[*message.PeerUnbanned](out)) != 1 || len(of[*message.PeerJoined](out)) != 1 {
		t.Errorf("%+v", out)
	}
}

// What an operator asks for wrongly is refused with a reason.
func TestOperatorsErrors(t *testing.T) {
	a := configured(t)
	long := string(make([]byte, 300))
	for _, m := range []core.Message{
		&message.BanPeer{Request: 7}, &message.BanPeer{Request: 7, Peer: "p", Address: "1.1.1.1"}, &message.BanPeer{Request: 7, Peer: long},
		&message.UnbanPeer{Request: 7}, &message.UnbanPeer{Request: 7, Peer: "p"}, &message.UnbanPeer{Request: 7, Address: "1.1.1.1"},
	} {
		out := a.handle(m)
		if answer := only(t, of[*message.OperatorAnswer](out)); answer.Done || answer.Reason == "" || answer.Request != 7 || len(out) != 1 {
			t.Errorf("%+v: %+v", m, out)
		}
	}
}

// An operator's ban of an address closes what is connected from there.
func TestBanOfAddress(t *testing.T) {
	a := configured(t)
	a.handle(ours("a", "1.1.1.1"))
	a.handle(ours("b", "1.1.1.2"))
	out := a.handle(&message.BanPeer{Address: "1.1.1.1", Seconds: 60, Reason: "x"})
	if d := only(t, of[*message.DisconnectPeer](out)); d.Peer != "a" {
		t.Errorf("%+v", d)
	}
	if banned := only(t, of[*message.PeerBanned](out)); banned.Until != a.turn.Time+minute {
		t.Errorf("%+v", banned)
	}
}

// The address book: outbound addresses, those that inbound peers tell for their own IP address,
// a member under its authority; given to the edge at the next start.
func TestAddressBook(t *testing.T) {
	a := configured(t)
	in := ours("inbound", "2.2.2.2")
	in.Inbound, in.Address, in.Listen = true, "/ip4/2.2.2.2/tcp/40000", "/ip4/2.2.2.2/tcp/55444"
	liar := ours("liar", "3.3.3.3")
	liar.Inbound, liar.Listen = true, "/ip4/4.4.4.4/tcp/55444"
	quiet := ours("quiet", "3.3.3.4")
	quiet.Inbound = true
	moved := member("m", "5.5.5.5", 2)
	moved.Inbound, moved.Listen = true, "/ip4/6.6.6.6/tcp/55444"
	for _, m := range []*message.PeerConnected{member("old", "5.5.5.4", 2), ours("out", "1.1.1.1"), in, liar, quiet, legacy("l", "7.7.7.7"), moved} {
		a.handle(m)
		a.wait(second)
	}
	a.reload()
	a.wait(hour)
	out := a.handle(configuration())
	if n := len(of[*message.PeerLeft](out)); n != 7 {
		t.Errorf("%d peers left at the restart", n)
	}
	if seen := only(t, of[*message.PeersSeen](out)); len(seen.Gone) != 7 || len(seen.Peers) != 0 {
		t.Errorf("%+v", seen)
	}
	have := only(t, of[*message.GuideConnections](out)).Known
	want := []message.KnownPeer{
		{Peer: "m", Address: "/ip4/6.6.6.6/tcp/55444", HasAuthority: true, Authority: 2},
		{Peer: "", Address: "/ip4/7.7.7.7/tcp/55444"},
		{Peer: "inbound", Address: "/ip4/2.2.2.2/tcp/55444"},
		{Peer: "out", Address: "/ip4/1.1.1.1/tcp/55444"},
	}
	if !slices.Equal(have, want) {
		t.Errorf("%+v", have)
	}
	a.wait(31 * 24 * hour)
	out = a.handle(configuration())
	if have := only(t, of[*message.GuideConnections](out)).Known; !slices.Equal(have, want[:1]) {
		t.Errorf("after a month: %+v", have)
	}
}

// The edge gets one list at a time and not one for every peer that comes.
func TestGuidedSeldom(t *testing.T) {
	a := newActor(t)
	first := a.handle(configuration())
	only(t, of[*message.GuideConnections](first))
	index := uint32(len(first) - 1)
	at := a.turn.Sequence
	a.wait(hour)
	if out := a.handle(ours("a", "1.1.1.1")); len(of[*message.GuideConnections](out)) != 0 {
		t.Errorf("a second list before the first is answered")
	}
	if out := a.answer(core.Ref{Sequence: at, Index: index + 1}, &message.ConnectionsGuided{}); len(out) != 0 {
		t.Errorf("the answer to another request counted: %+v", out)
	}
	out := a.answer(core.Ref{Sequence: at, Index: index}, &message.ConnectionsGuided{})
	a.guided(out)
	lists := 0
	for i := range 120 {
		a.wait(second)
		out := a.handle(ours(fmt.Sprint("p", i), fmt.Sprint("1.1.2.", i)))
		lists += len(of[*message.GuideConnections](out))
		a.guided(out)
	}
	if lists < 3 || lists > 5 {
		t.Errorf("%d lists in two minutes", lists)
	}
}

// Routine acts are told together, and none is lost.
func TestActsAreTold(t *testing.T) {
	a := configured(t)
	a.handle(ours("p", "1.1.1.1"))
	var facts int
	var told uint32
	count := func(out []core.Output) {
		for _, s := range of[*message.PeerScored](out) {
			facts++
			for _, act := range s.Acts {
				told += act.Count
			}
		}
	}
	for range 2000 {
		count(a.handle(acts("p", message.ActBlock, 1)))
	}
	if facts > 12 {
		t.Errorf("%d facts", facts)
	}
	count(a.handle(acts("p", "no such kind", 5)))
	a.reload()
	count(a.handle(&message.PeerGone{Peer: "p"}))
	if told != 2000 {
		t.Errorf("%d acts told of 2000", told)
	}
}
