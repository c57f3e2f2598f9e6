package legacy_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacy"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacytest"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../../testdata/legacy"

// blocks are recorded blocks in the order they were heard.
func blocks(t testing.TB) [][]byte {
	t.Helper()
	lines, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", "fed3"), "gossip")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, line := range lines {
		var v struct{ Data string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(v.Data)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := gossip.Decode(data); err == nil {
			if b, ok := m.(*gossip.ConsensusBlock); ok {
				out = append(out, b.Signed.Encode())
			}
		}
	}
	return out
}

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New), libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func standIn(t testing.TB, h host.Host, o legacytest.Options) *legacytest.Node {
	t.Helper()
	n, err := legacytest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	at, err := multiaddr.NewMultiaddr(n.Address())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Connect(t.Context(), peer.AddrInfo{ID: n.ID(), Addrs: []multiaddr.Multiaddr{at}}); err != nil {
		t.Fatal(err)
	}
	return n
}

// fetch asks and returns what came.
func fetch(t testing.TB, h host.Host, id peer.ID, a legacy.Ask) ([][]byte, error) {
	t.Helper()
	var got [][]byte
	n, err := legacy.Fetch(t.Context(), h, id, a, func(signed []byte) error {
		got = append(got, signed)
		return nil
	})
	if n != len(got) {
		t.Errorf("%d blocks counted, %d given", n, len(got))
	}
	return got, err
}

// TestFetch asks builds of legacy that send one block, and those that send all.
func TestFetch(t *testing.T) {
	all := blocks(t)
	for _, c := range []struct {
		name     string
		older    bool
		from     uint64
		count    uint32
		maxBytes uint64
		want     [][]byte
	}{
		{"one and a close", false, 3, 1024, 1 << 20, all[3:4]},
		{"all", true, 3, 1024, 1 << 30, all[3:]},
		{"as many as asked for", true, 3, 4, 1 << 30, all[3:7]},
		{"up to so many bytes", true, 0, 1024, uint64(len(all[0]) + 1), all[:2]},
		{"nothing above the head", true, uint64(len(all)), 10, 1 << 20, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			n := standIn(t, h, legacytest.Options{Blocks: all, Older: c.older})
			got, err := fetch(t, h, n.ID(), legacy.Ask{From: c.from, Count: c.count, MaxBytes: c.maxBytes, Deadline: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, c.want, bytes.Equal) {
				t.Errorf("%d blocks, want %d", len(got), len(c.want))
			}
		})
	}
}

