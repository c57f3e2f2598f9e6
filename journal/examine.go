package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// tailEvents is how many of the last events opening checks. It covers far more
// than the events between the head record and the end that a crash leaves;
// [Journal.Verify] checks the rest.
const tailEvents = 1024

// examined is what examine found: the plan, and the open database if any.
type examined struct {
	plan      Plan
	decision  decision
	head      headRead
	db        *pebble.DB // read-only; nil when there is none or it is refused
	log       *databaseLog
	time      int64 // of the last event
	incidents []Incident
}

// examine reads the head file and the database without changing anything and
// decides. An error means that it could not look; a refusal is in the plan.
func examine(o Options, cache *pebble.Cache) (examined, error) {
	x := examined{plan: Plan{Dir: o.Dir}, log: &databaseLog{log: o.Logger}}
	headPath, dir := o.FS.PathJoin(o.Dir, headName), o.FS.PathJoin(o.Dir, databaseName)
	var err error
	if x.head, err = readHeadFile(o.FS, headPath); err != nil {
		return x, err
	}
	if x.head.state == headOK {
		x.plan.Record = x.head.record.head
	}
	if x.head.warning != "" {
		x.plan.Warnings = append(x.plan.Warnings, headPath+": "+x.head.warning)
	}
	f := findings{head: x.head.state, empty: true}
	var tail tailCheck
	if _, err := o.FS.Stat(dir); err == nil {
		f.database = true
		x.plan.Warnings = append(x.plan.Warnings, tornTail(o.FS, dir)...)
		if x.db, x.plan.ID, err = openChecked(o, dir, cache, x.log); err != nil {
			return x, err
		}
		if tail, err = checkTail(x.db, x.plan.ID, x.head.record, tailEvents); err != nil {
			return x, errors.Join(err, guarded(x.db.Close))
		}
		if x.incidents, err = readIncidents(x.db); err != nil && tail.broken == nil {
			tail.broken = err
		}
		x.plan.Last, x.plan.Checked, x.time = tail.last, tail.from, tail.time
		x.judge(&f, tail)
	} else if !errors.Is(err, os.ErrNotExist) {
		return x, fault.Wrap(fault.Fatal, err, "look for journal database "+dir)
	}
	x.decision = decide(f)
	x.plan.Decision = x.decision.String()
	if !x.decision.opens() {
		x.plan.Refusal = x.plan.refusal(x.decision, x.head, headPath, tail.broken)
		if x.db != nil {
			err = guarded(x.db.Close)
			x.db = nil
		}
	}
	return x, err
}

// judge fills in what follows from the events found.
func (x *examined) judge(f *findings, tail tailCheck) {
	f.empty = tail.last.Sequence == 0
	f.foreign = x.head.state == headOK && x.head.record.id != x.plan.ID
	switch record := x.head.record.head.Sequence; {
	case record > tail.last.Sequence:
		f.position = positionAhead
	case record < tail.last.Sequence:
		f.position = positionBehind
	}
	if tail.broken != nil {
		f.chain = chainBroken
	}
}

// openChecked opens the database read-only and reads its identity and format.
func openChecked(o Options, dir string, cache *pebble.Cache, log *databaseLog) (*pebble.DB, ID, error) {
	po := databaseOptions(o.FS, cache, log)
	po.ReadOnly = true
	db, err := openDatabase(dir, po)
	if err != nil {
		return nil, ID{}, err
	}
	id, err := readMeta(db, dir)
	if err != nil {
		return nil, ID{}, errors.Join(err, guarded(db.Close))
	}
	return db, id, nil
}

func readMeta(db *pebble.DB, dir string) (ID, error) {
	if _, err := readFormat(db, dir); err != nil {
		return ID{}, err
	}
	id, err := readKey(db, metaID)
	if err != nil || len(id) != len(ID{}) {
		return ID{}, &CorruptError{Key: dir, What: fmt.Sprintf("identity key %q is missing or damaged", metaID), Cause: err}
	}
	return ID(id), nil
}

// readKey returns a copy of a value.
func readKey(db pebble.Reader, key []byte) (value []byte, err error) {
	err = guarded(func() error {
		v, closer, err := db.Get(key)
		if err != nil {
			return err
		}
		value = append([]byte{}, v...)
		return closer.Close()
	})
	return value, err
}

// tailCheck is the state of the last events.
type tailCheck struct {
	last   Head
	time   int64  // of the last event
	from   uint64 // first event checked, 0 for none
	broken error  // *CorruptError of the first bad event, or ErrNewerFormat
}

