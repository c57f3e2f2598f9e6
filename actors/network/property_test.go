package network_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// world is what a model knows beside the actor: who is connected, and which proofs were seen.
type world struct {
	*actor
	t         *rapid.T
	connected map[string]*message.PeerConnected
	proven    map[string]bool
	operator  map[string]bool // bans by operators in force, by peer id or address
	guiding   []core.Ref
}

var names = []string{"a", "b", "c", "d", "e"}

func (w *world) draw() core.Message {
	id := rapid.SampledFrom(names).Draw(w.t, "peer")
	kind := rapid.SampledFrom(conduct.Weights()).Draw(w.t, "kind").Kind
	ip := rapid.SampledFrom([]string{"1.1.1.1", "1.1.1.2"}).Draw(w.t, "ip")
	switch rapid.IntRange(0, 9).Draw(w.t, "what") {
	case 0, 1, 2:
		m := rapid.SampledFrom([]*message.PeerConnected{ours(id, ip), legacy(id, ip), member(id, ip, 1), member(id, ip, 3), member(id, ip, 9)}).Draw(w.t, "connected")
		m.Inbound = rapid.Bool().Draw(w.t, "inbound")
		m.Listen = rapid.SampledFrom([]string{"", m.Address, "/ip4/9.9.9.9/tcp/1", "nonsense"}).Draw(w.t, "listen")
		return m
	case 3:
		return &message.PeerGone{Peer: id, Reason: "closed"}
	case 4:
		return head(id, rapid.Uint64Range(0, 9).Draw(w.t, "head"))
	case 5, 6:
		return acts(id, kind, rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 4)).Draw(w.t, "count"))
	case 7:
		return &message.PeerFault{Peer: id, Kind: kind, Detail: "found"}
	case 8:
		if rapid.Bool().Draw(w.t, "by address") {
			return &message.BanPeer{Address: ip, Seconds: rapid.Uint64Range(0, 1000).Draw(w.t, "seconds"), Reason: "x"}
		}
		return &message.BanPeer{Peer: id, Seconds: rapid.Uint64Range(0, 1000).Draw(w.t, "seconds"), Reason: "x"}
	default:
		return rapid.SampledFrom([]core.Message{&message.UnbanPeer{Peer: id}, &message.UnbanPeer{Address: ip}, &message.UnbanPeer{}, configuration(), &message.PeerGone{Peer: ""}}).Draw(w.t, "other")
	}
}

// step handles one message and holds what it led to against the model.
func (w *world) step(m core.Message) {
	var out []core.Output
	if configured, ok := m.(*message.NodeConfigured); ok {
		w.guiding = nil
		out = w.handle(configured)
	} else {
		out = w.handle(m)
	}
	if c, ok := m.(*message.PeerConnected); ok && c.HasAuthority && c.Authority < 4 {
		w.proven[c.Peer] = true
	}
	ordered := map[string]bool{}
	for i, o := range out {
		switch f := o.Message.(type) {
		case *message.PeerJoined:
			if w.connected[f.Peer] != nil {
				w.t.Fatalf("%s joined twice", f.Peer)
			}
			w.connected[f.Peer] = m.(*message.PeerConnected)
		case *message.PeerLeft:
			if w.connected[f.Peer] == nil {
				w.t.Fatalf("%s left and was not there", f.Peer)
			}
			delete(w.connected, f.Peer)
		case *message.PeerScored:
			if f.Score < conduct.Lowest || f.Score > conduct.Highest || len(f.Acts) == 0 {
				w.t.Fatalf("%+v", f)
			}
		case *message.PeerBanned:
			w.operator[f.Peer+f.Address] = f.Operator
			if !f.Operator && w.proven[f.Peer] {
				w.t.Fatalf("member %s is banned for its score", f.Peer)
			}
			ordered[f.Peer] = true
		case *message.PeerUnbanned:
			delete(w.operator, f.Peer+f.Address)
		case *message.DisconnectPeer:
			c := w.connected[f.Peer]
			if c != nil && c.HasAuthority && c.Authority < 4 && !w.operator[f.Peer] && !w.operator[c.Address[len("/ip4/"):len(c.Address)-len("/tcp/55444")]] {
				w.t.Fatalf("member %s is disconnected: %s", f.Peer, f.Reason)
			}
		case *message.GuideConnections:
			w.guiding = append(w.guiding, core.Ref{Sequence: w.turn.Sequence, Index: uint32(i)})
			if len(w.guiding) > 1 {
				w.t.Fatalf("two lists at once")
			}
		case *message.MemberHeads:
			for _, h := range f.Heads {
				if h.Authority >= 4 || h.Head == nil {
					w.t.Fatalf("%+v", h)
				}
			}
		}
	}
}

// Whatever peers and operators do: members are not banned by score, facts of joining and leaving
// alternate, one list is with the edge at once, the state loads as it was, and the same messages give the same
// outputs and state.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{actor: newActor(t), t: t, connected: map[string]*message.PeerConnected{}, proven: map[string]bool{}, operator: map[string]bool{}}
		again := newActor(t)
		w.step(configuration())
		again.handle(configuration())
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			if len(w.guiding) > 0 && rapid.Bool().Draw(t, "guided") {
				cause := w.guiding[0]
				w.guiding = nil
				out := w.answer(cause, &message.ConnectionsGuided{})
				for i, o := range out {
					if _, ok := o.Message.(*message.GuideConnections); ok {
						w.guiding = append(w.guiding, core.Ref{Sequence: w.turn.Sequence, Index: uint32(i)})
					}
				}
				again.answer(cause, &message.ConnectionsGuided{})
				continue
			}
			wait := rapid.SampledFrom([]int64{0, second, minute, hour, 25 * hour}).Draw(t, "wait")
			w.wait(wait)
			again.wait(wait)
			m := w.draw()
			w.step(m)
			again.handle(m)
			if rapid.IntRange(0, 9).Draw(t, "reload") == 0 {
				w.reload()
			}
		}
		sameState(t, w.state, again.state)
	})
}

