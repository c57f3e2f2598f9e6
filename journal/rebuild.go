package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Rebuild writes a journal anew from events and contents that were found
// elsewhere, for example in the files of one that does not open. It takes only
// what chains from the journal's origin. The directory has no journal before
// [Rebuild.Finish], and a whole one afterwards.
//
// What the new journal does not hold is for the caller to state with
// [AddIncident].
type Rebuild struct {
	opt   Options
	id    ID
	cache *pebble.Cache
	lock  unlocker
	log   *databaseLog
	db    *pebble.DB
	batch *pebble.Batch
	chain chain
	dir   string // of the unfinished database
	fail  chan struct{}
}

// rebuildBatch is the size at which a batch is written.
const rebuildBatch = 4 << 20

// NewRebuild begins a journal of an identity in a directory that has none. What
// events keep in contents is asked of resolve.
func NewRebuild(o Options, id ID, resolve Resolver) (*Rebuild, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	o.ReadOnly = false
	lock, err := lockDir(o)
	if err != nil {
		return nil, err
	}
	b := &Rebuild{opt: o, id: id, lock: lock, chain: chain{next: 1, hash: Origin(id), resolve: resolve}, fail: make(chan struct{})}
	b.cache = pebble.NewCache(o.CacheBytes)
	b.dir = o.FS.PathJoin(o.Dir, newDatabase)
	if err := b.begin(); err != nil {
		return nil, errors.Join(err, b.Abort())
	}
	return b, nil
}

func (b *Rebuild) begin() error {
	for _, name := range []string{databaseName, headName} {
		path := b.opt.FS.PathJoin(b.opt.Dir, name)
		if _, err := b.opt.FS.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return fault.New(fault.Invalid, "journal: %s exists already; name an empty directory", path)
		}
	}
	if err := b.opt.FS.RemoveAll(b.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(fault.Fatal, err, "remove unfinished database "+b.dir)
	}
	failed := false
	b.log = &databaseLog{log: b.opt.Logger, fatal: func(error) {
		if !failed {
			failed = true
			close(b.fail)
		}
	}}
	o := databaseOptions(b.opt.FS, b.cache, b.log)
	o.DisableWAL = true
	var err error
	if b.db, err = openDatabase(b.dir, o); err != nil {
		return err
	}
	b.batch = b.db.NewBatch()
	return errors.Join(
		b.set(metaID, b.id[:]),
		b.set(metaFormat, binary.BigEndian.AppendUint32(nil, FormatVersion)))
}

func (b *Rebuild) set(key, value []byte) error {
	err := b.batch.Set(key, value, nil)
	if err == nil && b.batch.Len() >= rebuildBatch {
		err = b.write()
	}
	return fault.Wrap(fault.Fatal, err, "write "+b.dir)
}

func (b *Rebuild) write() error {
	err := b.log.attempt(func() error { return b.db.Apply(b.batch, pebble.NoSync) })
	b.batch = b.db.NewBatch()
	return err
}

// Head returns the last event taken.
func (b *Rebuild) Head() Head { return Head{Sequence: b.chain.next - 1, Hash: b.chain.hash} }

// Event takes the next event as it was stored. One that does not follow the
// last, or whose contents cannot be had, is an error and is not taken.
func (b *Rebuild) Event(sequence uint64, envelope []byte, hash Hash) error {
	value := append(append(make([]byte, 0, len(envelope)+len(hash)), envelope...), hash[:]...)
	key := appendEventKey(nil, sequence)
	var e Event
	if err := b.chain.step(key, value, &e); err != nil {
		return err
	}
	return b.set(key, value)
}

// Content takes a content object as it was stored, if it hashes to its name.
func (b *Rebuild) Content(h Hash, stored []byte) error {
	if _, err := DecodeContent(h, stored); err != nil {
		return err
	}
	return b.set(appendContentKey(nil, h), stored)
}

// Incident takes an incident of the old journal, in order. One after an event
// that was not taken would have nothing to be after, and is an error.
func (b *Rebuild) Incident(i Incident) error {
	if err := i.validate(); err != nil {
		return err
	}
	if i.After >= b.chain.next {
		return fault.New(fault.Invalid, "journal: incident %d is after event %d, the last one taken is %d", i.Number, i.After, b.chain.next-1)
	}
	return b.set(incidentKey(i.Number), i.appendTo(nil))
}

// Finish makes the journal whole and durable, and returns its head.
func (b *Rebuild) Finish() (Head, error) {
	fs, head := b.opt.FS, b.Head()
	err := b.write()
	if err == nil {
		err = flush(b.db, b.log, b.fail)
	}
	db := b.db
	b.db = nil
	if err = errors.Join(err, closeDatabase(db, b.log)); err == nil {
		if err = fs.Rename(b.dir, fs.PathJoin(b.opt.Dir, databaseName)); err == nil {
			err = b.writeHead(head)
		}
	}
	return head, errors.Join(fault.Wrap(fault.Fatal, err, "rebuild journal "+b.opt.Dir), b.Abort())
}

func (b *Rebuild) writeHead(head Head) error {
	h, err := openHeadFile(b.opt.FS, b.opt.FS.PathJoin(b.opt.Dir, headName), b.id, headRead{})
	if err != nil {
		return err
	}
	return errors.Join(h.writeBoth(head), h.close(), syncDir(b.opt.FS, b.opt.Dir))
}

// Abort gives up what is not finished. It may be called after Finish.
func (b *Rebuild) Abort() error {
	var errs []error
	if b.db != nil {
		errs = append(errs, closeDatabase(b.db, b.log))
		b.db = nil
	}
	if b.lock != nil {
		if err := b.opt.FS.RemoveAll(b.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, b.lock.Close())
		b.lock = nil
		b.cache.Unref()
	}
	return fault.Wrap(fault.Fatal, errors.Join(errs...), "rebuild journal "+b.opt.Dir)
}

// DecodeIncident reads the incident that a metadata key and its value hold; ok
// is false when the key is not that of an incident.
func DecodeIncident(key, value []byte) (i Incident, ok bool, err error) {
	number, ok := bytes.CutPrefix(key, metaIncident)
	if !ok || len(number) != 4 {
		return Incident{}, false, nil
	}
	i, err = decodeIncident(binary.BigEndian.Uint32(number), value)
	return i, true, err
}

// EnvelopeSequence returns the sequence that an envelope states, without
// decoding the rest; ok is false when there is none.
func EnvelopeSequence(envelope []byte) (sequence uint64, ok bool) {
	if len(envelope) < 3 || envelope[0] == 0 || envelope[0] > EnvelopeVersion {
		return 0, false
	}
	sequence, n := binary.Uvarint(envelope[2:])
	return sequence, n > 0
}

// ArchivedHead returns the last event that left the database, from the value of
// its metadata key [ArchiveKey]; the origin when none did.
func ArchivedHead(id ID, value []byte) (Head, error) {
	a, err := decodeArchived(id, value)
	if err != nil {
		return Head{}, err
	}
	start := a.start(id)
	return Head{Sequence: start.first - 1, Hash: start.hash}, nil
}

// ArchiveKey is the metadata key of the record of what left the database.
const ArchiveKey = "marchive"
