package sim_test

import (
	"fmt"
	"testing"

	"github.com/AnduroProject/alys-go/internal/sim"
)

// Deposits are minted once and what is burned is paid once, in a federation without
// trouble.
func TestPegInPeace(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := run(t, sim.Options{Seed: seed, Members: 3, Finality: 1, Peaceful: true, Peg: true, Troubled: 60, Calm: 120})
			if r.Minted < 10 || r.Paid < 3 {
				t.Errorf("too little: %s", r)
			}
			t.Log(r)
		})
	}
}

// So too when members crash, lie and lose each other, their Bitcoin nodes are away, and
// both chains are reorganised.
func TestPegInTrouble(t *testing.T) {
	first, count := number(t, firstEnv, 0), number(t, seedsEnv, 1)
	for _, n := range []int{3, 4} {
		for seed := first; seed < first+count; seed++ {
			t.Run(fmt.Sprintf("%d-%d", n, seed), func(t *testing.T) {
				t.Parallel()
				r := run(t, sim.Options{Seed: seed, Members: n, Finality: finality(seed), Dishonest: -1, Peg: true, Calm: 150})
				if r.Minted == 0 || r.Paid == 0 {
					t.Errorf("nothing: %s", r)
				}
				t.Log(r)
			})
		}
	}
}
