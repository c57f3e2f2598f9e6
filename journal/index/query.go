package index

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// Query says which events are wanted. The zero Query is all of them.
type Query struct {
	// All are conditions that every event found meets.
	All []Any
	// From and To bound the sequence, both included; 0 means open.
	From, To uint64
	// Since and Until bound the time in Unix milliseconds, both included; 0
	// means open.
	Since, Until int64
	// Reverse gives the newest first.
	Reverse bool
	// Cursor goes on where [Results.Cursor] was taken, with the same query.
	Cursor string
}

// Results are the events of a query, in order. They are for one goroutine, and
// fixed: what becomes durable after Find is not among them, nor after a page
// that goes on by Cursor.
type Results struct {
	ctx   context.Context
	x     *Index
	query Query
	low   uint64 // first that may still come
	high  uint64 // last that may still come

	lists      []*union // one a condition; nil once the index is not asked any more
	indexed    uint64   // the lists are complete up to here
	generation uint64

	it       *journal.Iterator
	at       uint64 // where it stands; 0 before its first event
	event    *journal.Event
	hash     journal.Hash
	sequence uint64
	err      error
	scanned  uint64
}

// Find returns the events that meet a query among those that are durable now.
// An error has grade Invalid for a query that makes no sense.
func (x *Index) Find(ctx context.Context, q Query) (*Results, error) {
	r := &Results{ctx: ctx, x: x, query: q, low: max(q.From, 1), high: x.journal.Durable().Sequence}
	for _, any := range q.All {
		if len(any) == 0 {
			return nil, fault.New(fault.Invalid, "index: a condition without a term")
		}
	}
	if q.To != 0 {
		r.high = min(r.high, q.To)
	}
	if q.Cursor != "" {
		var low, high uint64
		if _, err := fmt.Sscanf(q.Cursor, "%d-%d", &low, &high); err != nil || q.Cursor != fmt.Sprintf("%d-%d", low, high) {
			return nil, fault.New(fault.Invalid, "index: %q is no cursor", q.Cursor)
		}
		r.low, r.high = max(r.low, low), min(r.high, high)
	}
	if err := r.times(); err != nil {
		return nil, err
	}
	if len(q.All) > 0 {
		r.ask()
	}
	return r, nil
}

// times narrows the sequences to those of the time range. Times never
// decrease, so two searches by halves do.
func (r *Results) times() error {
	var failed error
	first := func(after func(time int64) bool) uint64 {
		n := sort.Search(int(min(r.high+1-min(r.low, r.high+1), math.MaxInt)), func(i int) bool {
			if failed != nil || r.ctx.Err() != nil {
				return true
			}
			e, _, err := r.x.journal.Event(r.low + uint64(i))
			if err != nil {
				failed = err
				return true
			}
			return after(e.Time)
		})
		return r.low + uint64(n)
	}
	if r.query.Until != 0 && r.low <= r.high {
		r.high = first(func(t int64) bool { return t > r.query.Until }) - 1
	}
	if r.query.Since != 0 && r.low <= r.high {
		r.low = first(func(t int64) bool { return t >= r.query.Since })
	}
	return failed
}

// ask prepares the lists of the query's terms.
func (r *Results) ask() {
	r.x.mu.RLock()
	r.indexed, r.generation = r.x.Position().Sequence, r.x.generation
	present := r.x.db != nil
	r.x.mu.RUnlock()
	if !present {
		return
	}
	for _, any := range r.query.All {
		u := &union{}
		for _, t := range any {
			u.lists = append(u.lists, &list{term: appendTerm(nil, t.Kind, []byte(t.Value))})
		}
		r.lists = append(r.lists, u)
	}
}

// Next moves to the next event and reports whether there is one.
func (r *Results) Next() bool {
	for r.err == nil && r.low <= r.high {
		if r.err = fault.Wrap(fault.Temporary, r.ctx.Err(), "index: query"); r.err != nil {
			break
		}
		sequence, ok := r.candidate()
		if !ok {
			break
		}
		if r.query.Reverse {
			r.high = sequence - 1
		} else {
			r.low = sequence + 1
		}
		var meets bool
		if meets, r.err = r.load(sequence); meets && r.err == nil {
			return true
		}
	}
	if r.err == nil {
		r.low, r.high = 1, 0
	}
	return false
}

// candidate returns the next sequence whose event may meet the query.
func (r *Results) candidate() (uint64, bool) {
	at := r.low
	if r.query.Reverse {
		at = r.high
	}
	if r.lists == nil || at > r.indexed {
		return at, true // not indexed: every event is looked at
	}
	sequence, ok, err := r.intersect(at)
	if err != nil {
		// The journal has everything too, only slower.
		r.x.opt.Logger.Warn("index: not used for the rest of a query", "dir", r.x.opt.Dir, "error", err)
		r.lists = nil
		return at, true
	}
	switch {
	case r.query.Reverse:
		return sequence, ok && sequence >= r.low
	case !ok || sequence > r.indexed:
		return max(r.low, r.indexed+1), r.indexed < r.high
	default:
		return sequence, sequence <= r.high
	}
}

// intersect finds the sequence nearest to at that is in every list.
func (r *Results) intersect(at uint64) (uint64, bool, error) {
	for agreed := 0; ; {
		for _, u := range r.lists {
			sequence, ok, err := u.seek(r, at)
			if err != nil || !ok {
				return 0, false, err
			}
			if sequence != at {
				at, agreed = sequence, 0
			}
			if agreed++; agreed >= len(r.lists) {
				return at, true, nil
			}
		}
	}
}

// near is how far ahead the next event is read past instead of sought.
const near = 32

// load reads an event and compares it with the query.
func (r *Results) load(sequence uint64) (bool, error) {
	ahead := sequence - r.at
	if r.query.Reverse {
		ahead = r.at - sequence
	}
	if r.it == nil || r.at == 0 || ahead == 0 || ahead > near {
		if err := r.closeIterator(); err != nil {
			return false, err
		}
		r.it = r.x.journal.Iterate(sequence, r.query.Reverse)
	}
	for r.at != sequence {
		if !r.it.Next() {
			if err := r.it.Err(); err != nil {
				return false, err
			}
			return false, fault.New(fault.Corrupt, "index: event %d is durable and not there", sequence)
		}
		r.at, _, r.hash = r.it.Raw()
		r.scanned++
	}
	e, err := r.it.Event()
	if err != nil {
		return false, err
	}
	r.event, r.sequence = e, sequence
	return r.x.matches(e, r.query.All)
}

// Event returns the event that Next moved to. It is valid until the next call
// of Next or Close.
func (r *Results) Event() *journal.Event { return r.event }

// Hash returns the chain hash of that event.
func (r *Results) Hash() journal.Hash { return r.hash }

// Scanned returns how many events were read so far to find those given.
func (r *Results) Scanned() uint64 { return r.scanned }

// Cursor names the place after the event that Next moved to, for
// [Query.Cursor]; "" when nothing can come any more.
func (r *Results) Cursor() string {
	if r.low > r.high {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.low, r.high)
}

// Err returns why Next returned false before the end; nil at the end.
func (r *Results) Err() error { return r.err }

func (r *Results) closeIterator() error {
	if r.it == nil {
		return nil
	}
	err := r.it.Close()
	r.it, r.at = nil, 0
	return err
}

// Close releases the results and returns Err. It may be called twice.
func (r *Results) Close() error {
	if err := r.closeIterator(); r.err == nil {
		r.err = err
	}
	r.low, r.high = 1, 0
	return r.err
}
