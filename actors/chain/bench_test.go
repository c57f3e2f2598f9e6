package chain_test

import (
	"testing"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// BenchmarkBlock takes signed blocks, one a message, through all turns to the
// head. Decoding and the signature check, which workers do ahead of the
// sequencer in a node, are included.
func BenchmarkBlock(b *testing.B) {
	r := newRig(b, 1, func(c *spec.Chain, _ *message.NodeConfigured) { c.MaxBlocksWithoutPow = 1 << 40 })
	tip := "genesis"
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s := r.make("b", plan{parent: tip, by: []int{0}})
		r.log.Reset()
		tip = "b"
		b.StartTimer()
		r.receive(chain.Gossip, s)
	}
	if r.failed > 0 || r.name(r.state().Head.Root) != "b" {
		b.Fatal(r.take())
	}
}
