package journal

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// ArchiveOptions bound what [Journal.Archive] writes. The zero value is good.
type ArchiveOptions struct {
	// SegmentBytes is the size, in the database, of the events and contents of
	// one segment, of which the last event may be over; 0 means 64 MiB.
	SegmentBytes int64
	// Progress, if not nil, is called now and then with the sequence reached,
	// the goal and the bytes read.
	Progress func(sequence, goal uint64, bytes int64)
}

// ArchiveReport says what Archive moved.
type ArchiveReport struct {
	First    uint64    // first event in the database now
	Segments []Segment // written by this call
	Events   uint64    // moved by this call
	Contents uint64    // written to the segments
	Kept     uint64    // of these, contents that later events name, which stay in the database too
	RawBytes uint64    // events and contents, uncompressed
	Bytes    int64     // of the segments
}

// Archive moves the events before a sequence into segments of the archive, with
// the contents that they name. Reading goes on as if they were in place, and so
// does appending. The event of that sequence must be durable and stays.
//
// Each segment is stored durably, read back and compared, and only then leaves
// the database, in one synced batch: a crash at any point loses nothing, and
// calling Archive again goes on. The caller sees to it that no snapshot is
// needed for the events: they are only read from elsewhere afterwards.
//
// Errors: Invalid for a sequence that is not durable, Temporary when another
// Archive runs or the storage does not answer, a *[CorruptError] for damage.
func (j *Journal) Archive(ctx context.Context, before uint64, o ArchiveOptions) (ArchiveReport, error) {
	if err := j.enter(); err != nil {
		return ArchiveReport{}, err
	}
	defer j.leave()
	if j.opt.ReadOnly {
		return ArchiveReport{}, ErrReadOnly
	}
	if err := j.Err(); err != nil {
		return ArchiveReport{}, err
	}
	if !j.archiving.TryLock() {
		return ArchiveReport{}, fault.New(fault.Temporary, "journal %s: events are being archived already", j.opt.Dir)
	}
	defer j.archiving.Unlock()
	if last := j.Durable().Sequence; before > last {
		return ArchiveReport{}, fault.New(fault.Invalid, "journal: cannot archive the events before %d: the last durable one is %d, and it stays", before, last)
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	a := &archiver{ctx: ctx, j: j, opt: o, before: before}
	err := a.run()
	a.report.First = j.history.start().first
	return a.report, err
}

type archiver struct {
	ctx    context.Context
	j      *Journal
	opt    ArchiveOptions
	before uint64
	keep   hashSet // contents that the events from before on name
	bytes  int64
	report ArchiveReport
}

func (a *archiver) run() error {
	if a.j.history.start().first >= a.before {
		return nil
	}
	if err := a.named(); err != nil {
		return err
	}
	first := a.j.history.start().first
	for a.j.history.start().first < a.before {
		if err := a.segment(); err != nil {
			return err
		}
	}
	return a.compact(first)
}

// tell reports progress and whether to go on.
func (a *archiver) tell(sequence uint64) error {
	if a.opt.Progress != nil {
		a.opt.Progress(sequence, a.before, a.bytes)
	}
	if a.j.ended.Load() {
		return ErrClosed
	}
	if err := a.j.Err(); err != nil {
		return err
	}
	return fault.Wrap(fault.Temporary, a.ctx.Err(), fmt.Sprintf("journal: archived up to event %d", a.j.history.start().first-1))
}

// named collects what the events that stay name. A content that an event names
// which is appended meanwhile may leave all the same; it is then read from the
// archive.
func (a *archiver) named() (err error) {
	it := a.j.Iterate(a.before, false)
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return err
		}
		for _, h := range e.Contents {
			a.keep.add(h)
		}
		if e.Sequence%progressEvents == 0 {
			if err := a.tell(a.j.history.start().first); err != nil {
				return err
			}
		}
	}
	a.keep.finish()
	return it.Err()
}

// segmentPlan is what the next segment will hold.
type segmentPlan struct {
	start    hotStart
	last     uint64
	lastHash Hash
	contents []Hash // that no earlier segment holds, in order of first reference
}

// plan walks over events until the segment is full. Its name needs the last one.
func (a *archiver) plan() (p segmentPlan, err error) {
	p.start = a.j.history.start()
	it := a.j.Iterate(p.start.first, false)
	defer func() { err = errors.Join(err, it.Close()) }()
	seen := make(map[Hash]struct{})
	var size int64
	for size < a.opt.SegmentBytes && p.last+1 < a.before && it.Next() {
		_, envelope, hash := it.Raw()
		e, err := it.Event()
		if err != nil {
			return p, err
		}
		size += int64(len(envelope)) + int64(len(hash))
		for _, h := range e.Contents {
			if _, twice := seen[h]; twice {
				continue
			}
			seen[h] = struct{}{}
			value, err := a.contentValue(e.Sequence, h)
			if err != nil {
				return p, err
			}
			if _, elsewhere := ArchivedContent(h, value); elsewhere {
				continue
			}
			size += int64(len(value))
			p.contents = append(p.contents, h)
		}
		p.last, p.lastHash = e.Sequence, hash
		if e.Sequence%progressEvents == 0 {
			if err := a.tell(e.Sequence); err != nil {
				return p, err
			}
		}
	}
	if err := it.Err(); err != nil {
		return p, err
	}
	a.bytes += size
	return p, a.tell(p.last)
}

func (a *archiver) contentValue(sequence uint64, h Hash) ([]byte, error) {
	value, err := readKey(a.j.db, appendContentKey(nil, h))
	if err != nil {
		return nil, &CorruptError{Sequence: sequence, Key: contentKeyText(h), What: "the event names this content, which cannot be read", Cause: err}
	}
	return value, nil
}

