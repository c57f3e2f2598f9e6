package reorg_test

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/sim/reorg"
)

// steps is how many actions a scenario draws.
const steps = 36

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

// tally adds up runs of several goroutines.
type tally struct {
	sync.Mutex
	reorg.Stats
}

func (t *tally) add(s reorg.Stats) {
	t.Lock()
	defer t.Unlock()
	t.Stats.Add(s)
}

// suiteSeeds is how many scenarios the fast suite runs, the same every time.
const suiteSeeds = 240

// TestProperties looks for a scenario that breaks a property, on all processors:
// with ALYS_REORG_RANDOM set in new ones, -rapid.checks for each processor.
func TestProperties(t *testing.T) {
	var sum tally
	begun := time.Now()
	t.Run("processors", func(t *testing.T) {
		for shard := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				var last *reorg.Running
				t.Cleanup(func() {
					if t.Failed() && last != nil {
						show(t, last.Scenario())
					}
				})
				if os.Getenv("ALYS_REORG_RANDOM") == "" {
					for seed := shard; seed < suiteSeeds; seed += runtime.GOMAXPROCS(0) {
						r, err := reorg.Generate(reorg.Seeded(uint64(seed)), steps, reorg.Options{})
						if err != nil {
							last = r
							t.Fatalf("seed %d: %v", seed, err)
						}
						sum.add(r.Stats())
					}
					return
				}
				rapid.Check(t, func(t *rapid.T) {
					r, err := reorg.Generate(drawn{t}, steps, reorg.Options{})
					if err != nil {
						last = r
						t.Fatalf("%v", err)
					}
					sum.add(r.Stats())
				})
			})
		}
	})
	report(t, &sum.Stats, time.Since(begun))
}

// show prints a failing scenario as a script that is as short as it gets, and
// keeps it if ALYS_REORG_KEEP names a directory.
func show(t *testing.T, s reorg.Scenario) {
	_, err := reorg.Run(s, reorg.Options{})
	var f *reorg.Failure
	if !errors.As(err, &f) {
		t.Logf("the scenario does not fail again:\n%s", s)
		return
	}
	s = reorg.Shrink(s, f.Check, reorg.Options{}, 2000)
	_, err = reorg.Run(s, reorg.Options{})
	text := fmt.Sprintf("# %v\n%s", err, s)
	t.Logf("to keep it, write this to testdata/regressions/NAME.txt:\n%s", text)
	if dir := os.Getenv("ALYS_REORG_KEEP"); dir != "" {
		name := filepath.Join(dir, strings.ReplaceAll(f.Check, " ", "-")+".txt")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
}

func report(t *testing.T, s *reorg.Stats, elapsed time.Duration) {
	var b strings.Builder
	reorg.WriteReport(&b, s, elapsed)
	t.Log("\n" + b.String())
}

// TestSearch runs seeded scenarios until one fails, which is what the search for
// deliberate bugs expects. ALYS_REORG_SEEDS is how many.
func TestSearch(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("ALYS_REORG_SEEDS"))
	if err != nil {
		t.Skip("ALYS_REORG_SEEDS is not set")
	}
	for seed := range uint64(count) {
		r, err := reorg.Generate(reorg.Seeded(seed), steps, reorg.Options{})
		if err != nil {
			if os.Getenv("ALYS_REORG_SHOW") != "" {
				show(t, r.Scenario())
			}
			t.Fatalf("caught at seed %d: %v", seed, err)
		}
	}
}

