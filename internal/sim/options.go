package sim

import (
	"encoding/hex"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Options of a run.
type Options struct {
	Seed    uint64
	Members int // 1 to 15
	// Finality is the height from which a carrier with a quorum finalises whenever it
	// is learnt; 0 for never. (architecture.md 4, Finality)
	Finality uint64
	// Troubled and Calm are the lengths of the two phases in slots; 0 means 90 and 90.
	Troubled, Calm int
	// Dishonest is how many members are; negative: the plan draws a number that the
	// federation tolerates.
	Dishonest int
	// Peaceful draws a plan without faults.
	Peaceful bool
	// Away is how many slots a member is away for, from the first ones on; 0 for none. It
	// comes back among strangers of every kind.
	Away int
	// EarlyRelease is a bug: effects leave before their turn is on disk. The release
	// oracle has to catch it.
	EarlyRelease bool
	// Peg gives the federation a Bitcoin chain, with users who pay in and out.
	Peg bool
	// Costs are of work, in runs that measure approval rounds; may be nil.
	Costs *Costs
	// Keep is called for every member's disk at the end of a run; may be nil.
	Keep func(member int, disk *Disk) error
}

// Validate refuses options that no run can have.
func (o *Options) Validate() error {
	if o.Members < 1 || o.Members > aura.MaxAuthorities {
		return fault.New(fault.Invalid, "a federation has 1 to %d members, not %d", aura.MaxAuthorities, o.Members)
	}
	if o.Dishonest >= o.Members {
		return fault.New(fault.Invalid, "%d of %d members cannot be dishonest: one has to be honest", o.Dishonest, o.Members)
	}
	if o.Troubled < 0 || o.Calm < 0 || o.Away < 0 {
		return fault.New(fault.Invalid, "the phases of a run cannot have %d and %d slots, nor a member be away for %d", o.Troubled, o.Calm, o.Away)
	}
	return nil
}

func (o *Options) defaults() {
	if o.Troubled == 0 {
		o.Troubled = 90
	}
	if o.Calm == 0 {
		o.Calm = 90
	}
}

// tolerated returns how many members may be dishonest, and how many may fail at all.
func tolerated(n int) (dishonest, failing int) {
	q := aura.Quorum(n)
	dishonest = max(2*q-n-1, 0)
	return dishonest, min(dishonest, n-q)
}

// Result is what a run did.
type Result struct {
	Seed       uint64
	Members    int
	Finality   uint64
	Events     uint64 // of the queue
	Turns      uint64 // in all journals
	Kills      int    // processes that ended, their machine's memory lost
	Cuts       int    // power cuts: what was not synced is lost
	Faults     int    // disk operations that failed
	Partitions int
	Reorgs     int
	MaxDepth   uint64 // blocks that one reorganisation reverted
	Dishonest  int
	Gone       int // members that never came back
	Releases   int // locks that operators ended
	Decisions  int // branches that operators decided for
	Minted     int // deposits, on the branch of the end
	Paid       int // requests, on the Bitcoin chain of the end
	Bans       int // of strangers, by scores
	Ranges     int // that were fetched
	Finalized  uint64
	Height     uint64
	Stall      int64 // longest time without a finalised block, milliseconds
	Digest     [32]byte
}

// String is the result in one line.
func (r *Result) String() string {
	return fmt.Sprintf("seed %d: %d members, %d events, %d turns, %d kills, %d cuts, %d faults, %d partitions, %d reorgs (max depth %d), %d dishonest, %d gone, %d releases, %d decisions, %d ranges fetched, %d bans, head %d, finalised %d, longest stall %.1f s%s, digest %s",
		r.Seed, r.Members, r.Events, r.Turns, r.Kills, r.Cuts, r.Faults, r.Partitions, r.Reorgs, r.MaxDepth,
		r.Dishonest, r.Gone, r.Releases, r.Decisions, r.Ranges, r.Bans, r.Height, r.Finalized, float64(r.Stall)/1000, r.pegText(), hex.EncodeToString(r.Digest[:8]))
}

// Add counts another run into r, which then stands for both.
func (r *Result) Add(o *Result) {
	r.Events += o.Events
	r.Turns += o.Turns
	r.Kills += o.Kills
	r.Cuts += o.Cuts
	r.Faults += o.Faults
	r.Partitions += o.Partitions
	r.Reorgs += o.Reorgs
	r.Dishonest += o.Dishonest
	r.Gone += o.Gone
	r.Releases += o.Releases
	r.Decisions += o.Decisions
	r.Minted += o.Minted
	r.Paid += o.Paid
	r.Bans += o.Bans
	r.Ranges += o.Ranges
	r.MaxDepth = max(r.MaxDepth, o.MaxDepth)
	r.Finalized += o.Finalized
	r.Height += o.Height
	r.Stall = max(r.Stall, o.Stall)
}
