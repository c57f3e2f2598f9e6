package migration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// errReadOnly answers every request to change the store.
var errReadOnly = errors.New("a legacy store is never written to")

// directory is the storage.Storage of a LevelDB directory that nobody changes:
// no lock file, no log file, every write is refused.
type directory struct {
	path     string
	files    map[storage.FileDesc]string // name in the directory
	manifest storage.FileDesc            // what CURRENT names
	// memory holds the files that the library is shown in another form than the
	// one on disk.
	memory map[storage.FileDesc][]byte
}

// parseFile reads a LevelDB file name. Tables are .ldb, in stores of old
// versions .sst; a file of another name is not LevelDB's.
func parseFile(name string) (storage.FileDesc, bool) {
	if digits, found := strings.CutPrefix(name, "MANIFEST-"); found {
		n, ok := fileNumber(digits)
		return storage.FileDesc{Type: storage.TypeManifest, Num: n}, ok
	}
	digits, extension, _ := strings.Cut(name, ".")
	n, ok := fileNumber(digits)
	switch extension {
	case "log":
		return storage.FileDesc{Type: storage.TypeJournal, Num: n}, ok
	case "ldb", "sst":
		return storage.FileDesc{Type: storage.TypeTable, Num: n}, ok
	}
	return storage.FileDesc{}, false
}

func fileNumber(digits string) (int64, bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// readDirectory lists the files and reads what CURRENT names.
func readDirectory(path string) (*directory, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "legacy store")
	}
	d := &directory{path: path, files: make(map[storage.FileDesc]string), memory: make(map[storage.FileDesc][]byte)}
	for _, e := range entries {
		if fd, ok := parseFile(e.Name()); ok {
			if other, twice := d.files[fd]; twice {
				return nil, fault.New(fault.Corrupt, "legacy store: %s has both %s and %s; keep the right one", path, other, e.Name())
			}
			d.files[fd] = e.Name()
		}
	}
	data, err := readSmall(filepath.Join(path, "CURRENT"))
	if errors.Is(err, os.ErrNotExist) {
		hint := ""
		if _, err := os.Stat(filepath.Join(path, "chain_db", "CURRENT")); err == nil {
			hint = ", but its chain_db is one"
		}
		return nil, fault.New(fault.Invalid, "legacy store: %s is not a LevelDB directory: it has no file CURRENT%s; name the chain_db of a legacy node", path, hint)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "legacy store")
	}
	name, ended := strings.CutSuffix(string(data), "\n")
	fd, ok := parseFile(name)
	if !ended || !ok || fd.Type != storage.TypeManifest {
		return nil, fault.New(fault.Corrupt, "legacy store: CURRENT holds %q, want the name of a manifest and a newline; restore the file", data)
	}
	if d.files[fd] != name {
		return nil, fault.New(fault.Corrupt, "legacy store: %s is named by CURRENT and missing; restore the file", name)
	}
	d.manifest = fd
	return d, nil
}

// readSmall reads a file of which only the first KiB can matter.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<10))
}

type noLock struct{}

// Unlock implements storage.Locker.
func (noLock) Unlock() {}

// Lock implements storage.Storage. Taking a lock would need a file of its own;
// a running legacy node is looked for when the store is opened.
func (*directory) Lock() (storage.Locker, error) { return noLock{}, nil }

// Log implements storage.Storage.
func (*directory) Log(string) {}

// SetMeta implements storage.Storage.
func (*directory) SetMeta(storage.FileDesc) error { return errReadOnly }

// GetMeta implements storage.Storage.
func (d *directory) GetMeta() (storage.FileDesc, error) { return d.manifest, nil }

// List implements storage.Storage.
func (d *directory) List(kinds storage.FileType) ([]storage.FileDesc, error) {
	var list []storage.FileDesc
	for fd := range d.files {
		if fd.Type&kinds != 0 {
			list = append(list, fd)
		}
	}
	return list, nil
}

// Open implements storage.Storage.
func (d *directory) Open(fd storage.FileDesc) (storage.Reader, error) {
	if data, ok := d.memory[fd]; ok {
		return memoryFile{bytes.NewReader(data)}, nil
	}
	return d.open(fd)
}

func (d *directory) open(fd storage.FileDesc) (*os.File, error) {
	name, ok := d.files[fd]
	if !ok {
		return nil, fmt.Errorf("%s: %w", fd, os.ErrNotExist)
	}
	return os.Open(filepath.Join(d.path, name))
}

type memoryFile struct{ *bytes.Reader }

// Close implements io.Closer.
func (memoryFile) Close() error { return nil }

// Create implements storage.Storage.
func (*directory) Create(storage.FileDesc) (storage.Writer, error) { return nil, errReadOnly }

// Remove implements storage.Storage.
func (*directory) Remove(storage.FileDesc) error { return errReadOnly }

// Rename implements storage.Storage.
func (*directory) Rename(_, _ storage.FileDesc) error { return errReadOnly }

// Close implements storage.Storage.
func (*directory) Close() error { return nil }
