package sim

import "fmt"

// trouble schedules what goes wrong in the troubled phase, which ends at end.
func (w *world) trouble(end int64) {
	r := w.rand.plan
	length := end - w.now
	moment := func() int64 { return slot + r.Int64N(max(length-2*slot, 1)) }
	for range w.plan.partitions {
		w.after(moment(), "partition", -1, func() { w.part(3*slot + r.Int64N(20*slot)) })
	}
	for range w.plan.endings {
		w.after(moment(), "ending", -1, w.endSome)
	}
	for range w.plan.clockSteps {
		w.after(moment(), "clock", -1, w.stepClock)
	}
	for range w.plan.outages {
		w.after(moment(), "outage", -1, w.layerAway)
	}
	for range w.plan.gone {
		w.after(moment(), "gone", -1, func() {
			if m := w.pick(w.rand.plan, func(m *member) bool { return alive(m) && m.honest() }); m != nil {
				m.end(powered, -1)
			}
		})
	}
}

// part puts a partition between the members for a while.
func (w *world) part(length int64) {
	r, n := w.rand.plan, w.opt.Members
	sides := make([]int, n)
	switch r.IntN(3) {
	case 0:
		sides[r.IntN(n)] = 1
	case 1:
		for _, i := range r.Perm(n)[:n/2] {
			sides[i] = 1
		}
	default:
		for i := range sides {
			sides[i] = r.IntN(3)
		}
	}
	w.result.Partitions++
	w.net.split(sides)
	w.tell("partition %v for %.1f s", sides, float64(length)/1000)
	w.after(length, "heal", -1, func() {
		w.net.heal()
		w.tell("the partition heals")
	})
}

// endSome ends one member's life in one of the ways.
func (w *world) endSome() {
	r := w.rand.plan
	m := w.pick(r, alive)
	if m == nil {
		return
	}
	down := w.plan.downtime(r)
	switch r.IntN(6) {
	case 0:
		m.end(killed, down)
	case 1:
		m.end(powered, down)
	case 2: // the power goes while the next groups are being written
		m.disk.arm(diskFault{cut: true, sync: one(r, syncLog, syncHead), skip: r.IntN(8)})
	case 3:
		m.disk.arm(diskFault{after: r.IntN(2) == 0, sync: one(r, syncLog, syncHead), skip: r.IntN(8)})
	case 4:
		m.process.stopClean(down)
	case 5: // most of them at once
		for _, m := range w.members {
			if alive(m) && r.IntN(4) > 0 {
				m.end(one(r, killed, powered), w.plan.downtime(r))
			}
		}
	}
}

// stepClock moves one wall clock away and back.
func (w *world) stepClock() {
	r := w.rand.plan
	m := w.members[r.IntN(len(w.members))]
	by := one(r, int64(-30), -5, 5, 30) * slot / 2
	m.skew += by
	m.steps++
	w.tell("the clock of m%d steps by %d ms", m.index, by)
	w.after(2*slot+r.Int64N(15*slot), "clock", m.index, func() {
		if !w.healed {
			m.skew -= by
			m.steps++
		}
	})
}

// layerAway takes a member's execution layer away for a while.
func (w *world) layerAway() {
	r := w.rand.plan
	m := w.members[r.IntN(len(w.members))]
	m.away++
	m.layer.Limit = one(r, 0, 1)
	w.tell("the execution layer of m%d is away", m.index)
	w.after(slot+r.Int64N(8*slot), "outage", m.index, func() {
		if m.away--; m.away == 0 && !w.healed {
			m.layer.Limit = -1
		}
	})
}

// heal ends all trouble: the network is whole and fast, clocks agree, and everybody
// who comes back at all is back. A node whose clock was wrong as it started takes the
// right one for wrong; its operator starts it again.
func (w *world) heal() {
	w.healed = true
	w.net.heal()
	w.net.calm = true
	w.plan.slowDisk, w.plan.slowEngine = 0, 0
	for _, m := range w.members {
		m.skew = w.plan.skew[m.index]
		m.layer.Limit = -1
		m.disk.disarm()
		switch {
		case m.process == nil:
			m.start()
		case m.state().Clock.Stepped:
			m.process.stopClean(slot)
		}
	}
	w.tell("everything heals")
}

// stopClean ends the life as an operator does: the mark, and a snapshot of the end.
func (p *process) stopClean(down int64) {
	p.commitNow()
	if !p.current() {
		return
	}
	p.stopTurns()
	p.commitNow()
	if p.current() {
		p.m.end(stopped, down)
	}
}

func (s *diskFault) String() string {
	what := "fails"
	switch {
	case s.cut:
		what = "is cut before"
	case s.after:
		what = "fails after"
	}
	return fmt.Sprintf("%s the sync of %s, after %d more", what, s.sync, s.skip)
}
