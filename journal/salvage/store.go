package salvage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// Key prefixes of a journal, as docs/formats/journal.md states them.
const (
	prefixContent = 'c'
	prefixEvent   = 'e'
	prefixMeta    = 'm'
)

const hashLen = len(journal.Hash{})

// store sorts what was found on disk: a scratch database, deleted afterwards.
//
//	'e' sequence (8) SHA-256 of the value (8)  -> envelope, hash
//	'c' hash (32)                              -> content as it was stored
//	'm' key 0 ^database sequence (8)           -> value
type store struct {
	db    *pebble.DB
	dir   string
	batch *pebble.Batch
}

func openStore(dir string) (*store, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FS: vfs.Default, FormatMajorVersion: pebble.FormatNewest, DisableWAL: true,
		MemTableSize: 32 << 20, ErrorIfExists: true, Logger: silent{},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "open scratch database "+dir)
	}
	return &store{db: db, dir: dir, batch: db.NewBatch()}, nil
}

// silent drops the scratch database's log; what ends it is an error of a call.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf("scratch database: "+format, a...)) }

func (s *store) put(key, value []byte) error {
	if err := s.batch.Set(key, value, nil); err != nil {
		return err
	}
	if s.batch.Len() > 4<<20 {
		return s.flush()
	}
	return nil
}

func (s *store) flush() error {
	err := s.batch.Commit(pebble.NoSync)
	s.batch = s.db.NewBatch()
	return fault.Wrap(fault.Fatal, err, "write scratch database "+s.dir)
}

func (s *store) putEvent(sequence uint64, value []byte) error {
	sum := sha256.Sum256(value)
	key := binary.BigEndian.AppendUint64([]byte{prefixEvent}, sequence)
	return s.put(append(key, sum[:8]...), value)
}

func (s *store) putContent(h journal.Hash, value []byte) error {
	return s.put(append([]byte{prefixContent}, h[:]...), value)
}

// putMeta keeps every value of a metadata key; the newest is read.
func (s *store) putMeta(key []byte, sequence uint64, value []byte) error {
	k := append(append([]byte{}, key...), 0)
	return s.put(binary.BigEndian.AppendUint64(k, ^sequence), value)
}

// metadata returns the newest value of every metadata key, with the key.
func (s *store) metadata() (map[string][]byte, error) {
	out := map[string][]byte{}
	err := s.each([]byte{prefixMeta}, []byte{prefixMeta + 1}, func(key, value []byte) (bool, error) {
		if len(key) > 9 {
			if k := string(key[:len(key)-9]); out[k] == nil {
				out[k] = bytes.Clone(value)
			}
		}
		return true, nil
	})
	return out, err
}

// each calls f for the keys of a range in order, until it returns false.
func (s *store) each(lower, upper []byte, f func(key, value []byte) (bool, error)) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "read scratch database "+s.dir)
	}
	for it.First(); it.Valid(); it.Next() {
		more, err := f(it.Key(), it.Value())
		if err != nil || !more {
			_ = it.Close()
			return err
		}
	}
	return fault.Wrap(fault.Fatal, it.Close(), "read scratch database "+s.dir)
}

// candidate is one value found for a sequence.
type candidate struct {
	envelope []byte
	hash     journal.Hash
}

// eachSequence calls f for every sequence from first on with all values found
// for it. The values are valid during the call.
func (s *store) eachSequence(first, last uint64, f func(sequence uint64, found []candidate) (bool, error)) error {
	lower := binary.BigEndian.AppendUint64([]byte{prefixEvent}, first)
	upper := []byte{prefixEvent + 1}
	if last != ^uint64(0) {
		upper = binary.BigEndian.AppendUint64([]byte{prefixEvent}, last+1)
	}
	var group []candidate
	var at uint64
	more := true
	done := func() (err error) {
		if len(group) > 0 && more {
			more, err = f(at, group)
		}
		group = group[:0]
		return err
	}
	err := s.each(lower, upper, func(key, value []byte) (bool, error) {
		if sequence := binary.BigEndian.Uint64(key[1:]); sequence != at || len(group) == 0 {
			if err := done(); err != nil || !more {
				return false, err
			}
			at = sequence
		}
		n := len(value) - hashLen
		// The iterator reuses its memory at the next key.
		value = bytes.Clone(value)
		group = append(group, candidate{envelope: value[:n:n], hash: journal.Hash(value[n:])})
		return true, nil
	})
	if err != nil {
		return err
	}
	return done()
}

func (s *store) content(h journal.Hash) ([]byte, error) {
	v, closer, err := s.db.Get(append([]byte{prefixContent}, h[:]...))
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(v)
	return out, closer.Close()
}

func (s *store) hasContent(h journal.Hash) bool {
	_, closer, err := s.db.Get(append([]byte{prefixContent}, h[:]...))
	return err == nil && closer.Close() == nil
}

func (s *store) close() error {
	return s.db.Close()
}
