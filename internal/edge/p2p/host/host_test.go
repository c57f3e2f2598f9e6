package host_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacytest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
)

// peers records what a host tells of its peers.
type peers struct {
	mu     sync.Mutex
	joined []host.Peer
	left   []peer.ID
}

func (p *peers) has(id peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, j := range p.joined {
		if j.ID == id {
			return true
		}
	}
	return false
}

func (p *peers) gone(id peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.left {
		if l == id {
			return true
		}
	}
	return false
}

func open(t testing.TB, o host.Options) (*host.Host, *peers) {
	t.Helper()
	key, err := host.Identity(filepath.Join(t.TempDir(), "peer.key"))
	if err != nil {
		t.Fatal(err)
	}
	p := new(peers)
	o.Key = key
	if o.Listen == nil {
		o.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	if o.Judge == nil {
		o.Judge = func(*host.Message) host.Verdict { return host.Accept }
	}
	o.Joined = func(j host.Peer) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.joined = append(p.joined, j)
	}
	o.Left = func(id peer.ID, _ string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left = append(p.left, id)
	}
	h, err := host.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, p
}

func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestIdentity keeps a key across starts, and refuses a file that holds none.
func TestIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "below", "peer.key")
	first, err := host.Identity(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := host.Identity(file)
	if err != nil || !first.Equals(again) {
		t.Errorf("another key at the second start, %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Identity(file); !fault.Is(err, fault.Corrupt) {
		t.Errorf("junk: %v", err)
	}
}

// TestRefusedOptions names what is wrong.
func TestRefusedOptions(t *testing.T) {
	key, err := host.Identity(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	judge := func(*host.Message) host.Verdict { return host.Accept }
	used, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	port := used.Addr().String()[strings.LastIndex(used.Addr().String(), ":")+1:]
	for name, o := range map[string]host.Options{
		"no key":         {Judge: judge},
		"no judge":       {Key: key},
		"not a multi":    {Key: key, Judge: judge, Listen: []string{"127.0.0.1:1"}},
		"boot":           {Key: key, Judge: judge, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Boot: []string{"host:1"}},
		"boot with only": {Key: key, Judge: judge, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Boot: []string{"/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"}},
		"taken":          {Key: key, Judge: judge, Listen: []string{"/ip4/127.0.0.1/tcp/" + port}},
	} {
		h, err := host.Open(context.Background(), o)
		if err == nil {
			t.Errorf("%s: opened", name)
			_ = h.Close()
		}
	}
}

// TestTransports connects over TCP and over QUIC, and gossips over each.
func TestTransports(t *testing.T) {
	for name, listen := range map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var got []byte
			a, _ := open(t, host.Options{Listen: []string{listen}, Heard: func(_ context.Context, m *host.Message) {
				mu.Lock()
				defer mu.Unlock()
				got = m.Data
			}})
			b, seen := open(t, host.Options{Boot: a.Addresses()})
			until(t, "they are connected", func() bool { return seen.has(a.ID()) })
			data := bytes.Repeat([]byte{7}, gossip.MaxData)
			until(t, "somebody listens", func() bool { return b.Listeners(gossip.TopicConsensusBlock) == 1 })
			if err := b.Publish(t.Context(), gossip.TopicConsensusBlock, data); err != nil {
				t.Fatal(err)
			}
			until(t, "the largest message arrives", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return bytes.Equal(got, data)
			})
			if err := b.Publish(t.Context(), gossip.TopicConsensusBlock, append(data, 7)); !fault.Is(err, fault.Invalid) {
				t.Errorf("beyond legacy's frame: %v", err)
			}
			if err := b.Publish(t.Context(), "other", data); !fault.Is(err, fault.Invalid) {
				t.Errorf("on another topic: %v", err)
			}
		})
	}
}

// TestBans disconnects who is banned, by id and by address, refuses it when it comes
// again, and dials it no more; when the ban ends it may.
func TestBans(t *testing.T) {
	a, told := open(t, host.Options{})
	b, _ := open(t, host.Options{Boot: a.Addresses()})
	until(t, "they are connected", func() bool { return told.has(b.ID()) })
	for name, ban := range map[string]host.Ban{
		"by id":      {Peer: b.ID()},
		"by address": {Address: netip.MustParseAddr("127.0.0.1")},
		"for a time": {Peer: b.ID(), Until: time.Now().Add(time.Hour)},
	} {
		a.Guide([]host.Ban{ban}, nil)
		until(t, name+": it is disconnected", func() bool { return a.Network().Network().Connectedness(b.ID()) != network.Connected })
		if err := b.Network().Connect(t.Context(), peer.AddrInfo{ID: a.ID(), Addrs: a.Network().Addrs()}); err == nil {
			// The other end may have seen the handshake end well; it sees the close next.
			until(t, name+": it is refused", func() bool { return a.Network().Network().Connectedness(b.ID()) != network.Connected })
		}
		if err := a.Network().Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Network().Addrs()}); err == nil {
			t.Errorf("%s: it is dialled", name)
		}
		a.Guide([]host.Ban{{Peer: b.ID(), Until: time.Now().Add(-time.Second)}}, nil)
		until(t, name+": it comes again when the ban is over", func() bool { return a.Network().Network().Connectedness(b.ID()) == network.Connected })
	}
	if !told.gone(b.ID()) {
		t.Error("nobody was told that it left")
	}
}

