package salvage

import (
	"cmp"
	"errors"
	"slices"

	"github.com/AnduroProject/alys-go/journal"
)

// Anchor is an event whose hash is known from somewhere else than the event:
// the journal's origin, the head file, a record of the archive or an incident.
type Anchor struct {
	Head journal.Head
	From string // where it is from
}

// Run is a stretch of events that chain, without a gap.
type Run struct {
	First journal.Head // its first event
	Last  journal.Head
	// Whole says that the first event is linked to a hash known from elsewhere
	// (Anchored), so that every byte of the run is proven. Else the run is
	// proven from its second event on: the first event's hash is what the
	// second is chained to, but whether its bytes give that hash can only be
	// told with the hash of the event before it.
	Whole    bool
	Anchored string // the anchor before the first event, or ""
	// Confirmed names the anchor whose hash is that of an event of the run: up
	// to there the run is what the journal acknowledged.
	Confirmed string

	path []segment
}

// Events is the number of events of the run.
func (r Run) Events() uint64 { return r.Last.Sequence - r.First.Sequence + 1 }

// segment is a run without a fork. Segments that continue the same one name it
// as their parent.
type segment struct {
	first, last journal.Head
	parent      int // -1 for none
	anchored    string
	confirmed   string
	confirmedAt uint64
}

// chainer finds the segments, sequence by sequence.
type chainer struct {
	anchors  []Anchor
	segments []segment
	tips     []int // segments that end at the sequence before
	before   uint64
}

// step takes all values found for the next sequence that has any.
func (c *chainer) step(sequence uint64, found []candidate) {
	if sequence != c.before+1 {
		c.tips = c.tips[:0]
	}
	matches := make([]int, len(found)) // position in tips, -1 for none
	children := make([]int, len(c.tips))
	for i, f := range found {
		matches[i] = -1
		for t, s := range c.tips {
			if journal.Link(c.segments[s].last.Hash, f.envelope) == f.hash {
				matches[i] = t
				children[t]++
				break
			}
		}
	}
	var next []int
	for i, f := range found {
		head := journal.Head{Sequence: sequence, Hash: f.hash}
		s := -1
		switch t := matches[i]; {
		case t >= 0 && children[t] == 1:
			s = c.tips[t]
			c.segments[s].last = head
		case t >= 0:
			s = c.begin(segment{first: head, last: head, parent: c.tips[t]})
		default:
			s = c.start(head, f)
		}
		if s >= 0 {
			c.confirm(s, head)
			next = append(next, s)
		}
	}
	c.tips, c.before = next, sequence
}

// start begins a segment that continues none; -1 when the value is no event.
func (c *chainer) start(head journal.Head, f candidate) int {
	for _, a := range c.anchors {
		if a.Head.Sequence+1 == head.Sequence && journal.Link(a.Head.Hash, f.envelope) == f.hash {
			return c.begin(segment{first: head, last: head, parent: -1, anchored: a.From})
		}
	}
	if !plausible(head.Sequence, f.envelope) {
		return -1
	}
	return c.begin(segment{first: head, last: head, parent: -1})
}

// plausible reports whether an envelope that nothing links to anything may be
// the event of a sequence.
func plausible(sequence uint64, envelope []byte) bool {
	if stated, ok := journal.EnvelopeSequence(envelope); !ok || stated != sequence {
		return false
	}
	_, err := journal.DecodeEvent(envelope, nil)
	return err == nil || errors.Is(err, journal.ErrSpilled)
}

func (c *chainer) begin(s segment) int {
	c.segments = append(c.segments, s)
	return len(c.segments) - 1
}

func (c *chainer) confirm(s int, head journal.Head) {
	for _, a := range c.anchors {
		if a.Head == head {
			c.segments[s].confirmed, c.segments[s].confirmedAt = a.From, head.Sequence
		}
	}
}

// runs chooses: where segments exclude each other, the one that an anchor
// confirms, then the one anchored at its start, then the longest. The others
// are returned as conflicts.
func (c *chainer) runs() (chosen, conflicts []Run) {
	all := make([]Run, 0, len(c.segments))
	parents := map[int]bool{}
	for _, s := range c.segments {
		if s.parent >= 0 {
			parents[s.parent] = true
		}
	}
	confirmedAt := map[int]uint64{}
	for leaf := range c.segments {
		if parents[leaf] {
			continue
		}
		r := Run{Last: c.segments[leaf].last}
		for s := leaf; s >= 0; s = c.segments[s].parent {
			g := c.segments[s]
			r.path = append(r.path, g)
			r.First, r.Anchored, r.Whole = g.first, g.anchored, g.anchored != ""
			if g.confirmedAt > confirmedAt[len(all)] {
				r.Confirmed, confirmedAt[len(all)] = g.confirmed, g.confirmedAt
			}
		}
		slices.Reverse(r.path)
		all = append(all, r)
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := all[a], all[b]
		return cmp.Or(
			-cmp.Compare(confirmedAt[a], confirmedAt[b]),
			-cmp.Compare(truth(x.Whole), truth(y.Whole)),
			-cmp.Compare(x.Events(), y.Events()))
	})
	for _, i := range order {
		r := all[i]
		if slices.ContainsFunc(chosen, func(o Run) bool {
			return r.First.Sequence <= o.Last.Sequence && o.First.Sequence <= r.Last.Sequence
		}) {
			conflicts = append(conflicts, r)
			continue
		}
		chosen = append(chosen, r)
	}
	byPlace := func(a, b Run) int { return cmp.Compare(a.First.Sequence, b.First.Sequence) }
	slices.SortFunc(chosen, byPlace)
	slices.SortFunc(conflicts, byPlace)
	return chosen, conflicts
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
