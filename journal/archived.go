package journal

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// Segment is a file of the archive that holds events of this journal.
type Segment struct {
	Name        string // in the archive's storage
	First, Last uint64
	LastHash    Hash  // of event Last
	LastTime    int64 // of event Last
	Size        int64 // of the file
	Sum         Hash  // SHA-256 of the file
}

// metaArchive names the events that left the database. Without it none did.
var metaArchive = []byte("marchive")

const archivedVersion = 1

// archived is what the database says of the events that left it: segments that
// begin with event 1 and leave no gap.
type archived struct{ segments []Segment }

// hotStart is where the events in the database begin.
type hotStart struct {
	first uint64 // sequence of the first event there
	hash  Hash   // of the event before it
	time  int64  // of the event before it; 0 before event 1
}

func (a *archived) start(id ID) hotStart {
	if len(a.segments) == 0 {
		return hotStart{first: 1, hash: Origin(id)}
	}
	last := &a.segments[len(a.segments)-1]
	return hotStart{first: last.Last + 1, hash: last.LastHash, time: last.LastTime}
}

// chain begins the chain of the events in the database.
func (s hotStart) chain(resolve Resolver) chain {
	return chain{next: s.first, hash: s.hash, time: s.time, started: s.first > 1, resolve: resolve}
}

// check compares the head record with the events that left the database: they
// were all acknowledged before.
func (s hotStart) check(id ID, r record) error {
	if id != r.id || s.first == 1 {
		return nil
	}
	switch last := s.first - 1; {
	case r.head.Sequence < last:
		return &CorruptError{Key: headName, What: fmt.Sprintf(
			"its record is %s, but events up to %d are archived, which were acknowledged before: the file is older than the database beside it", r.head, last)}
	case r.head.Sequence == last && r.head.Hash != s.hash:
		return corruptEvent(last, nil, "its hash is %s in the archive, the head record says %s", s.hash, r.head.Hash)
	}
	return nil
}

// find returns the segment that holds an event.
func (a *archived) find(sequence uint64) (Segment, bool) {
	i, _ := slices.BinarySearchFunc(a.segments, sequence, func(s Segment, q uint64) int { return cmp.Compare(s.Last, q) })
	if i == len(a.segments) || sequence < a.segments[i].First {
		return Segment{}, false
	}
	return a.segments[i], true
}

// encode makes the value that docs/formats/journal.md draws.
func (a *archived) encode(id ID) []byte {
	s := a.start(id)
	b := []byte{archivedVersion}
	b = binary.BigEndian.AppendUint64(b, s.first)
	b = append(b, s.hash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.time))
	b = binary.AppendUvarint(b, uint64(len(a.segments)))
	for i := range a.segments {
		x := &a.segments[i]
		b = appendString(b, x.Name)
		b = binary.AppendUvarint(b, x.First)
		b = binary.AppendUvarint(b, x.Last)
		b = append(b, x.LastHash[:]...)
		b = binary.AppendVarint(b, x.LastTime)
		b = binary.AppendUvarint(b, uint64(x.Size))
		b = append(b, x.Sum[:]...)
	}
	return b
}

// decodeArchived accepts exactly what encode makes.
func decodeArchived(id ID, data []byte) (archived, error) {
	var a archived
	d := decoder{data: data}
	switch v := d.byte("version"); {
	case v > archivedVersion:
		return a, fault.New(fault.Invalid, "journal: archive record of version %d, this program reads up to %d: %w", v, archivedVersion, ErrNewerFormat)
	case v != archivedVersion:
		d.fail("version")
	}
	const fixed = 8 + 32 + 8
	if d.what == "" && len(data)-d.at < fixed {
		d.fail("it is cut short")
	}
	if d.what == "" {
		d.at += fixed // follows from the segments, and is compared below
	}
	count := d.uvarint("number of segments")
	for next := uint64(1); count > 0 && d.what == ""; count-- {
		s := Segment{Name: string(d.bytes("name")), First: d.uvarint("first"), Last: d.uvarint("last")}
		s.LastHash, s.LastTime = d.hash("hash"), d.varint("time")
		s.Size, s.Sum = int64(d.uvarint("size")), d.hash("sum")
		if d.what == "" && (s.First != next || s.Last < s.First || s.Last+1 == 0 || s.Size < 0 || s.Name == "") {
			d.fail(fmt.Sprintf("segment %q from %d to %d does not follow event %d", s.Name, s.First, s.Last, next-1))
		}
		next = s.Last + 1
		a.segments = append(a.segments, s)
	}
	if d.what == "" && string(a.encode(id)) != string(data) {
		d.fail("it is not the encoding of what it holds")
	}
	if d.what != "" {
		return archived{}, fault.New(fault.Corrupt, "archive record of %d bytes: %s", len(data), d.what)
	}
	return a, nil
}

// readArchived returns which events left the database. A record that does not
// decode is a *CorruptError, one of a newer program ErrNewerFormat.
func readArchived(r pebble.Reader, id ID) (archived, error) {
	value, err := readKey(r, metaArchive)
	if errors.Is(err, pebble.ErrNotFound) {
		return archived{}, nil
	}
	var a archived
	if err == nil {
		if a, err = decodeArchived(id, value); errors.Is(err, ErrNewerFormat) {
			return a, err
		}
	}
	if err != nil {
		return a, &CorruptError{Key: "key m/archive", What: "the record of the archived events is damaged", Cause: err}
	}
	return a, nil
}

