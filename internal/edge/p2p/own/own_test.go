package own_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	libp2ppeer "github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

var genesis = common.Hash{0xee}

// rules is a chain of three members.
func rules() *spec.Chain {
	c := spec.Dev()
	c.Authorities = []aura.PublicKey{aura.DevKey(1).PublicKey(), aura.DevKey(2).PublicKey(), aura.DevKey(3).PublicKey()}
	return c
}

// blocks makes a chain of n blocks above genesis, each with transactions of a size together.
func blocks(n, size int) (out [][]byte) {
	parent := genesis
	for i := range n {
		s := &block.Signed{Approvals: aura.None()}
		s.Block = block.Block{ParentHash: parent, Slot: uint64(i + 1), Payload: block.Payload{
			BlockNumber: uint64(i + 1), BaseFeePerGas: big.NewInt(7), ExtraData: []byte("x")}}
		for k := range max(size/16384, 1) {
			tx := bytes.Repeat([]byte{byte(i), byte(k), 9}, min(size, 16384)/3+1)
			s.Block.Payload.Transactions = append(s.Block.Payload.Transactions, tx)
		}
		parent = s.Root()
		out = append(out, s.Encode())
	}
	return out
}

func decode(raw []byte) (*block.Signed, common.Hash, error) {
	s, err := block.Decode(raw)
	if err != nil {
		return nil, common.Hash{}, err
	}
	return s, s.Root(), nil
}

// store is a source in memory.
type store struct {
	mu         sync.Mutex
	chain      [][]byte // by height, from 1
	final      uint64
	contents   map[[32]byte][]byte
	approvals  map[common.Hash][]aura.Approval
	signatures map[[32]byte][]message.PaymentSignatures
	pool       map[common.Hash][]byte
}

func (s *store) id(number uint64) (b message.BlockID) {
	if number == 0 {
		return message.BlockID{Root: genesis}
	}
	_, root, _ := decode(s.chain[number-1])
	return message.BlockID{Root: root, Number: number}
}

func (s *store) Status() (head, finalized message.BlockID, synced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id(uint64(len(s.chain))), s.id(s.final), true
}

func (s *store) at(number uint64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number == 0 || number > uint64(len(s.chain)) {
		return nil
	}
	return s.chain[number-1]
}

func (s *store) Blocks(ctx context.Context, from uint64, each func([]byte) error) error {
	for ; ; from++ {
		raw := s.at(from)
		if raw == nil {
			return nil
		}
		if err := each(raw); err != nil {
			return err
		}
	}
}

func (s *store) Descend(ctx context.Context, root common.Hash, lowest uint64, each func([]byte) error) error {
	for n := uint64(len(s.chain)); n >= max(lowest, 1); n-- {
		raw := s.at(n)
		if s.id(n).Root != root {
			continue
		}
		if err := each(raw); err != nil {
			return err
		}
		root = s.id(n - 1).Root
	}
	return nil
}

func (s *store) Content(_ context.Context, hash [32]byte) ([]byte, error) {
	return s.contents[hash], nil
}
func (s *store) Approvals(_ context.Context, root common.Hash) ([]aura.Approval, error) {
	return s.approvals[root], nil
}
func (s *store) Signatures(_ context.Context, id [32]byte) ([]message.PaymentSignatures, error) {
	return s.signatures[id], nil
}
func (s *store) Transaction(hash common.Hash) []byte { return s.pool[hash] }

// node is one end.
type node struct {
	t      *testing.T
	host   libp2phost.Host
	net    *own.Network
	source *store
	name   string

	mu     sync.Mutex
	log    []string
	joined map[libp2ppeer.ID]*message.PeerConnected
	told   map[libp2ppeer.ID]message.BlockID
	trips  int
	taken  map[common.Hash][]byte
	refuse func(root common.Hash) error
}