// TestFetchEnds ends where legacy would wait for three minutes.
func TestFetchEnds(t *testing.T) {
	h := newHost(t)
	silent := standIn(t, h, legacytest.Options{Blocks: blocks(t), Silent: true})
	a := legacy.Ask{Count: 1, MaxBytes: 1, Deadline: 100 * time.Millisecond}
	_, err := fetch(t, h, silent.ID(), a)
	if p, ok := errors.AsType[*legacy.Problem](err); !ok || p.Kind != message.ActTimeout {
		t.Errorf("silence: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the node stops")
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	a.Deadline = time.Minute
	if _, err := legacy.Fetch(ctx, h, silent.ID(), a, func([]byte) error { return nil }); !errors.Is(err, why) {
		t.Errorf("a stop: %v", err)
	}
	if _, err := fetch(t, h, "nobody", a); err == nil {
		t.Error("nobody answers")
	}
	for _, count := range []uint32{0, blockrange.MaxCount + 1} {
		a.Count = count
		if _, err := fetch(t, h, silent.ID(), a); err == nil {
			t.Errorf("legacy was asked for %d blocks", count)
		}
	}
	if asked := silent.Asked(); len(asked) != 2 {
		t.Errorf("legacy was asked %d times", len(asked))
	}
}

// source serves blocks as a node does.
func source(all [][]byte) func(context.Context, uint64, func([]byte) error) error {
	return func(_ context.Context, from uint64, each func([]byte) error) error {
		for ; from < uint64(len(all)); from++ {
			if err := each(all[from]); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestServe has legacy sync from us: all of a short chain at once, and the first 1024 of
// a long one; it does not believe that it is synced before it is. While we are behind it
// gets a code.
func TestServe(t *testing.T) {
	few := blocks(t)[:40]
	var many [][]byte
	for len(many) < 1500 {
		many = append(many, few...)
	}
	synced := true
	h := newHost(t)
	defer legacy.Serve(h, legacy.ServerOptions{Blocks: source(many[:1500]), Synced: func() bool { return synced }}).Close()
	n := standIn(t, h, legacytest.Options{Blocks: many[:1]})
	received, believes, err := n.Sync(t.Context(), h.ID())
	if err != nil || received != blockrange.MaxCount || believes {
		t.Fatalf("%d blocks, believes that it is synced: %t, %v", received, believes, err)
	}
	received, believes, err = n.Sync(t.Context(), h.ID())
	if err != nil || received != 1500-1-blockrange.MaxCount || !believes {
		t.Fatalf("%d blocks, believes that it is synced: %t, %v", received, believes, err)
	}
	synced = false
	if received, _, err = n.Sync(t.Context(), h.ID()); err != nil || received != 0 {
		t.Fatalf("from a node that is behind: %d blocks, %v", received, err)
	}
}

// exchange sends raw bytes as a request and returns the answer.
func exchange(t testing.TB, from, to host.Host, request []byte) []byte {
	t.Helper()
	if err := from.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
		t.Fatal(err)
	}
	s, err := from.NewStream(t.Context(), to.ID(), blockrange.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	if _, err := s.Write(request); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(s) // what came before a reset is the answer
	return data
}

// TestServeRefuses answers what is no request, and what cannot be sent, by codes.
func TestServeRefuses(t *testing.T) {
	us, them := newHost(t), newHost(t)
	var kinds []string
	large, err := block.Decode(blocks(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	large.Block.Payload.Transactions = [][]byte{make([]byte, 1<<20)}
	all := [][]byte{blocks(t)[0], large.Encode(), blocks(t)[1]}
	server := legacy.Serve(us, legacy.ServerOptions{Blocks: source(all), Synced: func() bool { return true }, Report: func(_ peer.ID, kind, _ string) { kinds = append(kinds, kind) }})
	code := func(answer []byte) blockrange.Code {
		chunk, _, err := blockrange.DecodeChunk(answer)
		if err != nil {
			t.Fatal(err)
		}
		return chunk.Code
	}
	if got := exchange(t, them, us, []byte(strings.Repeat("\xff", 200))); code(got) != blockrange.InvalidRequest {
		t.Errorf("junk: %v", code(got))
	}
	if got := exchange(t, them, us, blockrange.Request{Start: 0}.Encode()); len(got) != 0 {
		t.Errorf("no blocks: %x", got)
	}
	if got := exchange(t, them, us, blockrange.Request{Start: 1, Count: 1}.Encode()); code(got) != blockrange.ServerError {
		t.Errorf("a block that a chunk does not hold: %v", code(got))
	}
	got, err := blockrange.DecodeAnswer(exchange(t, them, us, blockrange.Request{Start: 0, Count: 3}.Encode()))
	if err != nil || len(got) != 1 {
		t.Errorf("before a block that a chunk does not hold: %d blocks, %v", len(got), err)
	}
	if err := server.Close(); err != nil { // waits for the answers: kinds is ours
		t.Fatal(err)
	}
	if !slices.Equal(kinds, []string{message.ActMalformed}) {
		t.Errorf("reported %v", kinds)
	}
}

// TestServeBounded has one peer leave its answers unread: it gets so many at a time, and
// another peer is answered meanwhile.
func TestServeBounded(t *testing.T) {
	us, hog, other := newHost(t), newHost(t), newHost(t)
	all := blocks(t)
	release := make(chan struct{})
	slow := func(ctx context.Context, from uint64, each func([]byte) error) error {
		if from == 7 {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return source(all)(ctx, from, each)
	}
	defer legacy.Serve(us, legacy.ServerOptions{Blocks: slow, Synced: func() bool { return true }}).Close()
	defer close(release)
	if err := hog.Connect(t.Context(), peer.AddrInfo{ID: us.ID(), Addrs: us.Addrs()}); err != nil {
		t.Fatal(err)
	}
	limited := make(chan bool)
	for range 16 {
		go func() {
			_, err := legacy.Fetch(t.Context(), hog, us.ID(), legacy.Ask{From: 7, Count: 1, MaxBytes: 1, Deadline: time.Minute}, func([]byte) error { return nil })
			limited <- err != nil && strings.Contains(err.Error(), "rate limited")
		}()
	}
	for range 12 {
		if !<-limited {
			t.Error("more answers at a time than a peer may have")
		}
	}
	got, err := blockrange.DecodeAnswer(exchange(t, other, us, blockrange.Request{Start: 1, Count: 2}.Encode()))
	if err != nil || len(got) != 2 {
		t.Errorf("another peer meanwhile: %d blocks, %v", len(got), err)
	}
}

// TestVectorsAnswers puts the requests that a legacy node was recorded answering to our
// server, over a real stream: each answer decodes by the recorded rules, begins with the
// block that legacy answered, and goes on where legacy closed.
func TestVectorsAnswers(t *testing.T) {
	lines, err := vectors.Lines(vectors.Dir(legacyDir), "range")
	if err != nil {
		t.Fatal(err)
	}
	type recorded struct {
		Start  uint64 `json:"start_height"`
		Count  uint64 `json:"count"`
		Answer string `json:"answer"`
	}
	byHeight := map[uint64][]byte{}
	for _, raw := range blocks(t) {
		b, err := block.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if n := b.Block.Payload.BlockNumber; byHeight[n] == nil {
			byHeight[n] = raw
		}
	}
	requests, theirs := make([]recorded, len(lines)), make([][]*block.Signed, len(lines))
	for i, line := range lines {
		if err := json.Unmarshal(line, &requests[i]); err != nil {
			t.Fatal(err)
		}
		answer, err := hex.DecodeString(requests[i].Answer)
		if err != nil {
			t.Fatal(err)
		}
		if theirs[i], err = blockrange.DecodeAnswer(answer); err != nil {
			t.Fatal(err)
		}
		for k, b := range theirs[i] { // what was made before anybody listened
			byHeight[requests[i].Start+uint64(k)] = b.Encode()
		}
	}
	held := func(_ context.Context, from uint64, each func([]byte) error) error {
		for ; byHeight[from] != nil; from++ {
			if err := each(byHeight[from]); err != nil {
				return err
			}
		}
		return nil
	}
	us, them := newHost(t), newHost(t)
	defer legacy.Serve(us, legacy.ServerOptions{Blocks: held, Synced: func() bool { return true }}).Close()
	passed, sent := 0, 0
	for i, r := range requests {
		ours, err := blockrange.DecodeAnswer(exchange(t, them, us, blockrange.Request{Start: r.Start, Count: r.Count}.Encode()))
		if err != nil {
			t.Errorf("request %d, from %d: %v", i+1, r.Start, err)
			continue
		}
		want := 0
		for want < int(min(r.Count, blockrange.MaxCount)) && byHeight[r.Start+uint64(want)] != nil {
			want++
		}
		good := len(ours) == want && (want > 0) == (len(theirs[i]) > 0)
		for k, b := range ours {
			good = good && b.Block.Payload.BlockNumber == r.Start+uint64(k)
		}
		// The aggregate is the sender's own; the root is over what is not.
		good = good && (want == 0 || ours[0].Root() == theirs[i][0].Root())
		if !good {
			t.Errorf("request %d, %d from %d: %d blocks, want %d; legacy sent %d", i+1, r.Count, r.Start, len(ours), want, len(theirs[i]))
			continue
		}
		passed, sent = passed+1, sent+len(ours)
	}
	t.Logf("our answers to the recorded requests: %d requests, %d passed, %d blocks", len(requests), passed, sent)
}
