package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Report is what Verify read.
type Report struct {
	From, To     uint64 // events checked, inclusive
	Head         Head   // of the last of them
	Events       uint64
	EventBytes   int64  // envelopes and hashes
	Contents     uint64 // content objects read for the events' references
	ContentBytes int64
	// Complete is set when From is 1 and To was the last durable event: then
	// the head file, the metadata and keys of no known kind were checked as
	// well, and orphans are counted.
	Complete    bool
	Orphans     uint64 // contents that no event names; re-hashed too
	OrphanBytes int64
}

// progressEvents is how often Verify reports progress and looks at its context.
const progressEvents = 4096

// Verify reads the events from to to (0 and 0 mean all that are durable), and
// computes every hash again: the link of each event to the one before, that
// its envelope decodes, that times do not decrease, and that every content
// object the events name exists and hashes to its name. It returns the first
// thing wrong as a *[CorruptError] together with the report so far.
//
// Progress, if not nil, is called now and then with the events done, their
// total and the bytes read. Appending goes on meanwhile. Blocks that are in the
// cache are not read from disk again; a scrubber that wants the disk verifies
// a [Journal.Checkpoint] opened read-only.
func (j *Journal) Verify(ctx context.Context, from, to uint64, progress func(done, total uint64, bytes int64)) (Report, error) {
	if err := j.enter(); err != nil {
		return Report{}, err
	}
	defer j.leave()
	if err := j.Err(); err != nil {
		return Report{}, err
	}
	last := j.Durable().Sequence
	from = max(from, 1)
	complete := from == 1 && (to == 0 || to == last)
	if to == 0 {
		to = last
	}
	if to > last || from > to+1 {
		return Report{}, fault.New(fault.Invalid, "journal: cannot verify events %d to %d, the last durable one is %d", from, to, last)
	}
	v := &verifier{ctx: ctx, j: j, progress: progress, total: to + 1 - from}
	v.report = Report{From: from, To: to, Complete: complete}
	err := guarded(func() error { return v.run() })
	if err != nil && fault.Of(err) != fault.Corrupt && fault.Of(err) != fault.Fatal && ctx.Err() == nil && !errors.Is(err, ErrNewerFormat) && !errors.Is(err, ErrClosed) && !away(err) {
		err = corruptRead(v.chain.next, err)
	}
	return v.report, err
}

type verifier struct {
	ctx       context.Context
	j         *Journal
	snap      *pebble.Snapshot
	progress  func(done, total uint64, bytes int64)
	total     uint64
	report    Report
	chain     chain
	record    headRead
	checked   recentHashes
	incidents []Incident
	names     hashSet // of all contents named, only when complete
	archived  archived
	hot       uint64 // events before it come from the archive
}

func (v *verifier) run() (err error) {
	if v.report.Complete {
		if err := v.readRecord(); err != nil {
			return err
		}
	}
	// Taken after the head file was read, so that it holds the record's event.
	if v.snap, err = attempt(v.j.dblog, func() (*pebble.Snapshot, error) { return v.j.db.NewSnapshot(), nil }); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, v.j.dblog.attempt(v.snap.Close))
	}()
	// After the snapshot, so that what is not in it is in the archive.
	v.archived = *v.j.history.now.Load()
	v.hot = v.archived.start(v.j.id).first
	if v.incidents, err = readIncidents(v.snap); err != nil {
		return err
	}
	if err := v.begin(); err != nil {
		return err
	}
	if err := v.events(); err != nil {
		return err
	}
	if !v.report.Complete {
		return nil
	}
	if err := v.keys(); err != nil {
		return err
	}
	return v.contents()
}

func (v *verifier) tell() error {
	if v.progress != nil {
		v.progress(v.report.Events, v.total, v.report.EventBytes+v.report.ContentBytes+v.report.OrphanBytes)
	}
	if v.j.ended.Load() {
		return ErrClosed
	}
	return fault.Wrap(fault.Temporary, v.ctx.Err(), fmt.Sprintf("journal: verified up to event %d", v.report.Head.Sequence))
}

