package node_test

import (
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// BenchmarkServeDeep gives blocks that only the journal's index finds, from a running node:
// "heights" looks each of them up.
func BenchmarkServeDeep(b *testing.B) {
	const blocks = 1200
	c := spec.Dev()
	m := &branchOf{maker: newMaker(b, c)}
	m.every = 20
	for range blocks {
		m.blocks = append(m.blocks, m.next())
	}
	r := newRunningWith(b, c, listening)
	r.give(m.blocks...)
	r.await(m.at(blocks), nil)
	r.node.ForgetRecent()
	for deadline := time.Now().Add(time.Minute); r.node.IndexLag() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("the index does not follow")
		}
	}
	rate := func(b *testing.B) { b.ReportMetric(float64(b.N)*blocks/b.Elapsed().Seconds(), "blocks/s") }
	b.Run("heights", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			for number := uint64(1); number <= blocks; number++ {
				if raw, err := r.node.SignedByIndex(b.Context(), number); err != nil || len(raw) == 0 {
					b.Fatalf("block %d: %v", number, err)
				}
			}
		}
		rate(b)
	})
	b.Run("runs", func(b *testing.B) {
		s := r.node.PeerSource()
		b.ReportAllocs()
		for range b.N {
			given := 0
			if err := s.Blocks(b.Context(), 1, func([]byte) error { given++; return nil }); err != nil || given != blocks {
				b.Fatalf("%d blocks: %v", given, err)
			}
		}
		rate(b)
	})
	b.Run("descent", func(b *testing.B) {
		s := r.node.PeerSource()
		b.ReportAllocs()
		for range b.N {
			given := 0
			if err := s.Descend(b.Context(), id(m.at(blocks)).Root, 1, func([]byte) error { given++; return nil }); err != nil || given != blocks {
				b.Fatalf("%d blocks: %v", given, err)
			}
		}
		rate(b)
	})
}
