package replay

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Options of a run. The zero value replays to the journal's head.
type Options struct {
	To uint64 // last sequence to replay; 0 means the journal's head
	// After is the chain hash at the machine's position; the zero hash means
	// the journal's origin, which is right for a machine at sequence 0.
	After journal.Hash
	// Progress is called every few hundred turns on the comparing goroutine.
	Progress func(Report)
	// Prepare is called for each message on the reading goroutine, to compute
	// slow pure work ahead. It may be nil.
	Prepare func(core.Message)
	// Behaviour is the version of the cores' rules in m. Turns of another are a
	// *[BehaviourError]. 0 leaves that to the comparison.
	Behaviour uint32
}

// Report says what a run did.
type Report struct {
	From, Sequence, To uint64 // before the first turn, now, the goal
	Turns              uint64
	Failed             uint64 // turns that failed then and now
	Bytes              int64  // of events
	Digests            uint64 // snapshots whose digests were compared
	Mark               uint64 // sequence of the mark whose states it began with; 0 for none
	Skipped            uint64 // turns before the mark: checked and decoded, not handled again
	Before             []Span // whose turns those are, oldest first
	Head               journal.Head
	Elapsed            time.Duration
}

const (
	batchSize = 256
	slabSize  = 64 << 10
)

// item is one event made ready: bytes, fields, message.
type item struct {
	raw     []byte
	event   journal.Event
	hash    journal.Hash
	message core.Message // nil when the message came from a send
}

// batch is what goes from the reading to the comparing goroutine and back for
// reuse. The bytes in slab are new for each use, for messages refer to them.
type batch struct {
	items []item
	slab  []byte
}

func (b *batch) clone(envelope []byte) []byte {
	if len(envelope) > cap(b.slab)-len(b.slab) {
		b.slab = make([]byte, 0, max(slabSize, len(envelope)))
	}
	start := len(b.slab)
	b.slab = append(b.slab, envelope...)
	return b.slab[start:len(b.slab):len(b.slab)]
}