func sameState(t fataler, a, b core.State) {
	t.Helper()
	keysA, valuesA := entries(t, a)
	keysB, valuesB := entries(t, b)
	if len(keysA) != len(keysB) {
		t.Fatalf("%d and %d entries", len(keysA), len(keysB))
	}
	for i := range keysA {
		if !bytes.Equal(keysA[i], keysB[i]) || !bytes.Equal(valuesA[i], valuesB[i]) {
			t.Fatalf("entry %q differs", keysA[i])
		}
	}
}

// A peer that does only good, or has only bad luck, is never banned, however long it goes on.
func TestHonestPeersStay(t *testing.T) {
	for _, w := range conduct.Weights() {
		if !w.Good() && w.Floor <= conduct.BanAt && w.Ours != 0 {
			continue
		}
		t.Run(w.Kind, func(t *testing.T) {
			a := configured(t)
			a.handle(ours("p", "1.1.1.1"))
			for range 500 {
				a.wait(second)
				if out := a.handle(acts("p", w.Kind, 3)); len(of[*message.PeerBanned](out)) != 0 {
					t.Fatalf("banned: %+v", out)
				}
			}
		})
	}
}

// The state is bounded: connected peers, reputations, bans, addresses. Whoever is forgotten, it is
// no member and no connected peer.
func TestStateIsBounded(t *testing.T) {
	a := configured(t)
	a.handle(member("m", "10.0.0.1", 1))
	for i := range 6000 {
		id := fmt.Sprintf("p%05d", i)
		ip := fmt.Sprintf("10.1.%d.%d", i/256, i%256)
		a.wait(second)
		a.handle(ours(id, ip))
		if i%2 == 0 {
			a.handle(acts(id, message.ActForged, 1))
		} else {
			a.handle(acts(id, message.ActReset, 1))
		}
		if i >= 500 {
			a.handle(&message.PeerGone{Peer: id})
		}
	}
	count := map[byte]int{}
	keys, _ := entries(t, a.state)
	found := map[string]bool{}
	for _, k := range keys {
		if len(k) > 0 {
			count[k[0]]++
		}
		found[string(k)] = true
	}
	for section, most := range map[byte]int{'a': 256 + 4, 'b': 1024, 'p': 1024, 's': 4096} {
		if count[section] > most || count[section] == 0 {
			t.Errorf("section %q has %d entries, at most %d", section, count[section], most)
		}
	}
	for _, want := range []string{"pm", "speer/m", "aauthority/00001", "speer/p00001"} {
		if !found[want] {
			t.Errorf("%s is forgotten", want)
		}
	}
	a.reload()
	// Operators' bans are refused at their bound and never make room.
	for i := range 1100 {
		out := a.handle(&message.BanPeer{Address: fmt.Sprintf("10.2.%d.%d", i/256, i%256), Reason: "x"})
		if done := only(t, of[*message.OperatorAnswer](out)).Done; done != (i < 1024) {
			t.Fatalf("ban %d: done is %v", i, done)
		}
	}
}

// Connections beyond the bound are closed, but not a member's.
func TestTooManyPeers(t *testing.T) {
	a := configured(t)
	for i := range 1024 {
		a.handle(ours(fmt.Sprint("p", i), fmt.Sprintf("10.1.%d.%d", i/256, i%256)))
	}
	if out := a.handle(ours("late", "10.9.9.9")); len(of[*message.PeerJoined](out)) != 0 || len(of[*message.DisconnectPeer](out)) != 1 {
		t.Errorf("%+v", out)
	}
	if out := a.handle(member("m", "10.9.9.8", 2)); len(of[*message.PeerJoined](out)) != 1 {
		t.Errorf("%+v", out)
	}
}

// Snapshot entries that nobody wrote are refused.
func TestLoadRefuses(t *testing.T) {
	for _, key := range []string{"x", "x/y", "\x00"} {
		if err := network.New("").NewState().Load([]byte(key), nil, nil); err == nil {
			t.Errorf("entry %q is taken", key)
		}
	}
	if err := network.New("").NewState().Load([]byte("ppeer"), []byte{0xff}, nil); err == nil {
		t.Error("a damaged peer is taken")
	}
}

func FuzzLoad(f *testing.F) {
	value, _ := record.Encode(&network.Peer{Subject: "peer/x", Head: &message.BlockID{Number: 1}})
	f.Add("px", value)
	f.Add("", []byte{})
	f.Fuzz(func(_ *testing.T, key string, value []byte) {
		_ = network.New("").NewState().Load([]byte(key), value, nil)
	})
}

// A report of every peer, as it comes each second.
func BenchmarkReport(b *testing.B) {
	a := configured(b)
	m := &message.PeersReported{}
	for i := range 64 {
		id := fmt.Sprintf("p%03d", i)
		a.handle(ours(id, fmt.Sprint("10.0.0.", i)))
		m.Peers = append(m.Peers, message.PeerReport{Peer: id, Head: &message.BlockID{Number: 1}, RttMs: 5, Acts: []message.PeerAct{{Kind: message.ActBlock, Count: 1}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		a.wait(second)
		a.handle(m)
	}
}
