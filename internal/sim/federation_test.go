package sim_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/AnduroProject/alys-go/internal/sim"
)

// seedsEnv is how many seeds each size of a federation gets; firstEnv is the first.
const (
	seedsEnv = "ALYS_SIM_SEEDS"
	firstEnv = "ALYS_SIM_FIRST"
)

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s=%s: want a number", env, text)
	}
	return n
}

// finality is the activation height of a seed's run: never, from the first block,
// or from the middle of the run.
func finality(seed uint64) uint64 { return []uint64{1, 0, 40}[seed%3] }

// TestFederation runs seeds for 3, 4 and 7 members. Every oracle has to be content
// with every one of them.
func TestFederation(t *testing.T) {
	first, count := number(t, firstEnv, 0), number(t, seedsEnv, 2)
	for _, n := range []int{3, 4, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			total, failures := many(n, first, count)
			for _, err := range failures {
				var v *sim.Violation
				if errors.As(err, &v) {
					t.Error(v.Report())
				} else {
					t.Error(err)
				}
			}
			fmt.Printf("%d members: %d runs, %d events, %d turns, %d kills, %d power cuts, %d disk faults, %d partitions, %d reorganisations (deepest %d), %d dishonest, %d gone, %d locks released, %d branches decided, %d ranges fetched, %d bans, finalised %d of %d blocks, longest stall %.1f s, %d failures\n",
				n, count, total.Events, total.Turns, total.Kills, total.Cuts, total.Faults, total.Partitions, total.Reorgs, total.MaxDepth,
				total.Dishonest, total.Gone, total.Releases, total.Decisions, total.Ranges, total.Bans, total.Finalized, total.Height, float64(total.Stall)/1000, len(failures))
		})
	}
}

// mostFailures is after how many failures no further seed is begun.
const mostFailures = 3

// many runs seeds, each on one goroutine, and adds up what they did.
func many(n int, first, count uint64) (total sim.Result, failures []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan uint64)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range next {
				r, err := sim.Run(sim.Options{Seed: seed, Members: n, Finality: finality(seed), Dishonest: -1})
				mu.Lock()
				if r != nil {
					total.Add(r)
				}
				if err != nil {
					failures = append(failures, err)
				}
				mu.Unlock()
			}
		})
	}
	for seed := first; seed < first+count; seed++ {
		mu.Lock()
		enough := len(failures) >= mostFailures
		mu.Unlock()
		if enough {
			break
		}
		next <- seed
	}
	close(next)
	wg.Wait()
	return total, failures
}
