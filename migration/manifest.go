package migration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/syndtr/goleveldb/leveldb/journal"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// comparator is the key order of legacy's stores; its name stands in the manifest.
const comparator = "leveldb.BytewiseComparator"

// Tags of the fields of a version edit, the record of a manifest.
const (
	editComparator   = 1
	editLogNumber    = 2
	editNextFile     = 3
	editLastSequence = 4
	editCompactPoint = 5
	editDeletedFile  = 6
	editNewFile      = 7
	editPrevLog      = 9
)

// manifest is the version of the store that its manifest leads to.
type manifest struct {
	name    string
	records [][]byte // as they stand in the file

	comparator   string
	hasLog       bool
	logNumber    uint64 // logs from this number on are not in tables yet
	prevLog      uint64 // and this one, zero for none
	lastSequence uint64
	tables       map[uint64]tableFile // by file number
}

// tableFile is what the manifest says of one table.
type tableFile struct {
	level uint64
	size  uint64 // bytes of the file
}

// readManifest reads a whole manifest. Errors are graded Corrupt, but for those
// of a store with another key order, which is Invalid.
func readManifest(name string, r io.Reader) (*manifest, error) {
	m := &manifest{name: name, tables: make(map[uint64]tableFile)}
	f := newFrames(name, r)
	for {
		record, at, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := m.apply(record); err != nil {
			return nil, f.corrupt(at, "%w", err)
		}
		m.records = append(m.records, record)
	}
	switch {
	case m.comparator == "":
		return nil, f.corrupt(0, "no key order is named")
	case m.comparator != comparator:
		return nil, fault.New(fault.Invalid, "legacy store: %s: keys are ordered by %q, want %q; this is not a legacy node's store",
			name, m.comparator, comparator)
	case !m.hasLog:
		return nil, f.corrupt(0, "no write-ahead log is named")
	}
	return m, nil
}

var errEdit = errors.New("version edit is cut off")

// edit reads the fields of one version edit.
type edit struct{ left []byte }

func (e *edit) varint() (uint64, error) {
	v, n := binary.Uvarint(e.left)
	if n <= 0 {
		return 0, errEdit
	}
	e.left = e.left[n:]
	return v, nil
}

func (e *edit) text() ([]byte, error) {
	n, err := e.varint()
	if err != nil || n > uint64(len(e.left)) {
		return nil, errEdit
	}
	b := e.left[:n]
	e.left = e.left[n:]
	return b, nil
}

// numbers reads n varints; a missing one fails the edit.
func (e *edit) numbers(n int) (v [3]uint64, err error) {
	for i := range n {
		if v[i], err = e.varint(); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (m *manifest) apply(record []byte) error {
	e := &edit{record}
	for len(e.left) > 0 {
		tag, err := e.varint()
		if err != nil {
			return err
		}
		if err := m.field(tag, e); err != nil {
			return err
		}
	}
	return nil
}

func (m *manifest) field(tag uint64, e *edit) error {
	switch tag {
	case editComparator:
		name, err := e.text()
		m.comparator = string(name)
		return err
	case editLogNumber, editNextFile, editLastSequence, editPrevLog:
		v, err := e.varint()
		switch tag {
		case editLogNumber:
			m.logNumber, m.hasLog = v, true
		case editLastSequence:
			m.lastSequence = v
		case editPrevLog:
			m.prevLog = v
		}
		return err
	case editCompactPoint:
		_, err := e.varint()
		if err == nil {
			_, err = e.text()
		}
		return err
	case editDeletedFile:
		v, err := e.numbers(2) // level, number
		delete(m.tables, v[1])
		return err
	case editNewFile:
		v, err := e.numbers(3) // level, number, size
		if err != nil {
			return err
		}
		m.tables[v[1]] = tableFile{level: v[0], size: v[2]}
		for range 2 { // smallest and largest key
			if _, err = e.text(); err != nil {
				return err
			}
		}
		return nil
	default:
		return errors.New("version edit with a field this version does not know")
	}
}

// numbers returns the file numbers of the tables, ascending.
func (m *manifest) numbers() []uint64 {
	list := make([]uint64, 0, len(m.tables))
	for n := range m.tables {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// rewritten returns the manifest's bytes with the last sequence replaced by
// sequence, by one more version edit at the end.
func (m *manifest) rewritten(sequence uint64) ([]byte, error) {
	var out bytes.Buffer
	w := journal.NewWriter(&out)
	last := binary.AppendUvarint([]byte{editLastSequence}, sequence)
	for _, record := range append(slices.Clip(m.records), last) {
		to, err := w.Next()
		if err == nil {
			_, err = to.Write(record)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Fatal, err, "legacy store: "+m.name)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "legacy store: "+m.name)
	}
	return out.Bytes(), nil
}