// TestRegressions runs the scenarios that once broke a property.
func TestRegressions(t *testing.T) {
	files, err := filepath.Glob("testdata/regressions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := reorg.Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reorg.Run(s, reorg.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDeterministic: one seed is one scenario, and a scenario has one course.
func TestDeterministic(t *testing.T) {
	for seed := range uint64(10) {
		one, err := reorg.Generate(reorg.Seeded(seed), steps, reorg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		two, err := reorg.Generate(reorg.Seeded(seed), steps, reorg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if one.Scenario().String() != two.Scenario().String() || one.Digest() != two.Digest() {
			t.Fatalf("seed %d is two scenarios", seed)
		}
		parsed, err := reorg.Parse(one.Scenario().String())
		if err != nil {
			t.Fatal(err)
		}
		again, err := reorg.Play(parsed, reorg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if again.Digest() != one.Digest() {
			t.Fatalf("seed %d: the script of the scenario has another course", seed)
		}
	}
}

// TestThousand reorganises a thousand blocks, there and back.
func TestThousand(t *testing.T) {
	for _, activation := range []int{0, 1} {
		s, err := reorg.Parse(fmt.Sprintf(`
			network members 3 activation %d spacing 100000 nodes follower follower
			grow x 1000 genesis by 0,1 txs 1 tip 3
			grow y 1001 genesis by 1,2
			grow z 1 x1000 by 0,1
			grow z' 1 z1 by 0,1
			make c z'1 carry x1 x900 by 0,1
			give a sync x1..x1000
			give b sync y1..y1001
			give a sync y1..y1001
			give b sync x1..x1000 z1 z'1
			give a gossip z1 z'1
			give a gossip c
		`, activation))
		if err != nil {
			t.Fatal(err)
		}
		stats, err := reorg.Run(s, reorg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if stats.Deepest < 1000 {
			t.Errorf("the deepest reorganisation is of %d blocks", stats.Deepest)
		}
	}
}

// TestFlood: what nobody can ever use does not make a node's state grow.
func TestFlood(t *testing.T) {
	var sizes [2]int
	for i, count := range []int{8_000, 16_000} {
		r := reorg.Begin(reorg.Network{Members: 3, Activation: 1, Spacing: 50, Nodes: []reorg.Role{{Member: 0}}}, reorg.Options{})
		for _, line := range []string{"make b1 genesis by 1,2", "give a gossip b1", "flood a " + strconv.Itoa(count)} {
			if err := r.Do(strings.Fields(line)); err != nil {
				t.Fatal(err)
			}
		}
		sizes[i] = r.StateSize()
	}
	if sizes[1] > sizes[0]+sizes[0]/20 { // numbers get a little longer
		t.Errorf("state grows from %d to %d bytes with twice the flood", sizes[0], sizes[1])
	}
	if sizes[1] > 8<<20 {
		t.Errorf("state of %d bytes", sizes[1])
	}
}

// TestParse: scripts are read strictly.
func TestParse(t *testing.T) {
	for _, bad := range []string{
		"", "make b1 genesis", "network members 0 activation 0 spacing 1 nodes follower",
		"network members 3 activation 0 spacing 1", "network members 3 activation 0 spacing 1 nodes member:3",
		"network members 16 activation 0 spacing 1 nodes follower", "network members 3 activation 0 spacing 1 nodes king",
		"network members 3 activation 0 spacing 1 nodes follower\nfly away",
	} {
		if s, err := reorg.Parse(bad); err == nil {
			t.Errorf("%q is read as\n%s", bad, s)
		}
	}
}

// FuzzScenario: whatever a script says, nothing panics and no property breaks.
func FuzzScenario(f *testing.F) {
	files, _ := filepath.Glob("testdata/regressions/*.txt")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := reorg.Parse(text)
		if err != nil || len(s.Actions) > 60 || len(s.Network.Nodes) > 3 || strings.Contains(text, "grow") || strings.Contains(text, "flood") {
			return
		}
		if _, err := reorg.Run(s, reorg.Options{}); err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
	})
}

// BenchmarkScenario is the cost of one scenario.
func BenchmarkScenario(b *testing.B) {
	b.ReportAllocs()
	for seed := uint64(0); b.Loop(); seed++ {
		if _, err := reorg.Generate(reorg.Seeded(seed), steps, reorg.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
