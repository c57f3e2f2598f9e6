package salvage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// Line is one event of the JSON Lines output. The envelope is the event as it
// was stored; the other fields are read from it.
type Line struct {
	Sequence uint64   `json:"sequence"`
	Hash     string   `json:"hash"`
	Proven   bool     `json:"proven"`
	TimeMs   int64    `json:"time_ms"`
	Actor    string   `json:"actor"`
	Type     string   `json:"type"`
	Contents []string `json:"contents,omitempty"`
	// Undecoded says why the fields above are empty.
	Undecoded string `json:"undecoded,omitempty"`
	Envelope  []byte `json:"envelope"` // base64
}

// MissingContent is a content that an event names and no file holds.
type MissingContent struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
}

// maxMissingContents bounds the list of missing contents; more are counted.
const maxMissingContents = 10_000

// Written is what WriteEvents wrote and missed.
type Written struct {
	Events          uint64
	Unproven        uint64
	MissingContents []MissingContent // the first of them
	ContentsMissing uint64
}

// progressEvents is how often a walk over events looks at its context.
const progressEvents = 1024

// WriteEvents writes every event of every run as one JSON object a line.
// Progress, if not nil, is called with the events written and their number.
func (f *Found) WriteEvents(ctx context.Context, w io.Writer, progress func(done, total uint64)) (Written, error) {
	var out Written
	total := f.Events()
	enc := json.NewEncoder(w)
	for _, r := range f.Runs {
		err := f.Each(r, func(e Event) error {
			out.Events++
			if !e.Proven {
				out.Unproven++
			}
			if out.Events%progressEvents == 0 {
				if err := ctx.Err(); err != nil {
					return fault.Wrap(fault.Temporary, err, "salvage")
				}
				if progress != nil {
					progress(out.Events, total)
				}
			}
			return fault.Wrap(fault.Fatal, enc.Encode(f.line(e, &out)), "write events")
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// Events is the number of events of all runs.
func (f *Found) Events() (n uint64) {
	for _, r := range f.Runs {
		n += r.Events()
	}
	return n
}

func (f *Found) line(e Event, out *Written) Line {
	l := Line{Sequence: e.Sequence, Hash: e.Hash.String(), Proven: e.Proven, Envelope: e.Envelope}
	d, err := journal.DecodeEvent(e.Envelope, f.Content)
	if err != nil {
		l.Undecoded = err.Error()
		return l
	}
	l.TimeMs, l.Actor, l.Type = d.Time, d.Actor, d.Type
	for _, h := range d.Contents {
		l.Contents = append(l.Contents, h.String())
		if !f.HasContent(h) {
			out.ContentsMissing++
			if len(out.MissingContents) < maxMissingContents {
				out.MissingContents = append(out.MissingContents, MissingContent{e.Sequence, h.String()})
			}
		}
	}
	return l
}

// Rebuilt is the journal that WriteJournal made.
type Rebuilt struct {
	Head journal.Head
	// Stopped says why the journal ends there although a run goes on; "" when
	// it does not.
	Stopped string
	// Incident is set when the journal holds less than was acknowledged, or
	// nobody can tell.
	Incident *journal.Incident
}

// WriteJournal makes a journal of the events that are proven from the origin
// on and whose contents are there, with every content that was found. What is
// missing behind them is stated by an incident of kind repair, at the time
// given in Unix milliseconds: a node that uses the journal signs nothing until
// it is told of it.
func (f *Found) WriteJournal(ctx context.Context, o journal.Options, timeMs int64) (Rebuilt, error) {
	var out Rebuilt
	if !f.FromOrigin() {
		return out, fault.New(fault.Corrupt, "salvage: no event that is linked to the origin of a journal was found; there is nothing to make a journal of")
	}
	b, err := journal.NewRebuild(o, f.ID, f.Content)
	if err != nil {
		return out, err
	}
	if out.Stopped, err = f.rebuildEvents(ctx, b); err == nil {
		err = f.rebuildRest(b)
	}
	if err != nil {
		return out, errors.Join(err, b.Abort())
	}
	if out.Head, err = b.Finish(); err != nil {
		return out, err
	}
	if lost := f.lostAfter(out.Head); lost != "" {
		i, err := journal.AddIncident(o, journal.Incident{
			Kind: journal.IncidentRepair, Before: f.Acknowledged, Time: timeMs, Text: "salvaged: " + lost,
		})
		if err != nil {
			return out, err
		}
		out.Incident = &i
	}
	return out, nil
}

// lostAfter says what the original held, or may have held, behind a head.
func (f *Found) lostAfter(head journal.Head) string {
	last := f.Acknowledged.Sequence
	if n := len(f.Runs); n > 0 {
		last = max(last, f.Runs[n-1].Last.Sequence)
	}
	switch {
	case f.Acknowledged.Sequence == 0:
		return fmt.Sprintf("the head file is lost, so that nobody can tell whether event %d was the last", head.Sequence)
	case last > head.Sequence:
		return fmt.Sprintf("events %d to %d are not in this journal", head.Sequence+1, last)
	}
	return ""
}

// rebuildEvents takes the events of the first run, as far as their contents
// were found.
func (f *Found) rebuildEvents(ctx context.Context, b *journal.Rebuild) (stopped string, err error) {
	err = f.Each(f.Runs[0], func(e Event) error {
		if e.Sequence%progressEvents == 0 && ctx.Err() != nil {
			return fault.Wrap(fault.Temporary, ctx.Err(), "salvage")
		}
		d, err := journal.DecodeEvent(e.Envelope, f.Content)
		if err != nil {
			stopped = fmt.Sprintf("event %d: %v", e.Sequence, err)
			return errStop
		}
		for _, h := range d.Contents {
			if !f.HasContent(h) {
				stopped = fmt.Sprintf("event %d names content %s, which is lost", e.Sequence, h)
				return errStop
			}
		}
		return b.Event(e.Sequence, e.Envelope, e.Hash)
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return stopped, err
}

var errStop = errors.New("stop")

// rebuildRest takes contents and the incidents that still have their place.
func (f *Found) rebuildRest(b *journal.Rebuild) error {
	err := f.store.each([]byte{prefixContent}, []byte{prefixContent + 1}, func(key, value []byte) (bool, error) {
		return true, b.Content(journal.Hash(key[1:]), value)
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(f.Meta)) {
		i, ok, err := journal.DecodeIncident([]byte(key), f.Meta[key])
		if !ok {
			continue
		}
		if err != nil || i.After > b.Head().Sequence {
			break
		}
		if err := b.Incident(i); err != nil {
			return err
		}
	}
	return nil
}

// FromOrigin reports whether there is a journal to be made of what was found:
// events that are linked to the origin.
func (f *Found) FromOrigin() bool { return len(f.Runs) > 0 && f.Runs[0].Anchored == originAnchor }
