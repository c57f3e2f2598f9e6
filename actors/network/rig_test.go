package network_test

import (
	"bytes"
	"testing"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const (
	second int64 = 1000
	minute       = 60 * second
	hour         = 60 * minute
)

// actor runs the core as the runtime does: on clones, at rising times.
type actor struct {
	t     fataler
	core  *network.Network
	state core.State
	turn  core.Turn
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newActor(t fataler) *actor {
	return &actor{t: t, core: network.New("sync"), state: network.New("sync").NewState(), turn: core.Turn{Time: 1_700_000_000_000}}
}

func (a *actor) handle(m core.Message) []core.Output { return a.answer(core.Ref{}, m) }

func (a *actor) answer(cause core.Ref, m core.Message) []core.Output {
	var out core.Out
	a.turn.Sequence++
	a.turn.Cause = cause
	next := a.state.Clone()
	a.core.Handle(next, m, a.turn, &out)
	a.state = next
	return out.List()
}

func (a *actor) wait(ms int64) { a.turn.Time += ms }

// four is a chain spec with four authorities; this node is a full node.
var four = func() record.Content {
	c := spec.Dev()
	for n := uint64(2); n <= 4; n++ {
		c.Authorities = append(c.Authorities, aura.DevKey(n).PublicKey())
		c.Federation = append(c.Federation, c.Federation[0])
	}
	return record.NewContent(c.Encode())
}()

func configuration() *message.NodeConfigured {
	return &message.NodeConfigured{ChainSpec: four, Peers: true}
}

// entries is the state as Walk gives it.
func entries(t fataler, s core.State) (keys, values [][]byte) {
	t.Helper()
	var last []byte
	err := s.Walk(func(key, value []byte) error {
		if len(keys) > 0 && bytes.Compare(last, key) >= 0 {
			t.Fatalf("key %q follows %q", key, last)
		}
		last = bytes.Clone(key)
		keys, values = append(keys, last), append(values, bytes.Clone(value))
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return keys, values
}

// reload replaces the state by one that was loaded from its entries, and wants the same ones.
func (a *actor) reload() {
	a.t.Helper()
	keys, values := entries(a.t, a.state)
	again := a.core.NewState()
	for i := range keys {
		if err := again.Load(keys[i], values[i], nil); err != nil {
			a.t.Fatalf("%q: %v", keys[i], err)
		}
	}
	keys2, values2 := entries(a.t, again)
	if len(keys) != len(keys2) {
		a.t.Fatalf("%d entries became %d", len(keys), len(keys2))
	}
	for i := range keys {
		if !bytes.Equal(keys[i], keys2[i]) || !bytes.Equal(values[i], values2[i]) {
			a.t.Fatalf("entry %q changed", keys[i])
		}
	}
	a.state = again
}

// of returns the messages of one type among outputs.
func of[M core.Message](out []core.Output) []M {
	var found []M
	for _, o := range out {
		if m, ok := o.Message.(M); ok {
			found = append(found, m)
		}
	}
	return found
}

func ours(id, ip string) *message.PeerConnected {
	return &message.PeerConnected{Peer: id, Address: "/ip4/" + ip + "/tcp/55444", Protocol: 1, Agent: "alys/test"}
}

func legacy(id, ip string) *message.PeerConnected {
	return &message.PeerConnected{Peer: id, Address: "/ip4/" + ip + "/tcp/55444", Legacy: true}
}

func member(id, ip string, authority uint32) *message.PeerConnected {
	m := ours(id, ip)
	m.HasAuthority, m.Authority = true, authority
	return m
}

func acts(id, kind string, count uint32) *message.PeersReported {
	return &message.PeersReported{Peers: []message.PeerReport{{Peer: id, Acts: []message.PeerAct{{Kind: kind, Count: count, Detail: "a test"}}}}}
}

func head(id string, number uint64) *message.PeersReported {
	h := message.BlockID{Number: number}
	h.Root[0] = byte(number)
	return &message.PeersReported{Peers: []message.PeerReport{{Peer: id, Head: &h}}}
}

func only[M any](t *testing.T, list []M) M {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%d messages of the type, want one: %+v", len(list), list)
	}
	return list[0]
}
