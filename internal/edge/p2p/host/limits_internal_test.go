package host

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// TestRoomToDial has strangers take all that they can get, connections and streams, first
// while nobody knows who they are. This side can dial, and open streams, all the same.
func TestRoomToDial(t *testing.T) {
	const some = 4096
	address := func(i int) multiaddr.Multiaddr {
		return multiaddr.StringCast(fmt.Sprintf("/ip4/10.%d.%d.1/tcp/1", i/256, i%256))
	}
	m, err := resources(16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	taken := 0
	for i := range some {
		if _, err := m.OpenConnection(network.DirInbound, true, address(i)); err == nil {
			taken++
		}
	}
	if taken == 0 || taken == some {
		t.Fatalf("%d of %d connections of strangers are let in", taken, some)
	}
	dial, err := m.OpenConnection(network.DirOutbound, true, address(some))
	if err != nil {
		t.Fatalf("no member can be dialled beside %d strangers who say nothing: %v", taken, err)
	}
	if err := dial.SetPeer("member"); err != nil {
		t.Fatal(err)
	}
	for i := range some {
		for range 64 {
			if _, err := m.OpenStream(peer.ID(fmt.Sprint("stranger ", i)), network.DirInbound); err != nil {
				break
			}
		}
	}
	if _, err := m.OpenStream("member", network.DirOutbound); err != nil {
		t.Fatalf("no stream to a member beside those of strangers: %v", err)
	}
}

// TestFewStrangersAndStreams has a few strangers open streams and not say what for: a member
// can open some.
func TestFewStrangersAndStreams(t *testing.T) {
	m, err := resources(16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := range 8 {
		for range peerStreams {
			if _, err := m.OpenStream(peer.ID(fmt.Sprint("stranger ", i)), network.DirInbound); err != nil {
				t.Fatalf("stranger %d: %v", i, err)
			}
		}
	}
	if _, err := m.OpenStream("member", network.DirInbound); err != nil {
		t.Fatalf("a member opens no stream beside those of eight strangers: %v", err)
	}
}
