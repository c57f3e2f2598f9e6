package chain

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// configured gives a state made by hand the rules of the development chain, and
// all its blocks the approval of its member.
func configured(s *State) *State {
	c := spec.Dev()
	committee, err := aura.NewCommittee(c.Authorities)
	if err != nil {
		panic(err)
	}
	s.rules = &ruleset{spec: c, committee: committee}
	s.Config = new(message.NodeConfigured)
	if s.Finalized.Root == (common.Hash{}) {
		s.Finalized = s.Entry(rootOf(0, 0)).id()
	}
	var all []*Entry
	s.blocks.Scan(func(e *Entry) bool {
		next := *e
		next.Approvals.Bits = [2]byte{1, 0x80}
		next.PayloadHash, next.Signed = e.Root, e.Root
		all = append(all, &next)
		return true
	})
	for _, e := range all {
		s.put(e)
	}
	return s
}

func newTurn(s *State) *turn {
	return &turn{State: s, out: new(core.Out), work: memo.New(), bodies: map[common.Hash]*block.Signed{}}
}

// forked is a chain of 5,000 blocks whose last depth blocks have an executed branch
// beside them that is one block longer. 1,100 blocks are not final.
func forked(depth uint64) (s *State, tip common.Hash) {
	s = longChain(5000, 3900)
	s.side(1, 5001-depth, 5001, Executed)
	return configured(s), rootOf(1, 5001)
}

// A reorganisation is one turn: reverts from the head down, connections from the
// ancestor up, the head.
func TestReorgIsOneTurn(t *testing.T) {
	const depth = 1000
	s, tip := forked(depth)
	x := newTurn(s)
	x.learnt = []common.Hash{tip}
	x.settle()
	var reverted, connected []uint64
	var head *message.HeadChanged
	for _, o := range x.out.List() {
		switch m := o.Message.(type) {
		case *message.BlockReverted:
			reverted = append(reverted, m.Number)
			if connected != nil || head != nil {
				t.Fatal("a block is reverted after another was connected")
			}
		case *message.BlockConnected:
			connected = append(connected, m.Number)
		case *message.HeadChanged:
			head = m
		}
	}
	if len(reverted) != depth || reverted[0] != 5000 || reverted[depth-1] != 5001-depth {
		t.Errorf("%d reverted: %v", len(reverted), reverted)
	}
	if len(connected) != depth+1 || connected[0] != 5001-depth || connected[depth] != 5001 {
		t.Errorf("%d connected: %v", len(connected), connected)
	}
	if head == nil || head.Root != tip || head.Depth != depth || head.Ancestor.Number != 5000-depth {
		t.Errorf("head %+v", head)
	}
	if e := s.At(4999); e == nil || e.Root != rootOf(1, 4999) || s.Head.Root != tip {
		t.Error("the branch was not changed")
	}
}

// BenchmarkReorg is the turn of the chain actor that changes the head's branch,
// with the copy of the state that every turn begins with.
func BenchmarkReorg(b *testing.B) {
	for _, depth := range []uint64{1, 100, 1000} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			s, tip := forked(depth)
			b.ReportAllocs()
			for b.Loop() {
				x := newTurn(s.Clone().(*State))
				x.learnt = []common.Hash{tip}
				x.settle()
				if x.Head.Root != tip {
					b.Fatal("the head did not move")
				}
			}
		})
	}
}

// BenchmarkApproval is an approval that makes no quorum while 4,000 side blocks
// are stored: nothing may look at all of them.
func BenchmarkApproval(b *testing.B) {
	s := longChain(5000, 1000)
	s.side(1, 1001, 5000, Stored)
	configured(s)
	e := s.Entry(rootOf(1, 3000))
	b.ReportAllocs()
	for b.Loop() {
		x := newTurn(s.Clone().(*State))
		next := *e
		x.approved(e, &next)
		x.settle()
	}
}

// BenchmarkTree reports what 10,000 blocks of the tree take in memory.
func BenchmarkTree(b *testing.B) {
	const blocks = 10_000
	var before, after runtime.MemStats
	var s *State
	for b.Loop() {
		s = nil
		runtime.GC()
		runtime.ReadMemStats(&before)
		s = configured(longChain(blocks, 100))
		runtime.GC()
		runtime.ReadMemStats(&after)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/blocks, "B/block")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "B/10000blocks")
	runtime.KeepAlive(s)
}

// A state within its bounds stays within them whatever arrives: the member who has
// most stored blocks loses his oldest, with what stands on it.
func TestStoredBlocksAreBounded(t *testing.T) {
	s := configured(longChain(10))
	s.rules.spec.Authorities = append(s.rules.spec.Authorities, s.rules.spec.Authorities[0], s.rules.spec.Authorities[0])
	flood := func(branch byte, member int, from, to uint64, size int) {
		for n := from; n <= to; n++ {
			e := &Entry{Status: Stored, Body: record.Content{Hash: [32]byte{1}, Data: make([]byte, size)}}
			e.Root, e.Parent, e.Number = rootOf(branch, n), rootOf(branch, n-1), n
			e.Approvals.Bits = [2]byte{1 << member, 0x80}
			if n == from {
				e.Parent = rootOf(0, n-1)
			}
			s.Arrivals++
			e.Arrival = s.Arrivals
			s.put(e)
			newTurn(s).bound()
		}
	}
	flood(1, 1, 5, 9, 10)
	for branch := byte(2); branch < 80; branch++ {
		flood(branch, 0, 6, 105, 10)
	}
	blocks, size := s.Waiting()
	if blocks > maxStored || size != blocks*10 {
		t.Errorf("%d blocks of %d bytes are stored", blocks, size)
	}
	if s.Entry(rootOf(1, 9)) == nil || s.Entry(rootOf(79, 105)) == nil {
		t.Error("the flood pushed out what another member made, or its own newest")
	}
	for branch := byte(90); branch < 105; branch++ {
		flood(branch, 2, 6, 6, 8<<20)
	}
	if _, size := s.Waiting(); size > maxStoredBytes {
		t.Errorf("%d bytes are stored", size)
	}
	n := 0
	s.aside.Scan(func(id message.BlockID) bool {
		n++
		if s.Entry(s.Entry(id.Root).Parent) == nil {
			t.Fatalf("block %s at %d stands on nothing", id.Root, id.Number)
		}
		return true
	})
	if n != s.waiting.Len() || s.Len() != n+11 || s.children.Len() != s.Len() {
		t.Errorf("%d beside the head's branch, %d stored, %d in all, %d links", n, s.waiting.Len(), s.Len(), s.children.Len())
	}
}