// TestKnown dials the address book, also when the id at an address is another by now.
func TestKnown(t *testing.T) {
	a, told := open(t, host.Options{})
	old := standIn(t)
	stranger, _ := open(t, host.Options{})
	a.Guide(nil, []host.Known{{ID: stranger.ID(), Address: old.Address()}, {Address: "no address"}, {ID: a.ID(), Address: strings.Split(a.Addresses()[0], "/p2p/")[0]}})
	until(t, "whoever is there now is connected", func() bool { return told.has(old.ID()) })
}

func standIn(t testing.TB) *legacytest.Node {
	t.Helper()
	n, err := legacytest.Start(legacytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// TestGraylist stops reading a peer whose messages are refused one after the other, and
// goes on with another.
func TestGraylist(t *testing.T) {
	var mu sync.Mutex
	judged := map[peer.ID]int{}
	a, told := open(t, host.Options{Judge: func(m *host.Message) host.Verdict {
		mu.Lock()
		defer mu.Unlock()
		judged[m.From]++
		return host.Reject
	}})
	count := func(id peer.ID) int {
		mu.Lock()
		defer mu.Unlock()
		return judged[id]
	}
	bad, other := standIn(t), standIn(t)
	for _, n := range []*legacytest.Node{bad, other} {
		if err := n.Connect(t.Context(), a.Addresses()[0]); err != nil {
			t.Fatal(err)
		}
		until(t, "they are connected", func() bool { return told.has(n.ID()) && n.Listeners(gossip.TopicQueuePow) == 1 })
	}
	// One after the other, until one is not read any more.
	last := 0
	for cut := false; !cut && last < 40; {
		if err := bad.Publish(gossip.TopicQueuePow, []byte{byte(last), 1}); err != nil {
			t.Fatal(err)
		}
		patience := time.Now().Add(5 * time.Second)
		for count(bad.ID()) <= last && !cut {
			time.Sleep(5 * time.Millisecond)
			cut = time.Now().After(patience)
		}
		last = count(bad.ID())
	}
	if last < 10 || last >= 40 {
		t.Errorf("%d refused messages were judged", last)
	}
	if err := other.Publish(gossip.TopicQueuePow, []byte("other")); err != nil {
		t.Fatal(err)
	}
	until(t, "another peer is read", func() bool { return count(other.ID()) == 1 })
}

// TestSilentAddress has an address that takes connections and says nothing, beside one
// that answers: the second is reached while the first is waited for.
func TestSilentAddress(t *testing.T) {
	silent, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	old := standIn(t)
	port := silent.Addr().String()[strings.LastIndex(silent.Addr().String(), ":")+1:]
	_, told := open(t, host.Options{Boot: []string{"/ip4/127.0.0.1/tcp/" + port, old.Address()}})
	until(t, "the one that answers is reached", func() bool { return told.has(old.ID()) })
}

// TestFloodBounded has a peer open streams without end, and connections: it gets so many,
// goroutines stay bounded, and another peer is served meanwhile.
func TestFloodBounded(t *testing.T) {
	const slow = protocol.ID("/alys/slow/1")
	a, _ := open(t, host.Options{MaxPeers: 8})
	release := make(chan struct{})
	defer close(release)
	a.Network().SetStreamHandler(slow, func(s network.Stream) {
		defer s.Reset()
		<-release
	})
	before := runtime.NumGoroutine()
	flood, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	if err := flood.Connect(t.Context(), peer.AddrInfo{ID: a.ID(), Addrs: a.Network().Addrs()}); err != nil {
		t.Fatal(err)
	}
	opened, refused := 0, 0
	for range 600 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		s, err := flood.NewStream(ctx, a.ID(), slow)
		if err == nil {
			// The protocol is spoken with the first byte.
			_, err = s.Write([]byte{1})
		}
		cancel()
		if err != nil {
			refused++
		} else {
			opened++
		}
		if refused > 20 {
			break
		}
	}
	inbound := 0
	for _, c := range a.Network().Network().ConnsToPeer(flood.ID()) {
		inbound += len(c.GetStreams())
	}
	if inbound > 128 {
		t.Errorf("%d streams of one peer", inbound)
	}
	if grown := runtime.NumGoroutine() - before; grown > 1500 {
		t.Errorf("%d goroutines more", grown)
	}
	t.Logf("%d opened, %d refused, %d streams held, %d goroutines more", opened, refused, inbound, runtime.NumGoroutine()-before)
	b, seen := open(t, host.Options{Boot: a.Addresses()})
	_ = b
	until(t, "another peer is served", func() bool { return seen.has(a.ID()) })
}

// TestNobodyWaitsForClose closes a host with dials, connections and gossip under way, and
// leaves no goroutine behind.
func TestNobodyWaitsForClose(t *testing.T) {
	settle := func() int {
		n := runtime.NumGoroutine()
		for range 100 {
			time.Sleep(20 * time.Millisecond)
			if m := runtime.NumGoroutine(); m == n {
				break
			} else {
				n = m
			}
		}
		return n
	}
	round := func() {
		a, _ := open(t, host.Options{Boot: []string{"/ip4/127.0.0.1/tcp/9", "/ip4/192.0.2.1/tcp/9"}})
		b, seen := open(t, host.Options{Boot: a.Addresses()})
		until(t, "they are connected", func() bool { return seen.has(a.ID()) })
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	round() // what starts once and stays
	before := settle()
	for range 3 {
		round()
	}
	until(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before+10 })
}