// start starts a node on the loopback device.
func start(t *testing.T, name string, change func(*own.Options)) *node {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, host: h, source: &store{}, name: name, joined: map[libp2ppeer.ID]*message.PeerConnected{}, told: map[libp2ppeer.ID]message.BlockID{}, taken: map[common.Hash][]byte{}}
	o := own.Options{
		Host: h, Chain: rules(), Genesis: genesis, Agent: "test " + name, Source: n.source, Decode: decode,
		Joined: func(m *message.PeerConnected) {
			id, _ := libp2ppeer.Decode(m.Peer)
			n.note("joined")
			n.mu.Lock()
			n.joined[id] = m
			n.mu.Unlock()
		},
		Ended: func(id libp2ppeer.ID, reason string) {
			n.note("ended: " + reason)
			n.mu.Lock()
			delete(n.joined, id)
			n.mu.Unlock()
		},
		Told: func(id libp2ppeer.ID, head, _ message.BlockID) {
			n.mu.Lock()
			n.told[id] = head
			n.mu.Unlock()
		},
		Trip: func(libp2ppeer.ID, time.Duration) {
			n.mu.Lock()
			n.trips++
			n.mu.Unlock()
		},
		Act: func(_ libp2ppeer.ID, kind, detail string) { n.note("act " + kind) },
		Take: func(_ context.Context, _ libp2ppeer.ID, _ *block.Signed, root common.Hash, raw []byte) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.refuse != nil {
				return n.refuse(root)
			}
			if n.taken[root] != nil {
				n.log = append(n.log, "taken twice")
			}
			n.taken[root] = raw
			return nil
		},
		Beat: 200 * time.Millisecond, Silence: 10 * time.Second, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if n.net, err = own.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s notes %s", name, n.notes())
		}
		if err := errors.Join(n.net.Close(), h.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) note(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, s)
}

func (n *node) notes() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprint(n.log)
}

func (n *node) peers() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.joined)
}

// connect connects two nodes and waits for nothing.
func connect(t *testing.T, a, b *node) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 20*time.Second)
	defer done()
	if err := a.host.Connect(ctx, libp2ppeer.AddrInfo{ID: b.host.ID(), Addrs: b.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	a.net.Join(b.host.ID())
	b.net.Join(a.host.ID())
}

// until waits for something that must become true.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come about", what)
		}
	}
}

// pair returns two nodes with a session, the first of which has a chain.
func pair(t *testing.T, chain [][]byte) (a, b *node) {
	a, b = start(t, "a", nil), start(t, "b", nil)
	a.source.chain = chain
	meet(t, a, b)
	return a, b
}

func meet(t *testing.T, a, b *node) {
	t.Helper()
	before := [2]int{a.peers(), b.peers()}
	connect(t, a, b)
	until(t, "a session of "+a.name+" and "+b.name, func() bool { return a.peers() > before[0] && b.peers() > before[1] })
}

// faultKind is the act behind an error.
func faultKind(err error) string {
	var f *own.Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return fmt.Sprint(err)
}

// Two nodes greet each other, tell where they are, again when they move, and measure
// their distance.
func TestSession(t *testing.T) {
	key := aura.DevKey(2)
	member := uint32(1)
	a := start(t, "a", func(o *own.Options) {
		o.Authority, o.Proof = &member, key.Sign(peer.ProofRoot(genesis, 1, string(o.Host.ID())))
		o.Listen = func() string { return "/ip4/192.0.2.7/tcp/55444" }
	})
	b := start(t, "b", nil)
	a.source.chain = blocks(5, 10)
	meet(t, a, b)
	m := b.joined[a.host.ID()]
	if m.Agent != "test a" || !m.HasAuthority || m.Authority != 1 || m.Head.Number != 5 || m.Protocol != peer.Version || m.Listen != "/ip4/192.0.2.7/tcp/55444" || m.Legacy {
		t.Errorf("told: %+v", m)
	}
	if m := a.joined[b.host.ID()]; m.HasAuthority || m.Head.Number != 0 || m.Inbound == b.joined[a.host.ID()].Inbound {
		t.Errorf("told: %+v", m)
	}
	a.source.mu.Lock()
	a.source.chain = blocks(8, 10)
	a.source.mu.Unlock()
	until(t, "news of height 8", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.told[a.host.ID()].Number == 8
	})
	until(t, "round trips", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.trips > 2
	})
	if err := a.net.Disconnect(b.host.ID(), peer.GoodbyeBanned, "enough of it"); err != nil {
		t.Fatal(err)
	}
	until(t, "the end", func() bool { return a.peers() == 0 && b.peers() == 0 })
	if b.notes() != "[joined ended: it says goodbye: enough of it]" || a.notes() != "[joined ended: enough of it]" {
		t.Errorf("a %s, b %s", a.notes(), b.notes())
	}
}

