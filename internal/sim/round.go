package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
)

// Costs are what work takes in a run that measures approval rounds, in microseconds, and
// one way of a message. Without them work takes no time, but disks and execution layers.
type Costs struct {
	Check   int64 // of a signature, or an aggregate, on a member's one processor
	Sign    int64
	Sync    int64 // of a group of turns
	Execute int64 // of a block by the execution layer, and of building one
	OneWay  int64 // of a message
	// Round is called when a member holds the quorum of a block: how long after the block
	// was made, in milliseconds.
	Round func(ms int64)
}

// up rounds a duration up to what the clock can tell.
func up(us int64) int64 { return (us + 999) / 1000 }

// check has a member's processor check a signature before something goes on. What arrives
// meanwhile waits.
func (p *process) check(then func()) {
	c := p.m.w.opt.Costs
	if c == nil {
		then()
		return
	}
	p.worked = max(p.worked, p.m.w.now*1000) + c.Check
	p.later(up(p.worked-p.m.w.now*1000), "work", then)
}

// round is a block whose approvals a member still gathers.
type round struct {
	root common.Hash
	made int64
}

// warm is after how long rounds are measured: by then everybody has started and listened.
const warm = 10 * slot

// roundsKept is how many blocks a member gathers approvals of at a time.
const roundsKept = 8

// roundBegins has every member's time to the quorum of a block measured.
func (w *world) roundBegins(root common.Hash) {
	for _, m := range w.members {
		if p := m.process; p != nil && w.opt.Costs != nil && w.now > epoch+warm {
			p.rounds = append(p.rounds[max(0, len(p.rounds)-roundsKept):], round{root, w.now})
		}
	}
}

// roundsEnd looks which blocks have their quorum now.
func (p *process) roundsEnd() {
	n := p.m.w.opt.Members
	p.rounds = slices.DeleteFunc(p.rounds, func(r round) bool {
		e := p.m.state().Entry(r.root)
		if e == nil || e.Approvals.CountReal(n) < aura.Quorum(n) {
			return false
		}
		p.m.w.opt.Costs.Round(p.m.w.now - r.made)
		return true
	})
}
