package sim_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/AnduroProject/alys-go/internal/sim"
)

func run(t *testing.T, o sim.Options) *sim.Result {
	t.Helper()
	r, err := sim.Run(o)
	var v *sim.Violation
	if errors.As(err, &v) {
		t.Fatal(v.Report())
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A member alone makes blocks and has them finalised through crashes, power cuts,
// failing disks, clocks that step and an execution layer that is away.
func TestOne(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := run(t, sim.Options{Seed: seed, Members: 1, Finality: seed % 2})
			if r.Finalized < 60 {
				t.Errorf("finalised %d: %s", r.Finalized, r)
			}
		})
	}
}

// One seed is one run: events, turns and the chain hashes of all journals.
func TestOneSeedIsOneRun(t *testing.T) {
	o := sim.Options{Seed: 2, Members: 4, Finality: 40, Dishonest: -1, Troubled: 50, Calm: 1}
	first := run(t, o)
	if second := run(t, o); *first != *second {
		t.Errorf("two runs differ:\n%s\n%s", first, second)
	}
	o.Seed++
	if other := run(t, o); other.Digest == first.Digest {
		t.Error("another seed is the same run")
	}
}

// A member that was away for hundreds of blocks comes back through ranges, among
// peers that answer falsely, and never holds more blocks without a parent than gossip brings.
func TestAway(t *testing.T) {
	for seed := range uint64(2) {
		o := sim.Options{Seed: seed, Members: 4, Finality: 1, Away: 250, Troubled: 260, Calm: 60, Peaceful: seed%2 == 0}
		if r := run(t, o); r.Ranges < 3 || r.Finalized < 100 {
			t.Errorf("too little: %s", r)
		} else {
			t.Log(r)
		}
	}
}

func TestRefusesOptions(t *testing.T) {
	for _, o := range []sim.Options{{}, {Members: 16}, {Members: 3, Dishonest: 3}, {Members: 3, Calm: -1}} {
		if _, err := sim.Run(o); err == nil {
			t.Errorf("%+v runs", o)
		}
	}
}
