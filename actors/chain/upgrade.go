package chain

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Walk gives the entries of a state, as core.State's method does.
type Walk func(yield func(key, value []byte) error) error

// FromBehaviour1 turns the entries of a state of behaviour 1 into those of 2: the
// blocks that wait in the tree, which were a list beside it, carry their own bytes
// and order.
func FromBehaviour1(old Walk) Walk {
	return func(yield func(key, value []byte) error) error {
		waiting := make(map[common.Hash]Executing)
		arrival := make(map[common.Hash]uint64)
		return old(func(key, value []byte) error {
			if len(key) == 0 {
				var p pointers
				if err := record.Decode(value, &p, nil); err != nil {
					return err
				}
				for i, b := range p.candidates {
					waiting[b.Root], arrival[b.Root] = b, uint64(i+1)
				}
				p.Arrivals, p.candidates = uint64(len(p.candidates)), nil
				value, _ = record.Encode(&p)
				return yield(key, value)
			}
			e := new(Entry)
			if err := record.Decode(value, e, nil); err != nil {
				return err
			}
			if b, ok := waiting[e.Root]; ok {
				e = e.stored(b)
				e.Arrival = arrival[e.Root]
			}
			value, _ = record.Encode(e)
			return yield(key, value)
		})
	}
}
