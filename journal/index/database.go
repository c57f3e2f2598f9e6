package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// formatVersion is the version of keys and values.
const formatVersion = 1

var (
	metaFormat   = []byte("mformat")
	metaExtract  = []byte("mextract")
	metaPosition = []byte("mposition")
)

// errIndex marks errors of the index itself, which is removed and built again.
var errIndex = errors.New("the index is of no use")

// unusable says why an index cannot be used; its grade is Corrupt.
func unusable(err error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if err == nil {
		return fault.New(fault.Corrupt, "%s: %w", text, errIndex)
	}
	return fault.Wrap(fault.Corrupt, errors.Join(errIndex, err), text)
}

// database is one open Pebble of an index.
type database struct{ *derived.Database }

// openDatabase opens Pebble; for reading only, there must be one.
func openDatabase(o Options, readOnly bool) (*database, error) {
	d, err := derived.OpenDatabase(derived.DatabaseOptions{
		FS: o.FS, Dir: o.Dir, ReadOnly: readOnly, CacheBytes: o.CacheBytes, Name: "index", Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &database{d}, nil
}

// kinds lists the kinds that have postings.
func (d *database) kinds() (out []Kind, err error) {
	it, err := d.DB().NewIter(&pebble.IterOptions{LowerBound: []byte{prefixPosting}, UpperBound: []byte{prefixPosting + 1}})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(it.Key()) > 1; ok = it.SeekGE([]byte{prefixPosting, byte(out[len(out)-1]) + 1}) {
		if out = append(out, Kind(it.Key()[1])); out[len(out)-1] == 0xff {
			break
		}
	}
	return out, it.Close()
}

// check returns the position of an index that fits journal and options.
func (d *database) check(j *journal.Journal, o Options) (derived.Position, error) {
	number := func(key []byte, want uint32) error {
		b, err := d.Read(key)
		if err != nil {
			return unusable(err, "index %s cannot be read", o.Dir)
		}
		if len(b) != 4 || binary.BigEndian.Uint32(b) != want {
			return unusable(nil, "index %s: key %s is %x, this program writes %d", o.Dir, key, b, want)
		}
		return nil
	}
	if err := errors.Join(number(metaFormat, formatVersion), number(metaExtract, o.Extract.Version)); err != nil {
		return derived.Position{}, err
	}
	b, err := d.Read(metaPosition)
	if err != nil {
		return derived.Position{}, unusable(err, "index %s cannot be read", o.Dir)
	}
	p, ok := derived.DecodePosition(b)
	if !ok {
		return p, unusable(nil, "index %s: its position is %x", o.Dir, b)
	}
	why, err := p.Follows(j)
	if err == nil && why != "" {
		err = unusable(nil, "index %s: %s", o.Dir, why)
	}
	return p, err
}

// begin writes the metadata of a new index.
func (d *database) begin(j *journal.Journal, o Options) (derived.Position, error) {
	p := derived.Position{Journal: j.ID(), Head: journal.Head{Hash: journal.Origin(j.ID())}}
	err := d.Do(func() error {
		b := d.DB().NewBatch()
		return errors.Join(
			b.Set(metaFormat, binary.BigEndian.AppendUint32(nil, formatVersion), nil),
			b.Set(metaExtract, binary.BigEndian.AppendUint32(nil, o.Extract.Version), nil),
			b.Set(metaPosition, p.Encode(), nil),
			b.Commit(pebble.NoSync))
	})
	if err == nil {
		err = d.Flush()
	}
	return p, err
}

// remove deletes an index with everything in it.
func remove(o Options) error {
	if err := o.FS.RemoveAll(o.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(fault.Temporary, err, "remove index "+o.Dir)
	}
	return nil
}
