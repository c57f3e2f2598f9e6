package sim

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// registry knows every block that anybody ever made. Oracles ask it who descends
// from whom; it shares nothing with the cores but the decoding of blocks.
type registry struct {
	blocks map[common.Hash]*known
}

// known is one block.
type known struct {
	root, parent common.Hash
	number, slot uint64
	payload      common.Hash
	carrier      bool
	rangeEnd     common.Hash
	signed       *block.Signed
}

func newRegistry() *registry { return &registry{blocks: map[common.Hash]*known{}} }

func (g *registry) get(root common.Hash) *known { return g.blocks[root] }

func (g *registry) addSigned(w *world, c record.Content) *known {
	signed, root, err := w.work.Decode(c.Data)
	if err != nil {
		return nil
	}
	return g.add(signed, root)
}

func (g *registry) add(s *block.Signed, root common.Hash) *known {
	if k := g.blocks[root]; k != nil {
		return k
	}
	b := &s.Block
	k := &known{root: root, parent: b.ParentHash, number: b.Payload.BlockNumber, slot: b.Slot, payload: b.Payload.BlockHash, signed: s}
	if h := b.AuxPowHeader; h != nil {
		k.carrier, k.rangeEnd = true, h.RangeEnd
	}
	g.blocks[root] = k
	return k
}

// contains reports whether a block is on the branch that ends in tip. known is
// false when a block on the way is not.
func (g *registry) contains(tip, root common.Hash) (contains, known bool) {
	want := g.blocks[root]
	if want == nil {
		return false, false
	}
	for at := g.blocks[tip]; ; at = g.blocks[at.parent] {
		switch {
		case at == nil:
			return false, false
		case at.root == root:
			return true, true
		case at.number <= want.number:
			return false, true
		}
	}
}
