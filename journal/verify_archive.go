package journal

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// segments verifies the events of the range that left the database. A segment
// that is wholly in the range is read byte by byte, its file's sum included.
func (v *verifier) segments() error {
	var e Event
	for i := range v.archived.segments {
		s := &v.archived.segments[i]
		if s.Last < v.report.From || s.First > v.report.To {
			continue
		}
		r, err := v.j.history.reader(s)
		if err != nil {
			return s.wrong(max(s.First, v.report.From), err)
		}
		if s.First < v.report.From || s.Last > v.report.To {
			err = v.part(s, r, &e)
		} else {
			err = v.whole(s, r, &e)
		}
		if err != nil {
			return err
		}
		if s.Last <= v.report.To && v.chain.hash != s.LastHash {
			return corruptEvent(s.Last, nil, "its hash is %s, the journal says that archive file %s ends with %s", v.chain.hash, s.Name, s.LastHash)
		}
	}
	return nil
}

// part verifies the events of a segment that are in the range.
func (v *verifier) part(s *Segment, r *archive.Reader, e *Event) error {
	for q := max(s.First, v.report.From); q <= min(s.Last, v.report.To); q++ {
		value, err := r.Event(v.ctx, q)
		if err != nil {
			return s.wrong(q, err)
		}
		if err := v.event(appendEventKey(nil, q), value, e); err != nil {
			return err
		}
	}
	return nil
}

// whole verifies all of a segment.
func (v *verifier) whole(s *Segment, r *archive.Reader, e *Event) error {
	var found error // about an event, not about the file
	var key []byte
	info, err := r.Check(v.ctx, archive.Visitor{Event: func(q uint64, value []byte) error {
		key = appendEventKey(key[:0], q)
		found = v.event(key, value, e)
		return found
	}})
	switch {
	case found != nil:
		return found
	case err != nil:
		return s.wrong(max(v.chain.next, s.First), err)
	case Hash(info.Sum) != s.Sum:
		return s.wrong(s.First, fault.New(fault.Corrupt, "the SHA-256 of the file is %x, the journal says %s", info.Sum, s.Sum))
	}
	if err := s.matches(v.j.id, info); err != nil {
		return s.wrong(s.First, fmt.Errorf("%w", err))
	}
	return nil
}
