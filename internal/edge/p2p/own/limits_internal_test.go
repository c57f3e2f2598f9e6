package own

import (
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// TestMembersAreServed has one stranger, and then many, take all they can get for as long as
// they like. Another stranger is served beside the one, a member beside all.
func TestMembersAreServed(t *testing.T) {
	l := newLimits()
	all := []protocol.ID{Range, Descend, Content, Approvals, Signatures, Large, Journal, Checkpoint}
	takeAll := func(id libp2p.ID) (n int) {
		for _, p := range all {
			for range streamsOfPeer {
				if v, _ := l.stream(id, false, p); v == served {
					n++
				}
			}
		}
		return n
	}
	if n := takeAll("stranger"); n == 0 || n > servedOfPeer {
		t.Errorf("one stranger is served %d requests at once", n)
	}
	if v, _ := l.stream("another", false, Range); v != served {
		t.Error("another stranger is not served")
	}
	for i := range 10 {
		takeAll(libp2p.ID(fmt.Sprint("stranger ", i)))
	}
	if v, _ := l.stream("one more", false, Range); v != busy {
		t.Error("strangers are served without a bound")
	}
	var done []func()
	for range servedAtOnce / 8 {
		v, leave := l.stream("member", true, all[len(done)%len(all)])
		if v != served {
			t.Fatal("a member is not served beside strangers")
		}
		done = append(done, leave)
	}
	for _, leave := range done {
		leave()
	}
	if l.members != 0 || len(l.peers["member"].streams) != 0 {
		t.Errorf("%d requests of members are left", l.members)
	}
}

// TestMembersBringLargeBlocks has strangers bring large blocks and not get done.
func TestMembersBringLargeBlocks(t *testing.T) {
	b := newLargeBlocks()
	begin := func(from libp2p.ID, member bool, n byte, bytes uint32) (func(), bool) {
		return b.begin(t.Context(), from, member, &peer.Announce{Root: common.Hash{n}, Number: 1, Bytes: bytes})
	}
	if _, ok := begin("stranger", false, 1, 1<<20); !ok {
		t.Fatal("a stranger's block is not taken")
	}
	if _, ok := begin("stranger", false, 2, 1<<20); ok {
		t.Error("a stranger brings two at once")
	}
	for i := range byte(8) {
		begin(libp2p.ID(fmt.Sprint("stranger ", i)), false, 10+i, peer.MaxBlock/2)
	}
	done, ok := begin("member", true, 3, peer.MaxBlock)
	if !ok {
		t.Fatal("a member's block is not taken beside those of strangers")
	}
	done()
	if done, ok = begin("member", true, 4, peer.MaxBlock); !ok {
		t.Fatal("a member's next block is not taken")
	}
	done()
	if b.members.bytes != 0 || b.members.blocks != 0 || len(b.members.peers) != 0 {
		t.Errorf("left of members: %+v", b.members)
	}
}

// TestMembersAreAsked has few members among many strangers: they come first.
func TestMembersAreAsked(t *testing.T) {
	n := &Network{sessions: map[libp2p.ID]*session{}}
	for i := range 60 {
		n.sessions[libp2p.ID(fmt.Sprint("stranger ", i))] = &session{hello: &peer.Hello{}}
	}
	for i := range 3 {
		n.sessions[libp2p.ID(fmt.Sprint("member ", i))] = &session{hello: &peer.Hello{HasAuthority: true}}
	}
	for i, id := range n.Peers() {
		if member := n.sessions[id].hello.HasAuthority; member != (i < 3) {
			t.Fatalf("place %d is %q's", i, string(id))
		}
	}
}
