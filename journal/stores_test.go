package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// scenario makes a row of the recovery table real.
type scenario struct {
	name   string
	events uint64
	damage func(t *testing.T, fs *vfs.MemFS, id ID, head Head)
	want   decision
	grade  fault.Grade // 0: opens
	text   string      // part of the refusal
}

func removeDatabase(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
	if err := fs.RemoveAll("journal/pebble"); err != nil {
		t.Fatal(err)
	}
}

func removeHead(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
	if err := fs.Remove(headPath); err != nil {
		t.Fatal(err)
	}
}

func setHead(sequence uint64) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, id ID, _ Head) {
		h := Head{Sequence: sequence, Hash: Hash{1}}
		if sequence == 0 {
			h.Hash = Origin(id)
		}
		writeSlots(t, fs, encodeSlot(record{id, h}), nil)
	}
}

func editing(f func(*pebble.DB) error) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) { edit(t, fs, f) }
}

func badHead(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) { writeSlots(t, fs, nil, nil) }

func foreignHead(t *testing.T, fs *vfs.MemFS, _ ID, head Head) {
	s := encodeSlot(record{ID{9}, head})
	writeSlots(t, fs, s, s)
}

func conflictHead(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
	writeSlots(t, fs, encodeSlot(record{id, head}), encodeSlot(record{id, Head{head.Sequence, Hash{7}}}))
}

func newerHead(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
	writeSlots(t, fs, newerSlot(record{id, head}), encodeSlot(record{id, head}))
}

func both(a, b func(*testing.T, *vfs.MemFS, ID, Head)) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		a(t, fs, id, head)
		b(t, fs, id, head)
	}
}