// readRecord reads the head file. A slot may be damaged for the moment in
// which the committer writes it, so only the state counts.
func (v *verifier) readRecord() error {
	path := v.j.opt.FS.PathJoin(v.j.opt.Dir, headName)
	var err error
	if v.record, err = readHeadFile(v.j.opt.FS, path); err != nil {
		return err
	}
	switch r := v.record; {
	case (r.state == headAbsent || r.state == headBad) && v.j.opt.ReadOnly && v.j.Durable().Sequence == 0:
		return nil // creation was cut short; the next open for writing ends it
	case r.state != headOK:
		return &CorruptError{Key: path, What: "it cannot be read", Cause: r.detail}
	case r.record.id != v.j.id:
		return &CorruptError{Key: path, What: fmt.Sprintf("it belongs to journal %s, not %s", r.record.id, v.j.id)}
	}
	return nil
}

// begin finds the hash that the first event is linked to.
func (v *verifier) begin() error {
	v.chain = chain{next: v.report.From, hash: Origin(v.j.id), resolve: resolver(v.snap, v.j.history)}
	v.report.Head = Head{Sequence: v.report.From - 1, Hash: v.chain.hash}
	hash, err := v.j.hashBefore(v.report.From)
	if err != nil {
		return err
	}
	v.chain.hash, v.report.Head.Hash = hash, hash
	return nil
}

// events walks the events of the range. A complete run goes on to the end of
// the snapshot, because contents there may belong to events not yet durable.
func (v *verifier) events() error {
	if err := v.segments(); err != nil {
		return err
	}
	bounds := &pebble.IterOptions{LowerBound: appendEventKey(nil, max(v.report.From, v.hot)), UpperBound: appendEventKey(nil, v.report.To+1)}
	if v.report.Complete {
		bounds.UpperBound = []byte{prefixEvent + 1}
	}
	if v.hot > v.report.To && !v.report.Complete {
		return v.tell()
	}
	it, err := v.snap.NewIter(bounds)
	if err != nil {
		return err
	}
	defer it.Close()
	var e Event
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := v.event(it.Key(), value, &e); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	if v.chain.next <= v.report.To {
		return corruptEvent(v.chain.next, nil, "it is missing, and everything after it up to event %d", v.report.To)
	}
	if r := v.record.record.head; v.record.state == headOK && r.Sequence >= v.chain.next {
		return corruptEvent(v.chain.next, nil, "it is missing; the head record is %s", r)
	}
	return v.tell()
}

func (v *verifier) event(key, value []byte, e *Event) error {
	if err := v.chain.step(key, value, e); err != nil {
		return err
	}
	if r := v.record.record.head; v.record.state == headOK && r.Sequence == e.Sequence && r.Hash != v.chain.hash {
		return corruptEvent(e.Sequence, nil, "its hash is %s, the head record says %s", v.chain.hash, r.Hash)
	}
	if i, told := v.tells(e); !told {
		return corruptEvent(e.Sequence, nil, "it is of type %q, but it follows incident %d (%s) and must be of type %q", e.Type, i.Number, i.Kind, IncidentType)
	}
	for _, h := range e.Contents {
		if v.report.Complete {
			v.names.add(h)
		}
		if e.Sequence <= v.report.To {
			if err := v.content(e.Sequence, h); err != nil {
				return err
			}
		}
	}
	if e.Sequence > v.report.To {
		return nil
	}
	v.report.Events++
	v.report.EventBytes += int64(len(value))
	v.report.Head = Head{Sequence: e.Sequence, Hash: v.chain.hash}
	if v.report.Events%progressEvents == 0 {
		return v.tell()
	}
	return nil
}

// tells reports whether the event tells of the incident before it, if any.
func (v *verifier) tells(e *Event) (i Incident, told bool) {
	for _, i := range v.incidents {
		if i.After == e.Sequence-1 && e.Type != IncidentType {
			return i, false
		}
	}
	return Incident{}, true
}

