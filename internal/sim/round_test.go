package sim_test

import (
	"slices"
	"testing"

	"github.com/AnduroProject/alys-go/internal/sim"
)

// costs are those of one member's machine as docs/performance.md has them: a check of
// approvals and a signature, a sync, an execution, and a message between machines of one room.
func costs(round func(int64)) *sim.Costs {
	return &sim.Costs{Check: 1200, Sign: 700, Sync: 500, Execute: 2000, OneWay: 1000, Round: round}
}

// A block has its quorum at every member before a small part of its slot has passed, in
// federations of 3, 7 and 15.
func TestApprovalRounds(t *testing.T) {
	for _, n := range []int{3, 7, 15} {
		for _, way := range []int64{1000, 50_000} {
			var all []int64
			c := costs(func(ms int64) { all = append(all, ms) })
			c.OneWay = way
			run(t, sim.Options{Seed: 1, Members: n, Finality: 1, Peaceful: true, Troubled: 25, Calm: 5, Costs: c})
			if len(all) < 12*n {
				t.Fatalf("%d members: %d rounds are too few", n, len(all))
			}
			slices.Sort(all)
			half, most := all[len(all)/2], all[len(all)*99/100]
			t.Logf("%d members, %d ms one way: %d rounds, half within %d ms, p99 %d ms, longest %d ms", n, way/1000, len(all), half, most, all[len(all)-1])
			if limit := 150 + 3*way/1000; most > limit {
				t.Errorf("%d members, %d ms one way: p99 is %d ms, want %d", n, way/1000, most, limit)
			}
		}
	}
}