// A node of another chain, and one that is not the member it says it is, are not talked to.
func TestStrangers(t *testing.T) {
	member := uint32(1)
	for name, c := range map[string]struct {
		change func(*own.Options)
		act    string
	}{
		"genesis":     {func(o *own.Options) { o.Genesis = common.Hash{1} }, message.ActWrongGenesis},
		"chain id":    {func(o *own.Options) { o.Chain.ChainID++ }, message.ActWrongGenesis},
		"false proof": {func(o *own.Options) { o.Authority, o.Proof = &member, aura.DevKey(3).Sign(genesis) }, message.ActFalseProof},
		"proof of another peer": {func(o *own.Options) {
			o.Authority, o.Proof = &member, aura.DevKey(2).Sign(peer.ProofRoot(genesis, 1, "somebody else's peer id, 38 bytes long"))
		}, message.ActFalseProof},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, "a", nil), start(t, "b", c.change)
			connect(t, a, b)
			// Who is of another chain is so for both, and the first to hear of it says goodbye.
			verdict := func() string { return strings.Trim(a.notes()+b.notes(), "[]") }
			until(t, "a verdict", func() bool { return strings.Contains(verdict(), "act "+c.act) })
			until(t, "the end of the connection", func() bool { return len(a.host.Network().ConnsToPeer(b.host.ID())) == 0 })
			if strings.Contains(a.notes(), "joined") {
				t.Errorf("a notes %s, b %s", a.notes(), b.notes())
			}
			if _, err := b.net.Range(t.Context(), a.host.ID(), peer.Range{From: 1, Count: 1}, time.Second, nil); err == nil {
				t.Error("it is answered")
			}
		})
	}
}

// Ranges come whole, cut by count, by bytes and by the head; headers lead to the same roots.
func TestRange(t *testing.T) {
	chain := blocks(300, 300)
	a, b := pair(t, chain)
	for _, c := range []struct {
		ask  peer.Range
		want int
		end  uint32
	}{
		{peer.Range{From: 1, Count: 256}, 256, peer.EndComplete},
		{peer.Range{From: 200, Count: 256}, 101, peer.EndHead},
		{peer.Range{From: 301, Count: 1}, 0, peer.EndHead},
		{peer.Range{From: 1 << 63, Count: 1}, 0, peer.EndHead},
		{peer.Range{From: 5, Count: 9, MaxBytes: 1}, 1, peer.EndBytes},
		{peer.Range{From: 5, Count: 9, MaxBytes: uint32(3 * len(chain[4]))}, 3, peer.EndBytes},
	} {
		got := [][]byte{}
		end, err := b.net.Range(t.Context(), a.host.ID(), c.ask, 10*time.Second, func(signed []byte) error {
			got = append(got, signed)
			return nil
		})
		if err != nil || end.Code != c.end || len(got) != c.want {
			t.Fatalf("%+v: %d blocks, %+v, %v", c.ask, len(got), end, err)
		}
		for i := range got {
			if !bytes.Equal(got[i], chain[int(c.ask.From)-1+i]) {
				t.Fatalf("%+v: block %d differs", c.ask, i)
			}
		}
	}
	next := 40
	end, err := b.net.Headers(t.Context(), a.host.ID(), 40, 200, 10*time.Second, func(h *peer.Header) error {
		got, root, err := h.Open()
		if err != nil || root != a.source.id(uint64(next)).Root || got.Payload.BlockNumber != uint64(next) {
			t.Errorf("header %d: root %s: %v", next, root, err)
		}
		next++
		return nil
	})
	if err != nil || next != 240 || end.Code != peer.EndComplete {
		t.Errorf("%d headers, %+v, %v", next-40, end, err)
	}
}