var scenarios = []scenario{
	{"nothing there", 0, both(removeDatabase, removeHead), decideCreate, 0, ""},
	{"unfinished creation", 0, both(both(removeDatabase, removeHead), func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
		if err := fs.MkdirAll("journal/pebble.new", 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, "journal/pebble.new/MANIFEST-000001", []byte("torn"))
	}), decideCreate, 0, ""},
	{"database gone", 20, removeDatabase, decideLost, fault.Corrupt, "database is gone"},
	{"database gone, head bad", 20, both(removeDatabase, badHead), decideLost, fault.Corrupt, "database is gone"},
	{"database gone, head in conflict", 20, both(removeDatabase, conflictHead), decideLost, fault.Corrupt, "database is gone"},
	{"database gone, head foreign", 20, both(removeDatabase, foreignHead), decideLost, fault.Corrupt, "database is gone"},
	{"head newer", 20, newerHead, decideNewer, fault.Invalid, "newer program"},
	{"head newer, empty", 0, newerHead, decideNewer, fault.Invalid, "newer program"},
	{"head foreign", 20, foreignHead, decideForeign, fault.Corrupt, "09000000000000000000000000000000"},
	{"head foreign, empty", 0, foreignHead, decideForeign, fault.Corrupt, "09000000000000000000000000000000"},
	{"head in conflict", 20, conflictHead, decideDamagedHead, fault.Corrupt, headPath},
	{"head in conflict, empty", 0, conflictHead, decideDamagedHead, fault.Corrupt, headPath},
	{"head of two journals", 20, func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		writeSlots(t, fs, encodeSlot(record{id, head}), encodeSlot(record{ID{9}, head}))
	}, decideDamagedHead, fault.Corrupt, "two journals"},
	{"record ahead", 20, setHead(21), decideLost, fault.Corrupt, "acknowledged events 21 to 21 are lost"},
	{"record ahead, empty", 0, setHead(3), decideLost, fault.Corrupt, "acknowledged events 1 to 3 are lost"},
	{"last events gone", 20, editing(deleteEvents(18, 20)), decideLost, fault.Corrupt, "acknowledged events 18 to 20 are lost"},
	{"all events gone", 20, editing(deleteEvents(1, 20)), decideLost, fault.Corrupt, "acknowledged events 1 to 20 are lost"},
	{"record behind", 20, func(t *testing.T, fs *vfs.MemFS, id ID, _ Head) {
		h := eventHead(t, fs, 17)
		writeSlots(t, fs, nil, encodeSlot(record{id, h}))
	}, decideAdvance, 0, ""},
	{"record of the empty journal", 20, setHead(0), decideAdvance, 0, ""},
	{"record behind with another hash", 20, setHead(17), decideDamaged, fault.Corrupt, "event 17 "},
	{"record equal with another hash", 20, setHead(20), decideDamaged, fault.Corrupt, "event 20 "},
	{"origin with another hash", 0, func(t *testing.T, fs *vfs.MemFS, id ID, _ Head) {
		writeSlots(t, fs, encodeSlot(record{id, Head{Hash: Hash{1}}}), nil)
	}, decideDamaged, fault.Corrupt, "origin"},
	{"hole", 20, editing(deleteEvents(9, 9)), decideDamaged, fault.Corrupt, "event 9 (key e/0000000000000009): it is missing"},
	{"first event gone", 20, editing(deleteEvents(1, 1)), decideDamaged, fault.Corrupt, "event 1 (key e/0000000000000001): it is missing"},
	{"wrong digest", 20, editing(flipEvent(20, -1)), decideDamaged, fault.Corrupt, "event 20 "},
	{"changed envelope", 20, editing(flipEvent(7, 12)), decideDamaged, fault.Corrupt, "event 7 (key e/0000000000000007)"},
	{"hole and no head file", 20, both(editing(deleteEvents(9, 9)), removeHead), decideDamaged, fault.Corrupt, "event 9 "},
	{"hole and a bad head file", 20, both(editing(deleteEvents(9, 9)), badHead), decideDamaged, fault.Corrupt, "event 9 "},
	{"hole and record behind", 20, both(editing(deleteEvents(9, 9)), setHead(0)), decideDamaged, fault.Corrupt, "event 9 "},
	{"head file gone", 20, removeHead, decideDamagedHead, fault.Corrupt, "HEAD"},
	{"head file bad", 20, badHead, decideDamagedHead, fault.Corrupt, "HEAD"},
	{"head file short", 20, func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) { writeFile(t, fs, headPath, []byte("ALYSHEAD")) }, decideDamagedHead, fault.Corrupt, "HEAD"},
	{"head file gone, empty", 0, removeHead, decideRestoreEmpty, 0, ""},
	{"head file bad, empty", 0, badHead, decideRestoreEmpty, 0, ""},
	{"a torn group behind the record", 20, tornGroup(false), decideCut, 0, ""},
	{"a torn group behind a whole one without its record", 20, tornGroup(true), decideCut, 0, ""},
	{"database newer", 20, editing(newerDatabase), decideNewer, fault.Invalid, "newer program"},
	{"database newer, head gone", 20, both(editing(newerDatabase), removeHead), decideNewer, fault.Invalid, "newer program"},
	{"event newer", 20, editing(newerEvent), decideNewer, fault.Invalid, "event 21: "},
	{"event newer, head bad", 20, both(editing(newerEvent), badHead), decideNewer, fault.Invalid, "event 21: "},
	{"incident newer, empty", 0, editing(newerIncident), decideNewer, fault.Invalid, "incident 1"},
	{"database damaged", 20, damageManifest, decideDatabase, fault.Corrupt, "journal/pebble"},
	{"database damaged, head gone", 20, both(damageManifest, removeHead), decideDatabase, fault.Corrupt, "journal/pebble"},
	{"database damaged, index ahead", 20, both(damageManifest, indexAt(25, 0)), decideDatabase, fault.Corrupt, "journal/pebble"},
	{"identity gone", 20, editing(func(db *pebble.DB) error { return db.Delete(metaID, pebble.Sync) }), decideDatabase, fault.Corrupt, "identity"},
	{"content missing", 20, editing(contentGone), decideContent, fault.Corrupt, "key c/"},
	{"content damaged", 20, editing(contentDamaged), decideContent, fault.Corrupt, "hash to"},
	{"content missing, head gone", 20, both(editing(contentGone), removeHead), decideContent, fault.Corrupt, "missing"},
	{"long message missing", 20, longMessage(func(db *pebble.DB, key []byte) error { return db.Delete(key, pebble.Sync) }), decideContent, fault.Corrupt, "event 21 "},
	{"long message damaged", 20, longMessage(func(db *pebble.DB, key []byte) error { return db.Set(key, []byte("other"), pebble.Sync) }), decideContent, fault.Corrupt, "event 21 "},
	{"everything gone but the index", 20, both(indexAt(20, 0), both(removeDatabase, removeHead)), decideLost, fault.Corrupt, "the index had followed events up to 20"},
	{"index behind", 20, indexAt(12, 0), decideOpen, 0, ""},
	{"index equal", 20, indexAt(20, 0), decideOpen, 0, ""},
	{"index ahead", 20, indexAt(23, 0), decideLost, fault.Corrupt, "acknowledged events 21 to 23 are lost"},
	{"index ahead, empty", 0, indexAt(2, 0), decideLost, fault.Corrupt, "acknowledged events 1 to 2 are lost"},
	{"index ahead, head gone", 20, both(indexAt(23, 0), removeHead), decideLost, fault.Corrupt, "acknowledged events 21 to 23 are lost"},
	{"index of another history", 20, indexAt(12, 1), decideLost, fault.Corrupt, "event 12 "},
	{"index of another journal", 20, func(t *testing.T, fs *vfs.MemFS, _ ID, head Head) { writeIndex(t, fs, ID{3}, Head{30, head.Hash}) }, decideOpen, 0, ""},
	{"index damaged", 20, both(indexAt(23, 0), func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
		for _, f := range listFiles(t, fs, "journal/index") {
			if strings.HasPrefix(fs.PathBase(f), "MANIFEST-") {
				writeFile(t, fs, f, []byte("no manifest"))
			}
		}
	}), decideOpen, 0, ""},
	{"untouched", 20, func(*testing.T, *vfs.MemFS, ID, Head) {}, decideOpen, 0, ""},
	{"untouched, empty", 0, func(*testing.T, *vfs.MemFS, ID, Head) {}, decideOpen, 0, ""},
	{"one slot torn", 20, func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		torn := encodeSlot(record{id, Head{Sequence: 21}})
		clear(torn[40:])
		writeSlots(t, fs, encodeSlot(record{id, head}), torn)
	}, decideOpen, 0, ""},
}

