package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// tailCheck is the state of the last events.
type tailCheck struct {
	last   Head
	time   int64  // of the last event
	from   uint64 // first event checked, 0 for none
	broken error  // *CorruptError of the first bad event, or ErrNewerFormat
	named  []named
	// lacks is set instead of broken when an event cannot be decoded for want of
	// a content that holds a part of it.
	lacks *CorruptError
	why   string // isMissing or isDamaged
}

// named is a content that an event names.
type named struct {
	event uint64
	hash  Hash
}

// checkTail checks the links of at least the last n events, and of all events
// from the record on, and that the record agrees with its event. Its error is
// a failure to read that is no damage.
func checkTail(db *pebble.DB, h *history, r record, n uint64) (t tailCheck, err error) {
	err = guarded(func() error {
		t, err = walkTail(db, h, r, n)
		return err
	})
	if err != nil && t.broken == nil && !away(err) {
		t.broken, err = corruptRead(t.last.Sequence, err), nil
	}
	return t, err
}

func walkTail(db *pebble.DB, h *history, r record, n uint64) (tailCheck, error) {
	// The events before start are in the archive, and were acknowledged.
	id, start := h.id, h.start().chain(resolver(db, h))
	t := tailCheck{last: Head{Sequence: start.next - 1, Hash: start.hash}, time: start.time}
	if t.broken = h.start().check(id, r); t.broken != nil {
		return t, nil
	}
	if id == r.id && r.head.Sequence == 0 && r.head.Hash != Origin(id) {
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
	first := start.next
	if it.First(); !it.Valid() || string(it.Key()) != string(appendEventKey(nil, first)) {
		t.broken = corruptEvent(first, it.Error(), "it is missing although event %d is there", last)
		return t, nil
	}
	t.from = first
	if last-first >= n {
		t.from = last - n + 1
	}
	if r.head.Sequence >= first && r.head.Sequence < t.from {
		t.from = r.head.Sequence
	}
	return t, walkLinks(it, start, id, r, &t)
}

// walkLinks checks the events from t.from to the last one.
func walkLinks(it *pebble.Iterator, c chain, id ID, r record, t *tailCheck) error {
	if t.from > c.next {
		if !it.SeekGE(appendEventKey(nil, t.from-1)) {
			return it.Error()
		}
		seq, ok := eventSequence(it.Key())
		_, hash, whole := splitEvent(it.Value())
		if !ok || seq != t.from-1 || !whole {
			t.broken = corruptEvent(t.from-1, nil, "it is missing or too short")
			return nil
		}
		c.next, c.hash, c.started = t.from, hash, false
		it.Next()
	}
	var e Event
	for ; it.Valid(); it.Next() {
		if err := c.step(it.Key(), it.Value(), &e); err != nil {
			if away(err) {
				return err
			}
			t.ended(err)
			return nil
		}
		if id == r.id && e.Sequence == r.head.Sequence && r.head.Hash != c.hash {
			t.broken = corruptEvent(e.Sequence, nil, "its hash is %s, the head record says %s", c.hash, r.head.Hash)
			return nil
		}
		for _, h := range e.Contents {
			t.named = append(t.named, named{e.Sequence, h})
		}
	}
	t.time = c.time
	return it.Error()
}

func eventSequence(key []byte) (uint64, bool) {
	if len(key) != eventKeyLen || key[0] != prefixEvent {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// ended takes the error that ended the walk.
func (t *tailCheck) ended(err error) {
	var damage, content *CorruptError
	if errors.As(err, &damage) {
		switch {
		case errors.Is(damage.Cause, ErrNotFound):
			t.lacks, t.why = damage, isMissing
			return
		case errors.As(damage.Cause, &content):
			t.lacks, t.why = damage, isDamaged
			return
		}
	}
	t.broken = err
}

// tailContentBytes bounds what opening reads of contents, for journals whose
// last events name gigabytes. [Journal.Verify] reads the rest.
const tailContentBytes = 256 << 20

// checkContents reads the contents that the last events name, the newest first,
// and hashes them. It returns the finding, how many it read, and the first error.
// Those that are in the archive are not read: opening must not wait for a
// storage elsewhere.
func checkContents(db *pebble.DB, list []named) (state string, read uint64, bad error) {
	seen := make(map[Hash]struct{}, len(list))
	bytes := 0
	for i := len(list) - 1; i >= 0 && bytes < tailContentBytes; i-- {
		n := list[i]
		if _, ok := seen[n.hash]; ok {
			continue
		}
		seen[n.hash] = struct{}{}
		data, err := readContent(db, nil, n.hash)
		if errors.Is(err, errElsewhere) {
			continue
		}
		var damage *CorruptError
		switch {
		case errors.Is(err, ErrNotFound):
			return isMissing, read, &CorruptError{Sequence: n.event, Key: contentKeyText(n.hash), What: "the event names this content, which is missing"}
		case errors.As(err, &damage):
			return isDamaged, read, &CorruptError{Sequence: n.event, Key: contentKeyText(n.hash), What: "the event names this content: " + damage.What, Cause: damage.Cause}
		case err != nil:
			return isDamaged, read, &CorruptError{Sequence: n.event, Key: contentKeyText(n.hash), What: "the event names this content, which cannot be read", Cause: err}
		}
		bytes += len(data)
		read++
	}
	return isOK, read, nil
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