// Blocks come by root with those below them, contents by hash, approvals and signatures by
// what they are of.
func TestOthers(t *testing.T) {
	chain := blocks(20, 50)
	a, b := pair(t, chain)
	id := a.host.ID()
	got, err := b.net.Descend(t.Context(), id, peer.Descend{Root: a.source.id(17).Root, Lowest: 12, Count: 64}, time.Second*10)
	if err != nil || len(got) != 6 || !bytes.Equal(got[0], chain[11]) || !bytes.Equal(got[5], chain[16]) {
		t.Errorf("%d blocks: %v", len(got), err)
	}
	if _, err := b.net.Descend(t.Context(), id, peer.Descend{Root: common.Hash{1}, Count: 1}, time.Second*10); faultKind(err) != message.ActEmpty {
		t.Errorf("a block that nobody has: %v", err)
	}

	data := []byte("a payload")
	c := sha(data)
	a.source.contents = map[[32]byte][]byte{c: data}
	n := 0
	err = b.net.Contents(t.Context(), id, [][32]byte{{7}, c, {8}}, time.Second*10, func(h [32]byte, d []byte) error {
		if n++; h != c || !bytes.Equal(d, data) {
			t.Errorf("content %x", h)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("%d contents: %v", n, err)
	}
	a.source.contents[[32]byte{7}] = []byte("of another hash")
	err = b.net.Contents(t.Context(), id, [][32]byte{{7}}, time.Second*10, func([32]byte, []byte) error { return nil })
	if faultKind(err) != message.ActWrongBytes {
		t.Errorf("content of another hash: %v", err)
	}

	root := common.Hash{3}
	a.source.approvals = map[common.Hash][]aura.Approval{root: {{Authority: 0, Signature: aura.Signature{1}}, {Authority: 2, Signature: aura.Signature{2}}}}
	n = 0
	err = b.net.Approvals(t.Context(), id, [][32]byte{{1}, root}, time.Second*10, func(x *peer.Approval) error {
		if x.Root != root || x.Authority != uint8(2*n) || x.Signature[0] != byte(n+1) {
			t.Errorf("%+v", x)
		}
		n++
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d approvals: %v", n, err)
	}

	p := message.PaymentSignatures{Txid: [32]byte{4}, Key: [33]byte{2, 5}, Signatures: []message.PayoutSignature{{Value: [64]byte{6}}, {Value: [64]byte{7}}}}
	a.source.signatures = map[[32]byte][]message.PaymentSignatures{{4}: {p}}
	var sigs []message.PaymentSignatures
	err = b.net.Signatures(t.Context(), id, [][32]byte{{4}, {5}}, time.Second*10, func(s message.PaymentSignatures) error {
		sigs = append(sigs, s)
		return nil
	})
	if err != nil || fmt.Sprint(sigs) != fmt.Sprint([]message.PaymentSignatures{p}) {
		t.Errorf("%+v: %v", sigs, err)
	}

	a.net.Handle(own.Journal, func(_ context.Context, from libp2ppeer.ID, request []byte, send func([]byte) error) error {
		return errors.Join(send(append([]byte("note of "), request...)), send([]byte(from.String())))
	})
	var notes []string
	_, err = b.net.Ask(t.Context(), id, own.Journal, []byte("17"), 1000, time.Second*10, func(d []byte) error {
		notes = append(notes, string(d))
		return nil
	})
	if err != nil || fmt.Sprint(notes) != "[note of 17 "+b.host.ID().String()+"]" {
		t.Errorf("%s: %v", notes, err)
	}
	_, err = b.net.Ask(t.Context(), id, own.Journal, []byte("17"), 9, time.Second*10, func(d []byte) error { return nil })
	if faultKind(err) != message.ActOversized {
		t.Errorf("more than was asked for: %v", err)
	}
}