// codecArchived marks the value of a content that lives in the archive: the
// first event of its segment follows, 8 bytes big-endian.
const codecArchived = 2

func archivedValue(segment uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{codecArchived}, segment)
}

// ArchivedContent reports whether the stored value of a content says that it is
// in the archive, in the segment that begins with that event. Nine bytes that
// are a content of format 1 themselves are not mistaken for it.
func ArchivedContent(h Hash, value []byte) (segment uint64, ok bool) {
	if len(value) != 9 || value[0] != codecArchived || SumContent(value) == h {
		return 0, false
	}
	return binary.BigEndian.Uint64(value[1:]), true
}

// history reads the events and contents that left the database. A nil one
// holds nothing.
type history struct {
	storage archive.Storage
	id      ID
	now     atomic.Pointer[archived] // set before the database forgets anything

	mu   sync.Mutex
	open []*archive.Reader // last used first
}

// openSegments bounds the segments whose index is kept in memory.
const openSegments = 8

func newHistory(o Options, id ID, a archived) *history {
	h := &history{storage: o.Archive, id: id}
	if h.storage == nil {
		h.storage = archive.NewLocal(o.FS, o.FS.PathJoin(o.Dir, archiveName))
	}
	h.now.Store(&a)
	return h
}

func (h *history) start() hotStart { return h.now.Load().start(h.id) }

// wrong reports damage of the archive with sequence and file. A storage that
// does not answer stays Temporary, and one that refuses us Invalid.
func (s *Segment) wrong(sequence uint64, err error) error {
	if g := fault.Of(err); g == fault.Temporary || g == fault.Invalid {
		return &awayError{fault.Wrap(g, err, fmt.Sprintf("journal: archived event %d", sequence))}
	}
	return &CorruptError{Sequence: sequence, Key: s.Name, What: "its archive file is missing or damaged", Cause: err}
}

// awayError says that the storage of the archive does not answer or refuses us,
// which is no damage: what is there is not known.
type awayError struct{ error }

// Unwrap keeps the grade.
func (e *awayError) Unwrap() error { return e.error }

// away reports whether an error says nothing about the journal, only about the
// storage of its archive.
func away(err error) bool {
	var e *awayError
	return fault.Is(err, fault.Temporary) || errors.As(err, &e)
}

// reader returns the open reader of a segment, after comparing the file with
// what the database says of it.
func (h *history) reader(s *Segment) (*archive.Reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, r := range h.open {
		if r.Info().First == s.First {
			copy(h.open[1:i+1], h.open[:i])
			h.open[0] = r
			return r, nil
		}
	}
	r, err := archive.Open(context.Background(), h.storage, s.Name)
	if err != nil {
		return nil, err
	}
	if err := s.matches(h.id, r.Info()); err != nil {
		return nil, err
	}
	h.open = append([]*archive.Reader{r}, h.open[:min(len(h.open), openSegments-1)]...)
	return r, nil
}

// matches compares a file with what the database says of it, its SHA-256
// apart, which only reading all of it gives.
func (s *Segment) matches(id ID, x archive.Info) error {
	if ID(x.Journal) == id && x.First == s.First && x.Last == s.Last && Hash(x.LastHash) == s.LastHash && x.LastTime == s.LastTime && x.Size == s.Size {
		return nil
	}
	return fault.New(fault.Corrupt, "it holds events %d to %d (%x) of journal %x in %d bytes, the journal expects %d to %d (%s) of %s in %d",
		x.First, x.Last, x.LastHash, x.Journal, x.Size, s.First, s.Last, s.LastHash, id, s.Size)
}

// value returns the stored value of an archived event, which must not be
// changed. found is false when the event is not in the archive.
func (h *history) value(sequence uint64) (value []byte, found bool, err error) {
	if h == nil {
		return nil, false, nil
	}
	s, found := h.now.Load().find(sequence)
	if !found {
		return nil, false, nil
	}
	r, err := h.reader(&s)
	if err == nil {
		value, err = r.Event(context.Background(), sequence)
	}
	if err != nil {
		return nil, true, s.wrong(sequence, err)
	}
	return value, true, nil
}

// errElsewhere says that a content is in the archive, which is not asked.
var errElsewhere = errors.New("it is in the archive")

// content returns a content of the segment that begins with an event, after
// checking that it hashes to its name.
func (h *history) content(segment uint64, name Hash) ([]byte, error) {
	wrong := func(what string, cause error) error {
		return &CorruptError{Key: contentKeyText(name), What: what, Cause: cause}
	}
	if h == nil {
		return nil, fault.New(fault.Temporary, "journal: content %s: %w", name, errElsewhere)
	}
	s, found := h.now.Load().find(segment)
	if !found {
		return nil, wrong(fmt.Sprintf("it should be in the archive with event %d, which is not there", segment), nil)
	}
	r, err := h.reader(&s)
	var data []byte
	if err == nil {
		data, found, err = r.Content(context.Background(), name)
	}
	switch {
	case err != nil:
		return nil, s.wrong(segment, err)
	case !found:
		return nil, wrong(fmt.Sprintf("archive file %s, which should hold it, does not", s.Name), nil)
	case SumContent(data) != name:
		return nil, wrong(fmt.Sprintf("its bytes in archive file %s hash to %s", s.Name, SumContent(data)), nil)
	}
	return data, nil
}

// Archived returns the segments that hold the events before the first one in
// the database, in order; none when all events are there.
func (j *Journal) Archived() []Segment { return slices.Clone(j.history.now.Load().segments) }