// Run replays into m. A machine at sequence 0 begins at genesis, or with the
// states of the newest mark at or below To ([actors.Mark]), for the turns before
// it are another behaviour's: these are checked and decoded only. The error is a *Divergence when a turn comes out
// differently, graded Corrupt; otherwise what the journal reports.
func Run(ctx context.Context, j *journal.Journal, m *actors.Machine, o Options) (Report, error) {
	started := time.Now()
	if o.To == 0 || o.To > j.Durable().Sequence {
		o.To = j.Durable().Sequence
	}
	r := &run{journal: j, machine: m, opt: o, digests: make(map[uint64]<-chan digestResult)}
	r.report = Report{From: m.Sequence(), Sequence: m.Sequence(), To: o.To, Head: journal.Head{Sequence: m.Sequence(), Hash: o.After}}
	if r.report.Head.Hash == (journal.Hash{}) && m.Sequence() == 0 {
		r.report.Head.Hash = journal.Origin(j.ID())
	}
	if m.Sequence() == 0 {
		if err := r.begin(ctx); err != nil {
			r.report.Elapsed = time.Since(started)
			return r.report, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan *batch, 4)
	r.free = make(chan *batch, 8)
	readErr := make(chan error, 1)
	go func() { readErr <- r.read(ctx, batches) }()
	err := r.compare(batches)
	cancel()
	for range batches { // let the reader end
	}
	if reading := <-readErr; err == nil {
		err = reading
	}
	if err == nil && r.report.Sequence < o.To {
		err = fault.New(fault.Corrupt, "event %d is missing: the journal says its head is %d", r.report.Sequence+1, o.To)
	}
	r.report.Elapsed = time.Since(started)
	return r.report, err
}

type run struct {
	journal *journal.Journal
	machine *actors.Machine
	opt     Options
	report  Report
	buf     []byte
	digests map[uint64]<-chan digestResult
	free    chan *batch
}

type digestResult struct {
	digests []snapshot.SectionDigest
	err     error
}

// next returns an empty batch.
func (r *run) next() *batch {
	select {
	case b := <-r.free:
		b.slab = nil
		b.items = b.items[:0]
		return b
	default:
		return &batch{items: make([]item, 0, batchSize)}
	}
}

// read walks the journal, checks the hash chain and decodes.
func (r *run) read(ctx context.Context, out chan<- *batch) error {
	defer close(out)
	at := r.report.Head
	if at.Sequence >= r.opt.To {
		return nil
	}
	it := r.journal.Iterate(at.Sequence+1, false)
	defer it.Close()
	for at.Sequence < r.opt.To {
		b := r.next()
		var err error
		for len(b.items) < batchSize && at.Sequence < r.opt.To && err == nil && it.Next() {
			at, err = r.ready(b, at, it)
		}
		done := len(b.items) < batchSize
		select {
		case out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	return it.Err()
}

// ready checks and decodes the iterator's event into a new item of b.
func (r *run) ready(b *batch, at journal.Head, it *journal.Iterator) (journal.Head, error) {
	sequence, envelope, hash := it.Raw()
	if sequence != at.Sequence+1 {
		return at, &journal.CorruptError{Sequence: at.Sequence + 1, What: "the event is missing"}
	}
	if journal.Link(at.Hash, envelope) != hash {
		return at, &journal.CorruptError{Sequence: sequence, What: "its hash does not follow from its bytes and the event before it"}
	}
	b.items = b.items[:len(b.items)+1]
	x := &b.items[len(b.items)-1]
	x.raw, x.hash, x.message = b.clone(envelope), hash, nil
	err := journal.DecodeEventInto(&x.event, x.raw, r.journal.Content)
	if err != nil {
		err = &journal.CorruptError{Sequence: sequence, What: "it does not decode", Cause: err}
	} else if e := &x.event; e.Stored {
		x.message, err = r.machine.DecodeMessage(e.Type, e.Schema, e.Message, r.resolve)
		if err != nil {
			err = fmt.Errorf("event %d: %w", sequence, err)
		} else if r.opt.Prepare != nil {
			r.opt.Prepare(x.message)
		}
	}
	if err != nil {
		b.items = b.items[:len(b.items)-1]
		return at, err
	}
	return journal.Head{Sequence: sequence, Hash: hash}, nil
}

func (r *run) resolve(hash [32]byte) ([]byte, error) { return r.journal.Content(hash) }

// compare handles the turns again.
func (r *run) compare(batches <-chan *batch) error {
	for b := range batches {
		for i := range b.items {
			if err := r.turn(&b.items[i]); err != nil {
				return err
			}
		}
		select {
		case r.free <- b:
		default:
		}
		if r.opt.Progress != nil {
			r.opt.Progress(r.report)
		}
	}
	return nil
}

func (r *run) turn(x *item) error {
	e := &x.event
	in := actors.Input{Actor: core.ID(e.Actor), Message: x.message, Cause: core.Ref(e.Cause), Time: e.Time}
	if !e.Stored {
		next, ok := r.machine.NextSend()
		if !ok || next.Cause != in.Cause || next.Actor != in.Actor {
			return r.diverges(x, []Difference{{Field: "cause", Stored: fmt.Sprintf("send %d/%d to %s", e.Cause.Sequence, e.Cause.Index, e.Actor), Replayed: describeSend(next, ok)}})
		}
		in.Message, in.Sent = next.Message, true
	} else if next, ok := r.machine.NextSend(); ok && e.Type != incidentType {
		return r.diverges(x, []Difference{{Field: "cause", Stored: "a message from outside", Replayed: describeSend(next, ok)}})
	}
	if err := r.mark(in.Message, e); err != nil {
		return err
	}
	turn, err := r.machine.Step(in)
	if err != nil {
		return r.diverges(x, []Difference{{Field: "message", Stored: "handled", Replayed: err.Error()}})
	}
	r.buf = turn.Event.AppendVersionTo(r.buf[:0], x.raw[0])
	if !bytes.Equal(r.buf, x.raw) {
		return r.diverges(x, differences(e, turn.Event, x.raw[0]))
	}
	if e.Outcome == journal.OutcomeFailed {
		r.report.Failed++
	}
	r.report.Turns++
	r.report.Bytes += int64(len(x.raw))
	r.report.Sequence = e.Sequence
	r.report.Head = journal.Head{Sequence: e.Sequence, Hash: x.hash}
	return r.digest(in.Message, x)
}

// mark checks that the states at a mark are those that it carries.
func (r *run) mark(m core.Message, e *journal.Event) error {
	mark, ok := actors.MarkOf(m)
	if !ok {
		return nil
	}
	if r.opt.Behaviour != 0 && mark.Behaviour != r.opt.Behaviour {
		return &BehaviourError{Journal: mark.Behaviour, Program: r.opt.Behaviour, Since: e.Sequence}
	}
	mark.Sequence = e.Sequence
	return r.machine.AtMark(mark)
}

// digest computes the digests of the states that a snapshot froze, and compares
// them when the journal tells what they were.
func (r *run) digest(m core.Message, x *item) error {
	switch m := m.(type) {
	case *message.SnapshotBegun:
		done := make(chan digestResult, 1)
		sections := r.machine.Freeze()
		go func() {
			d, err := snapshot.Digests(sections)
			done <- digestResult{d, err}
		}()
		r.digests[x.event.Sequence] = done
		for old := range r.digests { // a snapshot that failed was never told of
			if old+maxDigestAge < x.event.Sequence {
				delete(r.digests, old)
			}
		}
	case *message.SnapshotTaken:
		done, ok := r.digests[m.At]
		if !ok {
			return nil // it was frozen before the replay began
		}
		delete(r.digests, m.At)
		result := <-done
		if result.err != nil {
			return result.err
		}
		r.report.Digests++
		if diff := digestDifferences(m, actors.TakenFrom(m.At, result.digests)); len(diff) > 0 {
			return r.diverges(x, diff)
		}
	}
	return nil
}

// incidentType comes before the sends that the turns before it left. (actors.Runtime.Precede)
var incidentType = (*message.JournalIncident)(nil).Type()

const maxDigestAge = 1_000_000
