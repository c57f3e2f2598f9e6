package rpc_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/peers"
)

// examplePeer is the peer of the examples: a member that is connected.
const examplePeer = "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"

// whenPeers is the time of the examples.
const whenPeers int64 = 1_795_454_655_000

// peersRecord is a record of a member, of a peer that is banned, and of an operator's ban.
func peersRecord(t testing.TB) *peers.Store {
	t.Helper()
	fs := vfs.NewMem()
	j, err := journal.Open(journal.Options{FS: fs, Dir: "journal"})
	if err != nil {
		t.Fatal(err)
	}
	const other = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	head := &message.BlockID{Root: common.Hash{9}, Number: 90}
	for i, event := range []struct {
		told  core.Message
		facts []core.Message
	}{
		{&message.PeerConnected{Peer: examplePeer, Protocol: 1, Head: head, Finalized: head}, []core.Message{
			&message.PeerJoined{Peer: examplePeer, Address: "/ip4/203.0.113.7/tcp/55444", Agent: "alys/1.0.0", HasAuthority: true, Authority: 1},
			&message.PeerScored{Peer: examplePeer, Score: 5_000, Acts: []message.PeerAct{{Kind: message.ActRange, Count: 5}}},
		}},
		{&message.PeersReported{Peers: []message.PeerReport{{Peer: examplePeer, RttMs: 12}}}, []core.Message{
			&message.PeerJoined{Peer: other, Inbound: true}, &message.PeerScored{Peer: other, Score: -60_000, Acts: []message.PeerAct{{Kind: message.ActForged, Count: 1, Detail: "block 7"}}},
			&message.PeerBanned{Peer: other, Reason: "score", Until: 1 << 45}, &message.PeerLeft{Peer: other, Reason: "banned", Score: -25_000},
			&message.PeerBanned{Address: "198.51.100.9", Reason: "floods us", Operator: true},
		}},
	} {
		e := &journal.Event{Sequence: uint64(i + 1), Time: whenPeers, Actor: "network", Type: event.told.Type(), Schema: event.told.Schema(), Stored: true}
		e.Message, _ = record.Encode(event.told)
		for _, f := range event.facts {
			raw, _ := record.Encode(f)
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: f.Type(), Schema: f.Schema(), Payload: raw})
		}
		if _, err := j.Append(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	r, err := peers.Open(j, peers.Options{FS: fs, Dir: "peers"})
	if err == nil {
		err = j.WaitDurable(t.Context(), j.Head().Sequence)
	}
	if err == nil {
		err = r.Advance(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (b *chainBackend) Peers(q peers.Query) (*peers.List, error) {
	q.Now = whenPeers
	return b.record.Peers(q)
}

func (b *chainBackend) Bans() (*peers.Bans, error) { return b.record.Bans(whenPeers) }

// Members come first, and a limit that nobody can have is refused.
func TestNodePeers(t *testing.T) {
	b := legacyBackend(t)
	l, err := b.Peers(peers.Query{})
	if err != nil || len(l.Peers) != 2 || l.Peers[0].Peer != examplePeer || l.Connected != 1 || l.Members != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := b.Peers(peers.Query{Limit: -1}); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("%v", err)
	}
}
