package salvage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableMagic ends every table of the formats that a journal ever had.
const tableMagic = "\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3"

// tableReader reads what is intact of one table.
type tableReader struct {
	name  string
	file  vfs.File
	size  int64
	note  func(Damage)
	entry func(kind byte, key, value []byte, sequence uint64, place string)

	inflate decompressor
	buf     []byte
	blocks  int
}

// read reads the blocks that the table's index lists; where the index cannot
// be read, those that are found by their checksums. Its error is a failure to
// read, not damage.
func (t *tableReader) read() error {
	defer t.inflate.close()
	if t.size == 0 {
		t.note(Damage{File: t.name, What: "the table is empty"})
		return nil
	}
	layout, err := t.layout()
	if err != nil {
		t.note(Damage{File: t.name, What: "its index cannot be read, blocks are looked for: " + err.Error()})
		return t.scan()
	}
	for _, h := range layout.Data {
		if err := t.block(int64(h.Offset), int(h.Length)); err != nil {
			return err
		}
	}
	return nil
}

// layout asks the library for the list of blocks. The library was not made for
// damaged tables: some damage makes it panic.
func (t *tableReader) layout() (l *sstable.Layout, err error) {
	defer func() {
		if p := recover(); p != nil {
			l, err = nil, fmt.Errorf("%v", p)
		}
	}()
	readable, err := sstable.NewSimpleReadable(unclosed{t.file})
	if err != nil {
		return nil, err
	}
	options := sstable.ReaderOptions{
		Comparer:   pebble.DefaultComparer,
		Filters:    map[string]sstable.FilterPolicy{bloom.FilterPolicy(10).Name(): bloom.FilterPolicy(10)},
		KeySchemas: defaultSchemas(),
	}
	r, err := sstable.NewReader(context.Background(), readable, options)
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	l, err = r.Layout()
	err = errors.Join(err, r.Close())
	if err == nil {
		for _, h := range l.Data {
			if h.Length > maxBlock || int64(h.Offset)+int64(h.Length)+blockTrailer > t.size {
				return nil, fmt.Errorf("block of %d bytes at offset %d does not fit the file of %d bytes", h.Length, h.Offset, t.size)
			}
		}
	}
	return l, err
}

func defaultSchemas() sstable.KeySchemas {
	o := &pebble.Options{}
	o.EnsureDefaults()
	return o.KeySchemas
}

// unclosed is a file that the library may not close.
type unclosed struct{ vfs.File }

func (unclosed) Close() error { return nil }

// block reads one block of the list.
func (t *tableReader) block(at int64, n int) error {
	if cap(t.buf) < n+blockTrailer {
		t.buf = make([]byte, n+blockTrailer)
	}
	data := t.buf[:n+blockTrailer]
	if _, err := t.file.ReadAt(data, at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	bad := func(what string) {
		t.note(Damage{File: t.name, Offset: at, Bytes: int64(n) + blockTrailer, What: what})
	}
	if got, want := maskedCRC(data[:n+1]), le32(data[n+1:]); got != want {
		bad(fmt.Sprintf("block with checksum %08x, computed %08x", want, got))
		return nil
	}
	if err := t.entries(data[n], data[:n], at); err != nil {
		bad("block with a right checksum does not decode: " + err.Error())
	}
	return nil
}

// entries hands on the rows of one block.
func (t *tableReader) entries(compression byte, data []byte, at int64) error {
	data, err := t.inflate.block(compression, data)
	if err != nil {
		return err
	}
	b, err := parseDataBlock(data)
	if err != nil {
		return err
	}
	t.blocks++
	place := fmt.Sprintf("%s, block at offset %d", t.name, at)
	return b.each(func(r row) {
		if r.external {
			t.note(Damage{File: t.name, Offset: at, What: fmt.Sprintf("value of key %x is kept elsewhere and not read", r.key)})
			return
		}
		t.entry(r.kind, r.key, r.value, r.sequence, place)
	})
}

// scan finds the blocks of a table without its index. It holds the whole table
// in memory.
func (t *tableReader) scan() error {
	data := make([]byte, t.size)
	if n, err := t.file.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if n < len(data) {
		data = data[:n]
	}
	end := len(data)
	if len(data) >= footerSize && string(data[len(data)-len(tableMagic):]) == tableMagic {
		end = len(data) - footerSize
	}
	started := false // data blocks come first, then index, filter, properties
	found := func(s span, only bool) bool {
		raw, err := t.inflate.block(data[s.to], data[s.from:s.to])
		if err != nil {
			return false
		}
		b, err := parseDataBlock(raw)
		if err != nil {
			return started && !only
		}
		started = true
		t.blocks++
		place := fmt.Sprintf("%s, block found at offset %d", t.name, s.from)
		if err := b.each(func(r row) {
			if !r.external {
				t.entry(r.kind, r.key, r.value, r.sequence, place)
			}
		}); err != nil {
			t.note(Damage{File: t.name, Offset: int64(s.from), Bytes: int64(s.to - s.from), What: "block with a right checksum does not decode: " + err.Error()})
		}
		return true
	}
	scanBlocks(data[:end], found, func(from, to int) {
		t.note(Damage{File: t.name, Offset: int64(from), Bytes: int64(to - from), What: "no intact block of data (or the damaged index itself)"})
	})
	return nil
}

// footerSize is the length of the footer of the pinned table format.
const footerSize = 61
