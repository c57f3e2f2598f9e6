package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatOne makes a journal as programs of format 1 left it: envelopes of
// version 1, contents as they are.
func formatOne(t *testing.T, fs vfs.FS, seed, to uint64) Head {
	t.Helper()
	j := mustOpen(t, memOptions(fs))
	id := j.ID()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	head := Head{Hash: Origin(id)}
	edit(t, fs, func(db *pebble.DB) error {
		for s := uint64(1); s <= to; s++ {
			e, contents := event(seed, s)
			if s == 5 {
				e.Message, e.Stored = bytes.Repeat([]byte("long"), InlineMax), true
			}
			envelope := e.AppendVersionTo(nil, 1)
			head = Head{s, Link(head.Hash, envelope)}
			if err := db.Set(appendEventKey(nil, s), append(envelope, head.Hash[:]...), pebble.NoSync); err != nil {
				return err
			}
			for _, c := range contents {
				if err := db.Set(appendContentKey(nil, c.Hash), c.Data, pebble.NoSync); err != nil {
					return err
				}
			}
		}
		return db.Set(metaFormat, binary.BigEndian.AppendUint32(nil, 1), pebble.NoSync)
	})
	h, err := openHeadFile(fs, fs.PathJoin("journal", headName), id, headRead{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.writeBoth(head), h.close()); err != nil {
		t.Fatal(err)
	}
	return head
}

func storedFormat(t *testing.T, j *Journal) uint32 {
	t.Helper()
	v, err := readFormat(j.db, j.opt.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestFormatOne: a journal of format 1 is read as it is, and becomes one of
// format 2 when it is opened for writing, without a changed event.
func TestFormatOne(t *testing.T) {
	fs := vfs.NewMem()
	head := formatOne(t, fs, 7, 60)
	o := memOptions(fs)
	o.ReadOnly = true
	j := mustOpen(t, o)
	read := func() {
		t.Helper()
		if r, err := j.Verify(t.Context(), 0, 0, nil); err != nil || r.To < 60 {
			t.Fatal(r, err)
		}
		e, _, err := j.Event(5)
		if err != nil || len(e.Message) != 4*InlineMax {
			t.Fatal(err)
		}
		for s := uint64(1); s <= 60; s++ {
			_, contents := event(7, s)
			for _, c := range contents {
				if got, err := j.Content(c.Hash); err != nil || !bytes.Equal(got, c.Data) {
					t.Fatal(s, err)
				}
			}
		}
	}
	read()
	if v := storedFormat(t, j); v != 1 || j.Head() != head {
		t.Fatalf("format %d, head %v, want %v", v, j.Head(), head)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, memOptions(fs))
	if v := storedFormat(t, j); v != FormatVersion || j.Head() != head {
		t.Fatalf("format %d, head %v, want %v", v, j.Head(), head)
	}
	_, contents := event(7, 60)
	for s := uint64(60); len(contents) == 0; s-- {
		_, contents = event(7, s)
	}
	e := &Event{Sequence: 61, Time: 1 << 41, Stored: true, Message: make([]byte, InlineMax+1), Contents: []Hash{contents[0].Hash}}
	if _, err := j.Append(e, contents); err != nil {
		t.Fatal(err)
	}
	if err := j.WaitDurable(t.Context(), 61); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Suppressed != 1 {
		t.Fatalf("a content of format 1 is written again: %+v", s)
	}
	read()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, o)
	defer j.Close()
	read()
}

func TestNewerFormatIsRefused(t *testing.T) {
	for _, v := range []uint32{0, FormatVersion + 1, 1 << 31} {
		fs := vfs.NewMem()
		makeJournal(t, fs, 1, 3)
		edit(t, fs, func(db *pebble.DB) error {
			return db.Set(metaFormat, binary.BigEndian.AppendUint32(nil, v), pebble.NoSync)
		})
		var corrupt *CorruptError
		if _, err := Open(memOptions(fs)); v != 0 && !errors.Is(err, ErrNewerFormat) || v == 0 && !errors.As(err, &corrupt) {
			t.Errorf("format %d: %v", v, err)
		}
	}
}
