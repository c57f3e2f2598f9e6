package journal

import (
	"context"
	"errors"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// assess says what can be kept, after reading all of it.
func (r *repair) assess(ctx context.Context) (a Assessment, err error) {
	x, err := examine(r.opt.Options, r.cache)
	if x.db != nil { // the source opens it again
		err = errors.Join(err, guarded(x.db.Close))
	}
	a.Plan, a.ID, a.incidents = x.plan, x.plan.ID, x.incidents
	if err != nil {
		return a, err
	}
	if head, _, ok := r.unfinished(); ok {
		a.Whole, a.Resumes = head, true
		return a, nil
	}
	if x.decision == decideNewer {
		return a, x.plan.Refusal
	}
	known := []Head{x.plan.Last, x.plan.Index}
	if x.plan.Findings.Head != isForeign {
		known = append(known, x.plan.Record)
	}
	for _, h := range known {
		if h.Sequence > a.Claimed.Sequence {
			a.Claimed = h
		}
	}
	src, err := r.source(x)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	a.ID = src.ID()
	err = r.walk(ctx, src, &a, nil)
	return a, err
}

// source opens the best thing to read events from.
func (r *repair) source(x examined) (RepairSource, error) {
	switch {
	case x.unreadable == nil && x.plan.Findings.Database != isAbsent:
		return openDatabaseSource(r.opt.Options, r.cache)
	case r.opt.Source != nil:
		return r.opt.Source()
	default:
		return nil, x.plan.Refusal
	}
}

// past is what left the database of a source.
func (r *repair) past(src RepairSource) (*history, error) {
	var left archived
	if value := src.Archived(); value != nil {
		var err error
		if left, err = decodeArchived(src.ID(), value); err != nil {
			if errors.Is(err, ErrNewerFormat) {
				return nil, err
			}
			return nil, &CorruptError{Key: "key m/archive", What: "the record of the archived events is damaged; without it their place is not known", Cause: err}
		}
	}
	return newHistory(r.opt.Options, src.ID(), left), nil
}

// stored returns the contents of a source, or of the archive that it refers to.
func stored(src RepairSource, past *history) Resolver {
	return func(h Hash) ([]byte, error) {
		value, err := src.Stored(h)
		if err != nil {
			return nil, err
		}
		if segment, ok := ArchivedContent(h, value); ok {
			return past.content(segment, h)
		}
		return DecodeContent(h, value)
	}
}

// walk verifies events and their contents until one is not whole; keep, if not
// nil, takes each that is.
func (r *repair) walk(ctx context.Context, src RepairSource, a *Assessment, keep func(uint64, []byte, Hash, *Event) error) error {
	past, err := r.past(src)
	if err != nil {
		return err
	}
	content := stored(src, past)
	c := past.start().chain(content)
	a.Archived, a.Whole = c.next-1, Head{Sequence: c.next - 1, Hash: c.hash}
	var e Event
	var value []byte
	var bytes int64
	var checked recentHashes
	var failure error
	a.Stopped = src.Events(c.next, func(sequence uint64, envelope []byte, hash Hash) error {
		if sequence%progressEvents == 0 {
			if failure = fault.Wrap(fault.Temporary, ctx.Err(), "journal: repair"); failure != nil {
				return failure
			}
			if r.opt.Progress != nil {
				r.opt.Progress(sequence, bytes)
			}
		}
		value = append(append(value[:0], envelope...), hash[:]...)
		bytes += int64(len(value))
		if err := c.step(appendEventKey(nil, sequence), value, &e); err != nil {
			failure = unanswered(err)
			return err
		}
		for _, h := range e.Contents {
			if !checked.add(h) {
				continue
			}
			if _, err := content(h); err != nil {
				if failure = unanswered(err); failure != nil {
					return failure
				}
				return &CorruptError{Sequence: sequence, Key: contentKeyText(h), What: "the event names this content, which is not whole", Cause: err}
			}
		}
		if keep != nil {
			if failure = keep(sequence, envelope, hash, &e); failure != nil {
				return failure
			}
		}
		a.Whole = Head{Sequence: sequence, Hash: hash}
		return nil
	})
	if a.Stopped == nil && a.Whole.Sequence < a.Claimed.Sequence {
		a.Stopped = corruptEvent(a.Whole.Sequence+1, nil, "it is not there, though event %d was", a.Claimed.Sequence)
	}
	return failure
}

// unanswered returns an error that says nothing about the journal, only that the
// archive does not answer or refuses us. Nobody can tell then what could be kept.
func unanswered(err error) error {
	if away(err) {
		return err
	}
	return nil
}