// eventHead reads the head after an event from the database.
func eventHead(t *testing.T, fs vfs.FS, sequence uint64) (h Head) {
	edit(t, fs, func(db *pebble.DB) error {
		v, err := readKey(db, appendEventKey(nil, sequence))
		_, h.Hash, _ = splitEvent(v)
		h.Sequence = sequence
		return err
	})
	return h
}

func newerDatabase(db *pebble.DB) error {
	return db.Set(metaFormat, binary.BigEndian.AppendUint32(nil, FormatVersion+1), pebble.Sync)
}

// newerEvent appends an event of a newer envelope version, rightly chained.
func newerEvent(db *pebble.DB) error {
	last, err := readKey(db, appendEventKey(nil, 20))
	if err != nil {
		return err
	}
	envelope := []byte{EnvelopeVersion + 1, 0, 21}
	sum := sha256.Sum256(append(bytes.Clone(last[len(last)-len(Hash{}):]), envelope...))
	return db.Set(appendEventKey(nil, 21), append(envelope, sum[:]...), pebble.Sync)
}

func newerIncident(db *pebble.DB) error {
	i := Incident{Number: 1, Kind: IncidentRepair}
	value := i.appendTo(nil)
	value[0]++
	return db.Set(incidentKey(1), value, pebble.Sync)
}

