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