// segment moves one segment: write, read back, forget.
func (a *archiver) segment() error {
	p, err := a.plan()
	if err != nil {
		return err
	}
	name := segmentName(a.j.id, p)
	storage := a.j.history.storage
	var written archive.Info
	err = storage.Put(a.ctx, name, func(w io.Writer) (err error) {
		written, err = a.write(w, p)
		return err
	})
	if err != nil {
		return fault.Wrap(fault.Of(err), err, fmt.Sprintf("journal: write events %d to %d to the archive", p.start.first, p.last))
	}
	r, err := archive.Open(a.ctx, storage, name)
	var read archive.Info
	if err == nil {
		read, err = r.Check(a.ctx, archive.Visitor{})
	}
	if err == nil && read != written {
		err = fault.New(fault.Corrupt, "it reads back as %+v, written was %+v", read, written)
	}
	if err != nil {
		return fault.Wrap(fault.Of(err), err, "journal: reading back archive file "+name+", nothing was removed from the journal")
	}
	s := Segment{
		Name: name, First: p.start.first, Last: p.last, LastHash: p.lastHash,
		LastTime: written.LastTime, Size: written.Size, Sum: written.Sum,
	}
	return a.forget(s, p, written)
}

// segmentName is unique for the history that the segment holds, so that no
// other history of this journal can replace it.
func segmentName(id ID, p segmentPlan) string {
	return fmt.Sprintf("%s-%020d-%020d-%x.segment", id, p.start.first, p.last, p.lastHash[:8])
}

// write checks the chain once more while it writes.
func (a *archiver) write(w io.Writer, p segmentPlan) (info archive.Info, err error) {
	s, err := archive.NewWriter(w, archive.Start{
		Journal: a.j.id, First: p.start.first, Before: p.start.hash, TimeBefore: p.start.time,
	})
	if err != nil {
		return info, err
	}
	it := a.j.Iterate(p.start.first, false)
	defer func() { err = errors.Join(err, it.Close()) }()
	c := p.start.chain(resolver(a.j.db, a.j.history))
	var e Event
	var key, value []byte
	for c.next <= p.last && it.Next() {
		sequence, envelope, hash := it.Raw()
		key = appendEventKey(key[:0], sequence)
		value = append(append(value[:0], envelope...), hash[:]...)
		if err := c.step(key, value, &e); err != nil {
			return info, err
		}
		if err := s.Event(e.Time, value); err != nil {
			return info, err
		}
	}
	if err := it.Err(); err != nil {
		return info, err
	}
	if c.next != p.last+1 || c.hash != p.lastHash {
		return info, corruptEvent(c.next, nil, "events change while they are archived")
	}
	for _, h := range p.contents {
		data, err := readContent(a.j.db, a.j.history, h)
		if err != nil {
			return info, err
		}
		if err := s.Content(h, data); err != nil {
			return info, err
		}
		if err := a.tell(p.last); err != nil {
			return info, err
		}
	}
	return s.Finish()
}

// forget takes the segment's events out of the database, in one synced batch
// with the record that says where they are. Readers learn of the segment first:
// one that looks between the two finds the events in both places.
func (a *archiver) forget(s Segment, p segmentPlan, info archive.Info) error {
	j := a.j
	j.forgetting.Lock()
	defer j.forgetting.Unlock()
	next := archived{segments: append(j.Archived(), s)}
	kept := uint64(0)
	j.history.now.Store(&next)
	err := j.dblog.attempt(func() error {
		b := j.db.NewBatch()
		defer b.Close()
		err := errors.Join(
			b.Set(metaArchive, next.encode(j.id), nil),
			b.DeleteRange(appendEventKey(nil, s.First), appendEventKey(nil, s.Last+1), nil))
		place := archivedValue(s.First)
		for _, h := range p.contents {
			if a.keep.has(h) {
				kept++
				continue
			}
			err = errors.Join(err, b.Set(appendContentKey(nil, h), place, nil))
		}
		return errors.Join(err, j.db.Apply(b, pebble.Sync))
	})
	if err != nil {
		err = fault.Wrap(fault.Fatal, err, fmt.Sprintf("journal %s: events %d to %d are in archive file %s and could not be removed from the database", j.opt.Dir, s.First, s.Last, s.Name))
		j.fail(err)
		return err
	}
	j.appending.Lock()
	j.recent = recentHashes{} // what was written lately may have left
	j.appending.Unlock()
	r := &a.report
	r.Segments = append(r.Segments, s)
	r.Events += s.Last + 1 - s.First
	r.Contents += info.Contents
	r.Kept += kept
	r.RawBytes += info.RawBytes
	r.Bytes += info.Size
	return nil
}

// compact gives the space of what left back to the disk: tables of events that
// are gone are dropped, and those of contents rewritten.
func (a *archiver) compact(first uint64) error {
	done := make(chan error, 1)
	go func() {
		done <- a.j.dblog.attempt(func() error {
			return errors.Join(
				a.j.db.Compact(a.ctx, appendEventKey(nil, first), appendEventKey(nil, a.before), false),
				a.j.db.Compact(a.ctx, []byte{prefixContent}, []byte{prefixContent + 1}, false))
		})
	}()
	var err error
	select {
	case err = <-done:
	case <-a.j.failed: // on a full disk a compaction waits for ever for a flush
		return a.j.Err()
	}
	if err == nil {
		return a.tell(a.before)
	}
	if stop := a.tell(a.before); stop != nil {
		return stop
	}
	return fault.Wrap(fault.Temporary, err, "journal "+a.j.opt.Dir+": the events are archived; giving their space back")
}
