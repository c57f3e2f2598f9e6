package own_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libp2ppeer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// rogue is a peer that keeps to no rule.
type rogue struct {
	t       *testing.T
	host    libp2phost.Host
	victim  *node
	session network.Stream
	in      *bufio.Reader
}

// newRogue connects a rogue to a node, with a session when greet is set.
func newRogue(t *testing.T, victim *node, greet bool) *rogue {
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	r := &rogue{t: t, host: h, victim: victim}
	opened := make(chan network.Stream, 4)
	h.SetStreamHandler(own.Session, func(s network.Stream) { opened <- s })
	if err := h.Connect(t.Context(), libp2ppeer.AddrInfo{ID: victim.host.ID(), Addrs: victim.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	if !greet {
		return r
	}
	first := h.ID() < victim.host.ID()
	if first {
		r.session = r.open(own.Session)
	} else {
		until(t, "the rogue's protocols", func() bool {
			p, err := victim.host.Peerstore().SupportsProtocols(h.ID(), own.Session)
			return err == nil && len(p) == 1
		})
		victim.net.Join(h.ID())
		r.session = <-opened
	}
	r.in = bufio.NewReader(r.session)
	r.write(r.session, &peer.Hello{Version: 1, ChainID: rules().ChainID, Genesis: genesis, Agent: "rogue"})
	if _, err := peer.ReadFrame(r.in, peer.KindHello); err != nil {
		t.Fatal(err)
	}
	until(t, "a session with the rogue", func() bool { return victim.peers() == 1 })
	return r
}

func (r *rogue) open(p protocol.ID) network.Stream {
	s, err := r.host.NewStream(r.t.Context(), r.victim.host.ID(), p)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rogue) write(s network.Stream, m peer.Message) { _, _ = s.Write(peer.AppendFrame(nil, m)) }

// A session that brings what it must not, or nothing, or too much, ends with its reason.
func TestRogueSessions(t *testing.T) {
	for name, c := range map[string]struct {
		does func(*rogue)
		want string
	}{
		"junk":            {func(r *rogue) { _, _ = r.session.Write([]byte("\x05\xff\xff\xff\xff\xff")) }, "act protocol"},
		"a block":         {func(r *rogue) { r.write(r.session, &peer.Block{Signed: []byte{1}}) }, "act protocol"},
		"hello again":     {func(r *rogue) { r.write(r.session, &peer.Hello{Version: 1}) }, "act protocol"},
		"a huge ping":     {func(r *rogue) { _, _ = r.session.Write(append(binary.AppendUvarint(nil, 1<<27), byte(peer.KindPing))) }, "act protocol"},
		"nothing":         {func(*rogue) {}, "ended: it is silent"},
		"half a frame":    {func(r *rogue) { _, _ = r.session.Write([]byte{2, byte(peer.KindPing)}) }, "ended: it is silent"},
		"a flood":         {func(r *rogue) { go repeat(r, &peer.Status{}) }, "act flood"},
		"unread pings":    {func(r *rogue) { go repeat(r, &peer.Ping{Number: 1}) }, "ended: it "},
		"goodbye":         {func(r *rogue) { r.write(r.session, &peer.Goodbye{Reason: "off"}) }, "ended: it says goodbye: off"},
		"another session": {func(r *rogue) { r.again() }, "act protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := start(t, "victim", func(o *own.Options) { o.Silence, o.Patience = time.Second, time.Second })
			r := newRogue(t, v, true)
			if name == "another session" && r.host.ID() < v.host.ID() {
				t.Skip("this one may")
			}
			c.does(r)
			until(t, c.want, func() bool { return strings.Contains(v.notes(), c.want) })
			if name != "another session" {
				until(t, "the end", func() bool { return v.peers() == 0 && len(v.host.Network().ConnsToPeer(r.host.ID())) == 0 })
			}
		})
	}
}

// Who opens one session after the other on a connection is told of as coming and going a few
// times only: each time is kept for ever.
func TestRogueComesAndGoes(t *testing.T) {
	v := start(t, "victim", nil)
	r := newRogue(t, v, false)
	for r.host.ID() > v.host.ID() { // else the session is the victim's to open
		r = newRogue(t, v, false)
	}
	const times = 40
	for i := range times {
		s := r.open(own.Session)
		r.write(s, &peer.Hello{Version: 1, ChainID: rules().ChainID, Genesis: genesis})
		_, err := peer.ReadFrame(bufio.NewReader(s), peer.KindHello)
		if i == 0 && err != nil {
			t.Fatal(err)
		}
	}
	until(t, "a note of it", func() bool { return strings.Contains(v.notes(), "act spam") })
	if n := strings.Count(v.notes(), "joined"); n > times/2 {
		t.Errorf("%d of %d sessions are told of", n, times)
	}
}

func repeat(r *rogue, m peer.Message) {
	for range 100_000 {
		if _, err := r.session.Write(peer.AppendFrame(nil, m)); err != nil {
			return
		}
	}
}

func (r *rogue) again() {
	s := r.open(own.Session)
	r.write(s, &peer.Hello{Version: 1, ChainID: rules().ChainID, Genesis: genesis})
}

// Who has no session is answered nothing; who opens streams without end, or does not read
// what it asked for, holds a few and is told on. Goroutines go back to what they were.
func TestRogueRequests(t *testing.T) {
	v := start(t, "victim", func(o *own.Options) { o.Patience, o.Silence = 2*time.Second, time.Minute })
	v.source.mu.Lock()
	v.source.chain = blocks(64, 1<<20)
	v.source.mu.Unlock()
	r := newRogue(t, v, true)
	before := runtime.NumGoroutine()
	streams := make([]network.Stream, 0, 50)
	for range 50 {
		s, err := r.host.NewStream(t.Context(), v.host.ID(), own.Range)
		if err != nil {
			break
		}
		r.write(s, &peer.Range{From: 1, Count: 1024}) // and reads nothing
		streams = append(streams, s)
	}
	until(t, "a flood", func() bool { return strings.Contains(v.notes(), "act flood") })
	if n := runtime.NumGoroutine(); n > before+250 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	until(t, "the streams' end", func() bool { return runtime.NumGoroutine() <= before+2 })
	for _, s := range streams {
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
		// What was written stands in the reader's own window, which yamux lets grow to 16 MiB.
		if n, err := io.Copy(io.Discard, s); n > 20<<20 {
			t.Errorf("%d bytes were written to a stream that nobody reads: %v", n, err)
		}
	}
	if v.peers() != 1 {
		t.Error("the session ended: requests are another matter")
	}

	stranger := newRogue(t, v, false)
	s := stranger.open(own.Content)
	stranger.write(s, &peer.Contents{Hashes: make([]byte, 32)})
	_ = s.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(s); err == nil || len(b) > 0 {
		t.Errorf("a stranger is answered %x, %v", b, err)
	}
}

// Answers that are none are told by the act they are.
func TestRogueAnswers(t *testing.T) {
	chain := blocks(3, 10)
	_, first, _ := decode(chain[0])
	send := func(frames ...peer.Message) []byte {
		var out []byte
		for _, m := range frames {
			out = peer.AppendFrame(out, m)
		}
		return out
	}
	v := start(t, "victim", nil)
	r := newRogue(t, v, true)
	go func() { _, _ = io.Copy(io.Discard, r.in) }()
	b := func(i int) peer.Message { return &peer.Block{Signed: chain[i]} }
	for name, c := range map[string]struct {
		answer []byte
		stay   bool
		want   string
	}{
		"nothing":        {nil, true, message.ActTimeout},
		"a drip":         {send(b(0)), true, message.ActSlow},
		"half a frame":   {send(b(0))[:20], true, message.ActTimeout},
		"cut":            {send(b(0)), false, message.ActReset},
		"junk":           {[]byte("\x03\x00\x00\x00"), false, message.ActProtocol},
		"another kind":   {send(&peer.Content{Data: chain[0]}), false, message.ActProtocol},
		"too many":       {send(b(0), b(1), b(2)), false, message.ActUnwanted},
		"too many bytes": {send(b(0), &peer.Block{Signed: make([]byte, 5000)}), false, message.ActOversized},
		"busy":           {send(&peer.End{Code: peer.EndBusy}), false, "<nil>"},
	} {
		r.host.SetStreamHandler(own.Range, func(s network.Stream) {
			_, _ = s.Write(c.answer)
			if !c.stay {
				_ = s.Close()
			}
		})
		_, err := v.net.Range(t.Context(), r.host.ID(), peer.Range{From: 1, Count: 2, MaxBytes: 4000}, 500*time.Millisecond, func([]byte) error { return nil })
		if faultKind(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		answer []byte
		want   string
		good   int
	}{
		"another block":  {send(b(1), &peer.End{}), message.ActForged, 0},
		"another parent": {send(b(0), b(2), &peer.End{}), message.ActForged, 1},
		"no block":       {send(&peer.Block{Signed: []byte{9}}), message.ActMalformed, 0},
		"missing":        {send(&peer.End{Code: peer.EndMissing}), message.ActEmpty, 0},
	} {
		r.host.SetStreamHandler(own.Descend, func(s network.Stream) { _, _ = s.Write(c.answer) })
		got, err := v.net.Descend(t.Context(), r.host.ID(), peer.Descend{Root: first, Lowest: 0, Count: 5}, 2*time.Second)
		if faultKind(err) != c.want || len(got) != c.good {
			t.Errorf("%s: %d blocks, %v, want %s", name, len(got), err, c.want)
		}
	}
}

// Announcements that lead nowhere hold nothing for long and deliver nothing.
func TestRogueAnnouncements(t *testing.T) {
	raw := blocks(1, 100_000)[0]
	signed, root, _ := decode(raw)
	c, err := peer.NewCompact(signed)
	if err != nil {
		t.Fatal(err)
	}
	v := start(t, "victim", func(o *own.Options) { o.Patience = 500 * time.Millisecond })
	r := newRogue(t, v, true)
	go func() { _, _ = io.Copy(io.Discard, r.in) }()
	good := peer.Announce{Root: root, Number: 1, Bytes: uint32(len(raw))}
	for name, frames := range map[string][]peer.Message{
		"nothing follows":     {&good},
		"another block":       {&peer.Announce{Root: common.Hash{1}, Number: 1, Bytes: uint32(len(raw))}, c, parts(signed.Block.Payload.Transactions)},
		"other bytes":         {&peer.Announce{Root: root, Number: 1, Bytes: uint32(len(raw)) + 1}, c, parts(signed.Block.Payload.Transactions)},
		"other transactions":  {&good, c, parts([][]byte{{1}, {2}})},
		"no transactions":     {&good, c},
		"junk for a skeleton": {&good, &peer.Compact{Skeleton: []byte{1}, Hashes: make([]byte, 32)}},
	} {
		s := r.open(own.Large)
		for _, m := range frames {
			r.write(s, m)
		}
		_ = s.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, s); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	s := r.open(own.Large) // and then the whole block, well brought
	for _, m := range []peer.Message{&good, c, parts(signed.Block.Payload.Transactions)} {
		r.write(s, m)
	}
	until(t, "the block", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return bytes.Equal(v.taken[root], raw)
	})
	if len(v.taken) != 1 {
		t.Errorf("%d blocks are taken", len(v.taken))
	}
}

func parts(list [][]byte) *peer.Parts {
	p := &peer.Parts{}
	for _, tx := range list {
		p.List = append(binary.AppendUvarint(p.List, uint64(len(tx))), tx...)
	}
	return p
}
