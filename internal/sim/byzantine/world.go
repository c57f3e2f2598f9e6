package main

import (
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// world is the chain of three members whose keys this program has: real blocks with
// real signatures, of which the node under attack knows the first.
type world struct {
	spec    *spec.Chain
	genesis common.Hash
	signed  []*block.Signed // by height, genesis first
	blocks  [][]byte        // from height 1 on
	known   int
}

const (
	members     = 3
	chainLength = 60
	knownLength = 20
)

func newWorld(now time.Time) (*world, error) {
	c := standin.Spec(members)
	g := block.Genesis(c, *standin.Genesis())
	w := &world{spec: c, genesis: g.Block.Root(), signed: []*block.Signed{g}, known: knownLength}
	begin := uint64(now.Unix()) - chainLength - 5
	for i := range uint64(chainLength) {
		s := standin.Make(c, standin.Plan{Parent: w.signed[i], Timestamp: begin + i})
		if err := sign(s, 0, 1, 2); err != nil {
			return nil, err
		}
		w.signed = append(w.signed, s)
		w.blocks = append(w.blocks, s.Encode())
	}
	return w, nil
}

// sign gives a block the approvals of these members, and no other.
func sign(s *block.Signed, by ...int) error {
	s.Approvals = aura.None()
	root := s.Block.Root()
	for _, i := range by {
		if err := s.Approvals.Add(aura.Approval{Authority: uint8(i), Signature: aura.DevKey(uint64(i) + 1).Sign(root)}); err != nil {
			return err
		}
	}
	return nil
}

// options of the edge under attack.
func (v *victim) options(key crypto.PrivKey) p2p.Options {
	return p2p.Options{
		Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Agent: "alys/victim", Chain: v.world.spec, Genesis: v.world.genesis,
		Checks: v.memo, Source: v, Content: func(c record.Content) ([]byte, error) { return v.content(c) }, Deliver: v.deliver,
	}
}
