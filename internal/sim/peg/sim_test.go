package peg_test

import (
	"math/bits"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/sim/peg"
)

// steps is how many actions a run draws.
const steps = 60

// suiteSeeds is how many runs the fast suite does, the same every time.
const suiteSeeds = 120

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSearch does seeded runs until one breaks a property: ALYS_PEG_SEEDS of them, from
// seed ALYS_PEG_FIRST on. With ALYS_PEG_SHOW it prints what happened.
func TestSearch(t *testing.T) {
	first, count := number(t, "ALYS_PEG_FIRST", 0), number(t, "ALYS_PEG_SEEDS", suiteSeeds)
	var sum peg.Stats
	for seed := first; seed < first+count; seed++ {
		r, err := peg.Run(peg.Seeded(uint64(seed)), steps)
		if err != nil {
			if os.Getenv("ALYS_PEG_SHOW") != "" {
				t.Log(r.Script())
			}
			t.Fatalf("caught at seed %d: %v", seed, err)
		}
		sum.Add(r.Stats)
	}
	t.Log(sum.String())
	// A search that meets nothing proves nothing.
	if count >= suiteSeeds && (sum.Lies == 0 || sum.Reorgs == 0 || sum.Stolen == 0 || sum.Paid == 0 || sum.Crashes == 0 || sum.Alarms["signed-off-branch"] == 0) {
		t.Errorf("something never happened")
	}
}

// drawn makes choices with rapid.
type drawn struct{ *rapid.T }

// Int draws bits, for rapid's ranges prefer low numbers and so one kind of action.
func (d drawn) Int(label string, low, high int) int {
	value, size := 0, bits.Len(uint(high-low))+2
	for range size {
		value <<= 1
		if coin.Draw(d.T, label) {
			value |= 1
		}
	}
	return low + value*(high-low+1)>>size
}

var coin = rapid.Bool()

// TestProperties does new runs on all processors, -rapid.checks for each, if
// ALYS_PEG_RANDOM is set.
func TestProperties(t *testing.T) {
	if os.Getenv("ALYS_PEG_RANDOM") == "" {
		t.Skip("ALYS_PEG_RANDOM is not set: TestSearch has the runs of the fast suite")
	}
	var lock sync.Mutex
	var sum peg.Stats
	t.Run("processors", func(t *testing.T) {
		for shard := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) {
					r, err := peg.Run(drawn{t}, steps)
					if err != nil {
						t.Fatalf("%v\n%s", err, r.Script())
					}
					lock.Lock()
					defer lock.Unlock()
					sum.Add(r.Stats)
				})
			})
		}
	})
	t.Log(sum.String())
}

// TestDeterministic: one seed is one run.
func TestDeterministic(t *testing.T) {
	for seed := range uint64(3) {
		one, err1 := peg.Run(peg.Seeded(seed), steps)
		two, err2 := peg.Run(peg.Seeded(seed), steps)
		if err1 != nil || err2 != nil || one.Script() != two.Script() || one.Stats.String() != two.Stats.String() {
			t.Fatalf("seed %d is two runs (%v, %v)", seed, err1, err2)
		}
	}
}