// lastContent returns the key of the newest content of the first 20 events.
func lastContent() (key []byte) {
	for s := uint64(20); key == nil; s-- {
		if e, _ := event(5, s); len(e.Contents) > 0 {
			key = appendContentKey(nil, e.Contents[0])
		}
	}
	return key
}

func contentGone(db *pebble.DB) error { return db.Delete(lastContent(), pebble.Sync) }

func contentDamaged(db *pebble.DB) error { return db.Set(lastContent(), []byte("other"), pebble.Sync) }

// longMessage appends an event whose message is kept as content, and changes that.
func longMessage(change func(*pebble.DB, []byte) error) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, _ ID, head Head) {
		j := mustOpen(t, memOptions(fs))
		e, _ := event(5, head.Sequence+1)
		e.Stored, e.Cause, e.Outcome, e.Note, e.Contents = true, Ref{}, OutcomeOK, "", nil
		e.Message = bytes.Repeat([]byte("long"), InlineMax)
		_, err := j.Append(e, nil)
		if err := errors.Join(err, j.Close()); err != nil {
			t.Fatal(err)
		}
		edit(t, fs, func(db *pebble.DB) error { return change(db, appendContentKey(nil, SumContent(e.Message))) })
	}
}

func damageManifest(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
	for _, f := range listFiles(t, fs, "journal/pebble") {
		if strings.HasPrefix(fs.PathBase(f), "MANIFEST-") {
			writeFile(t, fs, f, []byte("no manifest"))
		}
	}
}

// writeIndex makes an index that has followed the journal up to a head.
func writeIndex(t *testing.T, fs vfs.FS, id ID, head Head) {
	t.Helper()
	db, err := pebble.Open("journal/index", &pebble.Options{FS: fs, FormatMajorVersion: databaseFormat, Logger: &databaseLog{log: quiet}})
	if err != nil {
		t.Fatal(err)
	}
	value := binary.BigEndian.AppendUint64(bytes.Clone(id[:]), head.Sequence)
	if err := errors.Join(db.Set(metaPosition, append(value, head.Hash[:]...), pebble.Sync), db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// indexAt puts an index at a sequence; change, if not 0, alters its hash.
func indexAt(sequence uint64, change byte) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		h := Head{Sequence: sequence, Hash: Hash{42}}
		if sequence <= head.Sequence {
			h = eventHead(t, fs, sequence)
		}
		h.Hash[0] ^= change
		writeIndex(t, fs, id, h)
	}
}

// tornGroup leaves what a power cut leaves of a group: half of its bytes in the
// log. With another set, a whole group without its head record comes before.
func tornGroup(another bool) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, _ ID, head Head) {
		j := mustOpen(t, memOptions(fs))
		last := head.Sequence + 2
		fill(t, j, 5, last)
		slots := readFile(t, fs, headPath)
		if another {
			last += 2
			fill(t, j, 5, last)
		}
		var log string
		for _, f := range listFiles(t, fs, "journal/pebble") {
			if strings.HasSuffix(f, ".log") {
				log = f
			}
		}
		if !another {
			slots = readFile(t, fs, headPath)
		}
		before := len(readFile(t, fs, log))
		fill(t, j, 5, last+1) // one event: several may be two groups
		files := map[string][]byte{}
		for _, f := range listFiles(t, fs, "journal") {
			files[f] = readFile(t, fs, f)
		}
		if err := errors.Join(j.Close(), fs.RemoveAll("journal/pebble")); err != nil {
			t.Fatal(err)
		}
		if err := fs.MkdirAll("journal/pebble", 0o755); err != nil {
			t.Fatal(err)
		}
		files[log] = files[log][:before+(len(files[log])-before)/2]
		files[headPath] = slots
		for f, data := range files {
			writeFile(t, fs, f, data)
		}
	}
}
