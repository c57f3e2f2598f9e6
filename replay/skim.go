package replay

import (
	"context"
	"fmt"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/journal"
)

// Span is a run of turns of one behaviour.
type Span struct {
	First     uint64 `json:"first"`
	Last      uint64 `json:"last"`
	Behaviour uint32 `json:"behaviour"` // 0 when the journal does not tell
}

// begin brings a machine at sequence 0 to where re-execution can begin. Turns
// before a mark are read: their chain is checked and their messages are decoded,
// but another behaviour made them, so they are not handled again.
func (r *run) begin(ctx context.Context) error {
	origin, err := FindOrigin(r.journal, r.opt.To)
	if err != nil {
		return err
	}
	if err := origin.Foreign(r.opt.Behaviour); err != nil {
		return err
	}
	mark := origin.Mark
	if mark.Sequence == 0 {
		return nil
	}
	if err := r.skim(ctx, mark.Sequence-1); err != nil {
		return err
	}
	if err := r.spans(mark); err != nil {
		return err
	}
	if err := LoadMark(r.journal, r.machine, mark); err != nil {
		return err
	}
	r.report.From, r.report.Mark = r.machine.Sequence(), mark.Sequence
	return nil
}

// spans lists the behaviours of the turns before a mark, oldest first.
func (r *run) spans(mark actors.Mark) error {
	for {
		span := Span{First: max(mark.Previous, 1), Last: mark.Sequence - 1, Behaviour: mark.Before}
		if span.First <= span.Last {
			r.report.Before = append([]Span{span}, r.report.Before...)
		}
		if mark.Previous == 0 {
			return nil
		}
		e, _, err := r.journal.Event(mark.Previous)
		if err != nil {
			return err
		}
		older, err := markOf(r.journal, e)
		if err == nil && older.Sequence >= mark.Sequence {
			err = &journal.CorruptError{Sequence: mark.Sequence, What: fmt.Sprintf("it says that the mark before it is %d", older.Sequence)}
		}
		if err != nil {
			return err
		}
		mark = older
	}
}

// skim checks and decodes the events up to last without handling them.
func (r *run) skim(ctx context.Context, last uint64) error {
	it := r.journal.Iterate(1, false)
	defer it.Close()
	b := r.next()
	for at := r.report.Head; at.Sequence < last; {
		if !it.Next() {
			if err := it.Err(); err != nil {
				return err
			}
			return &journal.CorruptError{Sequence: at.Sequence + 1, What: "the event is missing"}
		}
		var err error
		if at, err = r.ready(b, at, it); err != nil {
			return err
		}
		r.report.Skipped++
		r.report.Bytes += int64(len(b.items[0].raw))
		r.report.Head, r.report.Sequence = at, at.Sequence
		b.items = b.items[:0]
		if at.Sequence%batchSize != 0 {
			continue
		}
		b.slab = nil
		if r.opt.Progress != nil {
			r.opt.Progress(r.report)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
