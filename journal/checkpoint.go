package journal

import (
	"errors"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Checkpoint makes a copy of the journal in a new directory while appending
// goes on. Tables are hard links where the file system allows it, so the copy
// costs little until tables are rewritten. It keeps the identity and holds at
// least every event that was durable when the call began; Open with ReadOnly
// reads it, from any process.
//
// The directory appears only when the copy is complete: it is made beside, as
// dir+".partial", and renamed. Either existing already is an error of grade
// Invalid. So is [ErrReadOnly]: nothing changes the files of a journal opened
// for reading, and copying them does the same.
func (j *Journal) Checkpoint(dir string) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.leave()
	if err := j.Err(); err != nil {
		return err
	}
	if j.opt.ReadOnly {
		return fault.New(fault.Invalid, "journal %s: copy the directory instead of asking for a checkpoint: %w", j.opt.Dir, ErrReadOnly)
	}
	fs, partial := j.opt.FS, dir+".partial"
	for _, d := range []string{dir, partial} {
		if _, err := fs.Stat(d); err == nil {
			return fault.New(fault.Invalid, "journal: checkpoint directory %s exists already; remove it or name another", d)
		} else if !errors.Is(err, os.ErrNotExist) {
			return fault.Wrap(fault.Fatal, err, "journal: checkpoint directory "+d)
		}
	}
	err := j.copyTo(partial)
	if err == nil {
		if err = fs.Rename(partial, dir); err == nil {
			err = syncDir(fs, fs.PathDir(dir))
		}
	}
	if err != nil {
		// Temporary: the journal itself is as it was.
		return fault.Wrap(fault.Temporary, errors.Join(err, fs.RemoveAll(partial)), "journal: checkpoint "+dir)
	}
	return nil
}

// exporter is a storage whose objects can be put beside a copy of the journal.
type exporter interface {
	Export(name, path string) error
}

// copyArchive puts the segments beside the copy where the storage is a
// directory; the copy of a journal whose archive is elsewhere reads it there.
func (j *Journal) copyArchive(dir string) error {
	local, ok := j.history.storage.(exporter)
	segments := j.Archived()
	if !ok || len(segments) == 0 {
		return nil
	}
	into := j.opt.FS.PathJoin(dir, archiveName)
	if err := j.opt.FS.MkdirAll(into, 0o750); err != nil {
		return err
	}
	for i := range segments {
		if err := local.Export(segments[i].Name, j.opt.FS.PathJoin(into, segments[i].Name)); err != nil {
			return err
		}
	}
	return syncDir(j.opt.FS, into)
}

// copyTo takes the head before the database, so that the copy's record can be
// behind its last event but never ahead.
func (j *Journal) copyTo(dir string) error {
	if err := makeDir(j.opt.FS, dir); err != nil {
		return err
	}
	j.forgetting.Lock() // no event leaves the database between the record and the copy
	defer j.forgetting.Unlock()
	head := j.Durable()
	if err := j.dblog.attempt(func() error {
		return j.db.Checkpoint(j.opt.FS.PathJoin(dir, databaseName), pebble.WithFlushedWAL())
	}); err != nil {
		return err
	}
	h, err := openHeadFile(j.opt.FS, j.opt.FS.PathJoin(dir, headName), j.id, headRead{})
	if err != nil {
		return err
	}
	return errors.Join(h.writeBoth(head), h.close(), j.copyArchive(dir), syncDir(j.opt.FS, dir))
}
