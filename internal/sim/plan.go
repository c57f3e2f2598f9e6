package sim

import "math/rand/v2"

// plan is how bad things are in a run, drawn from its seed.
type plan struct {
	skew      []int64 // of wall clocks, milliseconds
	dishonest []bool
	gone      int            // honest members that leave for ever
	listen    uint32         // slots that a member listens for its own key at a start
	strangers []strangerKind // peers without an authority

	latency   int64 // most a link takes at its best, milliseconds
	drop      int   // messages in 1,000
	duplicate int   // messages in 1,000
	late      int   // messages in 100 that take up to three slots more

	slowDisk      int // syncs in 100 that take long
	slowEngine    int // requests in 100 that take long
	snapshotTurns int
	maxWithoutPow uint64
	mining        int64 // mean pause between two requests for work, milliseconds

	partitions, endings, clockSteps, outages int // how many of them the troubled phase has
}

// one returns one of the values.
func one[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func drawPlan(o Options, r *rand.Rand) plan {
	n := o.Members
	p := plan{
		skew: make([]int64, n), dishonest: make([]bool, n),
		latency: one(r, int64(20), 60, 150), drop: one(r, 0, 10, 50, 150), duplicate: one(r, 0, 30, 100), late: one(r, 0, 2, 10),
		slowDisk: one(r, 0, 2, 10), slowEngine: one(r, 0, 5, 20), snapshotTurns: one(r, 60, 300, 1200),
		maxWithoutPow: one(r, uint64(25), 60, 100_000), mining: one(r, int64(2*slot), 5*slot, 9*slot),
		partitions: r.IntN(5), endings: r.IntN(3 + 2*n), clockSteps: one(r, 0, 0, 1, 2), outages: one(r, 0, 0, 1, 3),
	}
	for i := range p.skew {
		p.skew[i] = r.Int64N(401) - 200
	}
	dishonest, failing := tolerated(n)
	liars := r.IntN(min(dishonest, failing) + 1)
	p.gone = r.IntN(failing - liars + 1)
	if o.Dishonest >= 0 {
		liars = o.Dishonest
		p.gone = min(p.gone, max(failing-liars, 0))
	}
	for _, i := range r.Perm(n)[:liars] {
		p.dishonest[i] = true
	}
	if o.Peaceful {
		quiet := plan{skew: p.skew, dishonest: make([]bool, n), latency: 20, snapshotTurns: 300, maxWithoutPow: 100_000, mining: 3 * slot, listen: 2}
		quiet.strangers = every(o.Away > 0)
		return quiet
	}
	p.listen = one(r, uint32(0), 2, 4)
	p.strangers = every(o.Away > 0)
	for range r.IntN(4) {
		p.strangers = append(p.strangers, strangerKind(r.IntN(int(strangerKinds))))
	}
	return p
}

// every is one stranger of each kind, if that is asked for.
func every(asked bool) (kinds []strangerKind) {
	for k := range strangerKinds {
		if asked {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// syncTime is how long a group takes to get on disk.
func (w *world) syncTime() int64 {
	p, r := &w.plan, w.rand.disk
	if w.opt.Costs != nil {
		return up(w.opt.Costs.Sync)
	}
	if r.IntN(100) < p.slowDisk {
		return 50 + r.Int64N(700)
	}
	return 1 + r.Int64N(4)
}

func (w *world) engineTime() int64 {
	p, r := &w.plan, w.rand.layer
	if w.opt.Costs != nil {
		return up(w.opt.Costs.Execute)
	}
	if r.IntN(100) < p.slowEngine {
		return 100 + r.Int64N(1200)
	}
	return 1 + r.Int64N(15)
}

func (p *plan) downtime(r *rand.Rand) int64 {
	return one(r, 50+r.Int64N(500), slot+r.Int64N(4*slot), 5*slot+r.Int64N(20*slot))
}

func (p *plan) miningPause(r *rand.Rand) int64 { return p.mining/2 + r.Int64N(p.mining) }

func (p *plan) miningTime(r *rand.Rand) int64 {
	if r.IntN(8) == 0 {
		return r.Int64N(12 * slot) // stale by then, most often
	}
	return 100 + r.Int64N(slot)
}