// checkTail checks the links of at least the last n events, and of all events
// from the record on, and that the record agrees with its event. Its error is
// a failure to read that is no damage.
func checkTail(db *pebble.DB, id ID, r record, n uint64) (t tailCheck, err error) {
	err = guarded(func() error {
		t, err = walkTail(db, id, r, n)
		return err
	})
	if err != nil && t.broken == nil {
		t.broken, err = corruptRead(t.last.Sequence, err), nil
	}
	return t, err
}

func walkTail(db *pebble.DB, id ID, r record, n uint64) (tailCheck, error) {
	t := tailCheck{last: Head{Hash: Origin(id)}}
	if id == r.id && r.head.Sequence == 0 && r.head.Hash != t.last.Hash {
		t.broken = &CorruptError{Key: headName, What: fmt.Sprintf("record of the empty journal is %s, its origin is %s", r.head.Hash, t.last.Hash)}
		return t, nil
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEvent}, UpperBound: []byte{prefixEvent + 1}})
	if err != nil {
		return t, err
	}
	defer it.Close()
	if !it.Last() {
		return t, it.Error()
	}
	last, ok := eventSequence(it.Key())
	if !ok {
		t.broken = &CorruptError{Key: fmt.Sprintf("key %x", it.Key()), What: "it is no event key"}
		return t, nil
	}
	t.last.Sequence = last
	if _, hash, ok := splitEvent(it.Value()); ok {
		t.last.Hash = hash
	}
	if it.First(); !it.Valid() || string(it.Key()) != string(appendEventKey(nil, 1)) {
		t.broken = corruptEvent(1, it.Error(), "it is missing although event %d is there", last)
		return t, nil
	}
	t.from = 1
	if last > n {
		t.from = last - n + 1
	}
	if r.head.Sequence != 0 && r.head.Sequence < t.from {
		t.from = r.head.Sequence
	}
	return t, walkLinks(db, it, id, r, &t)
}

// walkLinks checks the events from t.from to the last one.
func walkLinks(db *pebble.DB, it *pebble.Iterator, id ID, r record, t *tailCheck) error {
	c := chain{next: 1, hash: Origin(id), resolve: resolver(db)}
	if t.from > 1 {
		if !it.SeekGE(appendEventKey(nil, t.from-1)) {
			return it.Error()
		}
		seq, ok := eventSequence(it.Key())
		_, hash, whole := splitEvent(it.Value())
		if !ok || seq != t.from-1 || !whole {
			t.broken = corruptEvent(t.from-1, nil, "it is missing or too short")
			return nil
		}
		c.next, c.hash = t.from, hash
		it.Next()
	}
	var e Event
	for ; it.Valid(); it.Next() {
		if t.broken = c.step(it.Key(), it.Value(), &e); t.broken != nil {
			return nil
		}
		if id == r.id && e.Sequence == r.head.Sequence && r.head.Hash != c.hash {
			t.broken = corruptEvent(e.Sequence, nil, "its hash is %s, the head record says %s", c.hash, r.head.Hash)
			return nil
		}
	}
	t.time = e.Time
	return it.Error()
}

func eventSequence(key []byte) (uint64, bool) {
	if len(key) != eventKeyLen || key[0] != prefixEvent {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// corruptRead wraps an error that Pebble gave for a read. Blocks with a wrong
// checksum are the usual one.
func corruptRead(near uint64, err error) error {
	if near == 0 {
		return &CorruptError{What: "the database cannot be read", Cause: err}
	}
	return &CorruptError{Sequence: near, Key: eventKeyText(near), What: "the database cannot be read at or after it", Cause: err}
}

// tornTail says whether the newest log ends in the middle of a record, which is
// what a power cut leaves of a group that nobody was told about. The database
// cuts such a tail; whether more than that is gone, the head record tells.
func tornTail(fs vfs.FS, dir string) []string {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil || len(logs) == 0 {
		return nil
	}
	newest := logs[len(logs)-1]
	r := newest.OpenForRead()
	defer r.Close()
	for {
		rec, offset, err := r.NextRecord()
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			return nil
		}
		size, _ := newest.PhysicalSize()
		return []string{fmt.Sprintf("log %s of %d bytes ends unclean at offset %d, what follows is cut: %v",
			offset.PhysicalFile, size, offset.Physical, err)}
	}
}
