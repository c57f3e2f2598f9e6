package archive

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Storage keeps segments by name. Names are plain: letters, digits, '-' and
// '.'. Its methods may be called from any goroutine.
//
// An error has grade Corrupt when the object is not there or cannot be read for
// good, Temporary when the storage does not answer or is full, Invalid when it
// refuses us.
type Storage interface {
	// Put stores what write produces. When it returns nil the object is durable
	// and whole; until then nothing is seen under the name. An object of the
	// same name is replaced, or, where others may use it, compared and refused.
	// An error of write is returned and stores nothing.
	Put(ctx context.Context, name string, write func(io.Writer) error) error
	// ReadAt fills p from offset off.
	ReadAt(ctx context.Context, name string, p []byte, off int64) error
	// Size returns the size of an object.
	Size(ctx context.Context, name string) (int64, error)
	// List returns the names of all objects, sorted.
	List(ctx context.Context) ([]string, error)
	// String names the storage for errors and logs.
	String() string
}

// Local is a Storage in a directory.
type Local struct {
	fs  vfs.FS
	dir string
}

const temporarySuffix = ".tmp"

// NewLocal returns the storage in dir, which the first Put creates. A nil fs is
// the operating system's.
func NewLocal(fs vfs.FS, dir string) *Local {
	if fs == nil {
		fs = vfs.Default
	}
	return &Local{fs: fs, dir: dir}
}

// String returns the directory.
func (l *Local) String() string { return l.dir }

// Path returns the file of an object.
func (l *Local) Path(name string) string { return l.fs.PathJoin(l.dir, name) }

// Put implements Storage: a temporary file, synced, renamed, the directory
// synced.
func (l *Local) Put(_ context.Context, name string, write func(io.Writer) error) error {
	if err := l.fs.MkdirAll(l.dir, 0o750); err != nil {
		return storageError(err, "create the archive directory "+l.dir)
	}
	if err := l.syncDir(l.fs.PathDir(l.dir)); err != nil {
		return err
	}
	temporary := l.Path(name + temporarySuffix)
	if err := l.writeFile(temporary, write); err != nil {
		_ = l.fs.Remove(temporary) // the next Put of this name replaces it
		return err
	}
	if err := l.fs.Rename(temporary, l.Path(name)); err != nil {
		return storageError(err, "name the archive file "+l.Path(name))
	}
	return l.syncDir(l.dir)
}

func (l *Local) writeFile(path string, write func(io.Writer) error) error {
	f, err := l.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return storageError(err, "create the archive file "+path)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	if err := write(w); err != nil {
		return errors.Join(err, f.Close())
	}
	err = w.Flush()
	if err == nil {
		err = f.Sync()
	}
	return storageError(errors.Join(err, f.Close()), "write the archive file "+path)
}

func (l *Local) syncDir(dir string) error {
	d, err := l.fs.OpenDir(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	return storageError(err, "sync the directory "+dir)
}

// ReadAt implements Storage.
func (l *Local) ReadAt(_ context.Context, name string, p []byte, off int64) error {
	f, err := l.fs.Open(l.Path(name), vfs.RandomReadsOption)
	if err != nil {
		return readError(err, l.Path(name))
	}
	_, err = f.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return readError(errors.Join(err, f.Close()), l.Path(name))
}

// Size implements Storage.
func (l *Local) Size(_ context.Context, name string) (int64, error) {
	info, err := l.fs.Stat(l.Path(name))
	if err != nil {
		return 0, readError(err, l.Path(name))
	}
	return info.Size(), nil
}

// List implements Storage. A directory that does not exist holds nothing.
func (l *Local) List(context.Context) ([]string, error) {
	names, err := l.fs.List(l.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storageError(err, "list the archive directory "+l.dir)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, temporarySuffix) })
	slices.Sort(names)
	return names, nil
}

// Export puts an object at another path: a hard link where both are on one file
// system, a copy elsewhere.
func (l *Local) Export(name, path string) error {
	if l.fs.Link(l.Path(name), path) == nil {
		return nil
	}
	return storageError(vfs.CopyAcrossFS(l.fs, l.Path(name), l.fs, path), "copy the archive file "+l.Path(name)+" to "+path)
}

func storageError(err error, what string) error {
	if vfs.IsNoSpaceError(err) {
		what = "the disk is full, free space to " + what
	}
	return fault.Wrap(fault.Temporary, err, what)
}

// readError grades what a local disk says of a file: one that is gone or cannot
// be read does not come back by itself.
func readError(err error, path string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return fault.New(fault.Corrupt, "archive file %s is missing: put it back from a backup, or name the storage that has it (journal.archive): %w", path, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Corrupt, "archive file %s is shorter than it was: %w", path, err)
	default:
		return fault.Wrap(fault.Corrupt, err, "archive file "+path+" cannot be read")
	}
}
