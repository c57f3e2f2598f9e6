package progress

import "time"

// Update is the state of a job.
type Update struct {
	Done   uint64 // units done, or the number reached, as Options.From counts them
	Total  uint64 // where Done ends; 0 when unknown
	Bytes  int64  // bytes handled since the start; not shown when 0
	Height uint64 // height of the chain; not shown when 0
}

const (
	window   = time.Minute // what the rate covers
	sampling = time.Second // time between samples
)

type sample struct {
	at   time.Time
	done uint64
}

// meter measures speed. It takes the time from its caller.
type meter struct {
	begun sample
	last  Update
	ring  []sample // oldest first, at most window/sampling + 2
}

func newMeter(now time.Time, from uint64) *meter {
	m := &meter{begun: sample{now, from}, last: Update{Done: from}}
	m.ring = append(m.ring, m.begun)
	return m
}

// set notes a state. A job that goes back, such as one that begins a second
// pass, is measured anew.
func (m *meter) set(u Update, now time.Time) {
	if u.Done < m.last.Done {
		m.begun = sample{now, u.Done}
		m.ring = append(m.ring[:0], m.begun)
	}
	m.last = u
}

// tick takes a sample and drops those that left the window, except one.
func (m *meter) tick(now time.Time) {
	drop := 0
	for drop+1 < len(m.ring) && now.Sub(m.ring[drop+1].at) >= window {
		drop++
	}
	m.ring = append(m.ring[:0], m.ring[drop:]...)
	if now.Sub(m.ring[len(m.ring)-1].at) >= sampling {
		m.ring = append(m.ring, sample{now, m.last.Done})
	}
}

// state is what is shown.
type state struct {
	Update
	percent float64       // cut to a tenth; -1 when unknown
	rate    float64       // units per second over span
	span    time.Duration // 0 when the rate is unknown
	left    time.Duration // -1 when unknown
}

func (m *meter) state(now time.Time) state {
	s := measure(m.last, m.ring[0], now)
	if s.span > window { // the oldest sample is kept until the next has left the window
		s.span = window
	}
	return s
}

// whole is the state over the whole job.
func (m *meter) whole(now time.Time) state { return measure(m.last, m.begun, now) }

func measure(u Update, since sample, now time.Time) state {
	s := state{Update: u, percent: -1, left: -1}
	if u.Total > 0 {
		s.percent = percent(u.Done, u.Total)
	}
	span := now.Sub(since.at)
	if span <= 0 {
		return s
	}
	s.span, s.rate = span, float64(u.Done-since.done)/span.Seconds()
	switch {
	case u.Total == 0:
	case u.Done >= u.Total:
		s.left = 0
	case s.rate > 0:
		const most = 10000 * time.Hour // beyond that nothing is known
		if seconds := float64(u.Total-u.Done) / s.rate; seconds < most.Seconds() {
			s.left = time.Duration(seconds * float64(time.Second))
		}
	}
	return s
}

// percent returns done/total in percent, cut to a tenth.
func percent(done, total uint64) float64 {
	if done >= total {
		return 100
	}
	tenths := uint64(float64(done) / float64(total) * 1000)
	return float64(min(tenths, 999)) / 10
}
