package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// indexName is the directory, inside the journal's, of the index that follows
// it. The journal reads nothing of it but its position.
const indexName = "index"

// metaPosition is the index's key of its position: journal id, sequence of the
// last event it holds, hash of that event.
var metaPosition = []byte("mposition")

// witness is what the index says of the journal. It follows acknowledged
// events only, so one that has seen more than the journal holds tells of a loss.
type witness struct {
	state string // absent, damaged, or ok
	head  Head
	why   string // it is damaged
}

// readIndex reads the position of the index in dir. Whatever is wrong with
// the index itself makes it a damaged one, which is built again.
func readIndex(fs vfs.FS, dir string, id ID, cache *pebble.Cache, log *databaseLog) witness {
	if _, err := fs.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return witness{state: isAbsent}
	}
	var value []byte
	err := guarded(func() (err error) {
		o := &pebble.Options{
			FS: fs, Cache: cache, FormatMajorVersion: databaseFormat, ReadOnly: true, Logger: log,
			EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
		}
		db, err := pebble.Open(dir, o)
		if err != nil {
			return err
		}
		value, err = readKey(db, metaPosition)
		return errors.Join(err, db.Close())
	})
	const size = len(ID{}) + 8 + len(Hash{})
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return witness{state: isAbsent} // it has not followed anything yet
	case err != nil:
		return witness{state: isDamaged, why: err.Error()}
	case len(value) != size:
		return witness{state: isDamaged, why: fmt.Sprintf("its position has %d bytes, want %d", len(value), size)}
	case id != (ID{}) && ID(value[:len(id)]) != id:
		return witness{state: isDamaged, why: fmt.Sprintf("it belongs to journal %s", ID(value[:len(id)]))}
	}
	w := witness{state: isOK}
	w.head.Sequence = binary.BigEndian.Uint64(value[len(id):])
	w.head.Hash = Hash(value[len(id)+8:])
	return w
}

// judgeIndex compares the index with the events found.
func (x *examined) judgeIndex(o Options, cache *pebble.Cache) {
	dir := o.FS.PathJoin(o.Dir, indexName)
	w := readIndex(o.FS, dir, x.plan.ID, cache, x.log)
	f := &x.plan.Findings
	f.Index = w.state
	if w.state == isDamaged {
		x.plan.Warnings = append(x.plan.Warnings, "index "+dir+" is of no use and has to be built again: "+w.why)
	}
	if w.state != isOK {
		return
	}
	x.plan.Index = w.head
	if x.unreadable != nil {
		f.Index = isNone // there is no event to compare it with
		return
	}
	switch last := x.plan.Last.Sequence; {
	case w.head.Sequence > last:
		f.Index = isAhead
	case w.head.Sequence < last:
		f.Index = isBehind
	default:
		f.Index = isEqual
	}
	if x.db == nil || w.head.Sequence == 0 || f.Index == isAhead {
		return
	}
	value, err := readKey(x.db, appendEventKey(nil, w.head.Sequence))
	// An event that is missing or unreadable is for the check of the chain, or in an archive.
	if _, hash, ok := splitEvent(value); err == nil && ok && hash != w.head.Hash {
		f.Index = isOther
	}
}
