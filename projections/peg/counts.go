package peg

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/AnduroProject/alys-go/journal/derived"
)

// counts are how many entries are in each state, and their amounts.
type counts map[kindState]Count

type kindState struct {
	kind  Kind
	state uint8
}

// countSize is the length of one count: kind, state, u64 entries, u64 amount.
const countSize = 1 + 1 + 8 + 8

// encode writes what is not zero, in the order of kinds and states.
func (c counts) encode() (b []byte) {
	order := slices.SortedFunc(maps.Keys(c), func(a, b kindState) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.state, b.state))
	})
	for _, of := range order {
		if n := c[of]; n != (Count{}) {
			b = append(b, byte(of.kind), of.state)
			b = binary.BigEndian.AppendUint64(b, n.Entries)
			b = binary.BigEndian.AppendUint64(b, n.Amount)
		}
	}
	return b
}

// readCounts reads what encode wrote; none are stored before the first entry.
func readCounts(r derived.Reader) (counts, error) {
	b, err := r.Get(keyCount)
	if err != nil {
		return nil, err
	}
	if len(b)%countSize != 0 {
		return nil, derived.Damaged(nil, "peg ledger: the counts of entries")
	}
	c := counts{}
	for row := range slices.Chunk(b, countSize) {
		c[kindState{Kind(row[0]), row[1]}] = Count{binary.BigEndian.Uint64(row[2:]), binary.BigEndian.Uint64(row[10:])}
	}
	return c, nil
}

// move takes an entry out of a state, if it was in one, and into another.
func (c counts) move(k Kind, before, now *entry) {
	if before != nil {
		state, amount := before.state()
		of := kindState{k, state}
		c[of] = Count{c[of].Entries - 1, c[of].Amount - amount}
	}
	state, amount := now.state()
	of := kindState{k, state}
	c[of] = Count{c[of].Entries + 1, c[of].Amount + amount}
}

// view names every state, those without an entry too.
func (c counts) view() map[string]map[string]Count {
	out := map[string]map[string]Count{}
	for k := Deposits; k <= Payments; k++ {
		of := map[string]Count{}
		for state := 1; state < len(stateNames[k]); state++ {
			of[stateName(k, uint8(state))] = c[kindState{k, uint8(state)}]
		}
		out[k.String()] = of
	}
	return out
}