// content checks an object that an event names, unless that was done lately.
func (v *verifier) content(sequence uint64, h Hash) error {
	if !v.checked.add(h) {
		return nil
	}
	value, closer, err := v.snap.Get(appendContentKey(nil, h))
	if errors.Is(err, pebble.ErrNotFound) {
		return &CorruptError{Sequence: sequence, Key: contentKeyText(h), What: "the event names this content, which is missing"}
	}
	if err != nil {
		return &CorruptError{Sequence: sequence, Key: contentKeyText(h), What: "this content, which the event names, cannot be read", Cause: err}
	}
	var data []byte
	var wrong error
	if segment, ok := ArchivedContent(h, value); ok {
		data, wrong = v.j.history.content(segment, h)
	} else {
		data, wrong = DecodeContent(h, value)
	}
	v.report.ContentBytes += int64(len(data))
	if err := closer.Close(); err != nil {
		return err
	}
	if away(wrong) {
		return fault.Wrap(fault.Of(wrong), wrong, fmt.Sprintf("journal: content %s that event %d names", h, sequence))
	}
	if wrong != nil {
		return &CorruptError{Sequence: sequence, Key: contentKeyText(h), What: "this content, which the event names, is not what was written", Cause: wrong}
	}
	v.report.Contents++
	return nil
}

// keys checks the metadata and that there is no key of another kind.
func (v *verifier) keys() error {
	id, err := readMeta(v.j.db, v.j.opt.Dir)
	if err != nil {
		return err
	}
	if id != v.j.id {
		return &CorruptError{Key: string(metaID), What: fmt.Sprintf("it is %s, at opening it was %s", id, v.j.id)}
	}
	it, err := v.snap.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	known := [][]byte{{prefixContent}, {prefixEvent}, metaArchive, metaFormat, metaID, metaIncident}
	after := [][]byte{{prefixContent + 1}, {prefixEvent + 1}, append(slices.Clone(metaArchive), 0), append(slices.Clone(metaFormat), 0), append(slices.Clone(metaID), 0), metaIncidentEnd}
	valid := it.First()
	for i := 0; valid && i < len(known); i++ {
		if string(it.Key()) < string(known[i]) {
			break
		}
		valid = it.SeekGE(after[i])
	}
	if valid {
		return &CorruptError{Key: fmt.Sprintf("key %x", it.Key()), What: "no journal has such a key"}
	}
	return it.Error()
}

// contents walks over all content objects and counts those that no event
// names. Their bytes are hashed here; the others were hashed for their event.
func (v *verifier) contents() error {
	v.names.finish()
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixContent}, UpperBound: []byte{prefixContent + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	seen := 0
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != contentKeyLen {
			return &CorruptError{Key: fmt.Sprintf("key %x", it.Key()), What: "it is no content key"}
		}
		if seen++; seen%progressEvents == 0 {
			if err := v.tell(); err != nil {
				return err
			}
		}
		h := Hash(it.Key()[1:])
		if v.names.has(h) {
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return &CorruptError{Key: contentKeyText(h), What: "it cannot be read", Cause: err}
		}
		if _, ok := ArchivedContent(h, value); ok {
			return &CorruptError{Key: contentKeyText(h), What: "it is said to be in the archive, and no event names it"}
		}
		data, err := DecodeContent(h, value)
		if err != nil {
			return err
		}
		v.report.Orphans++
		v.report.OrphanBytes += int64(len(data))
	}
	if err := it.Error(); err != nil {
		return err
	}
	return v.tell()
}

// hashSet is a compact set of hashes: eight bytes each, which is enough to
// count orphans. Whether a named content exists is never decided with it.
type hashSet struct {
	list   []uint64
	sorted int // length after the last compaction
}

func (s *hashSet) add(h Hash) {
	s.list = append(s.list, binary.BigEndian.Uint64(h[:]))
	if len(s.list) >= 2*s.sorted+1<<16 {
		s.finish()
	}
}

// finish sorts the list and removes duplicates.
func (s *hashSet) finish() {
	slices.Sort(s.list)
	s.list = slices.Compact(s.list)
	s.sorted = len(s.list)
}

// has needs finish after the last add.
func (s *hashSet) has(h Hash) bool {
	_, ok := slices.BinarySearch(s.list, binary.BigEndian.Uint64(h[:]))
	return ok
}
