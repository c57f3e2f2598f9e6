package host

import (
	"strconv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// TestFound dials who is found on this network at its IPv4 address, as legacy does, and
// never this node itself; of junk it keeps a bounded number. (wire.md 9.1)
func TestFound(t *testing.T) {
	net, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	h := &Host{net: net}
	d, err := newDialer(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) multiaddr.Multiaddr {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	f := found{d}
	f.HandlePeerFound(peer.AddrInfo{ID: "other", Addrs: []multiaddr.Multiaddr{at("/ip6/fe80::1/tcp/1"), at("/ip4/192.0.2.1/tcp/1"), at("/ip4/192.0.2.2/tcp/1")}})
	f.HandlePeerFound(peer.AddrInfo{ID: net.ID(), Addrs: []multiaddr.Multiaddr{at("/ip4/192.0.2.3/tcp/1")}})
	if len(d.targets) != 1 || d.targets["/ip4/192.0.2.1/tcp/1"] == nil || d.targets["/ip4/192.0.2.1/tcp/1"].id != "other" {
		t.Fatalf("%v", d.targets)
	}
	for port := range 2 * maxTargets {
		a, err := multiaddr.NewComponent("tcp", strconv.Itoa(port+1))
		if err != nil {
			t.Fatal(err)
		}
		f.HandlePeerFound(peer.AddrInfo{ID: "junk", Addrs: []multiaddr.Multiaddr{at("/ip4/203.0.113.1").Encapsulate(a)}})
	}
	if len(d.targets) > maxTargets {
		t.Errorf("%d targets", len(d.targets))
	}
}

// TestPause doubles to a minute and no further, and differs by address.
func TestPause(t *testing.T) {
	last := time.Duration(0)
	for fails := 1; fails < 300; fails++ {
		p := pause(fails, "/ip4/192.0.2.1/tcp/1")
		if p > longestPause || p < firstPause*3/4 {
			t.Fatalf("after %d failures %v", fails, p)
		}
		if fails < 5 && p <= last {
			t.Errorf("after %d failures %v, before %v", fails, p, last)
		}
		last = p
	}
	if last < longestPause*3/4 {
		t.Errorf("ends at %v", last)
	}
	if pause(3, "/ip4/192.0.2.1/tcp/1") == pause(3, "/ip4/192.0.2.2/tcp/1") {
		t.Error("two addresses are dialled at the same time")
	}
}
