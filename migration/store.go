package migration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/journal"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Store is a legacy node's chain store, open for reading. Create it with
// [OpenStore]. Its methods may be called by several goroutines.
type Store struct {
	path   string
	db     *leveldb.DB
	listed []listing // the files as they were when the store was opened
	unused []string
}

// listing is what tells that a file was not written to.
type listing struct {
	name     string // slash separated, relative to the directory
	size     int64
	modified int64 // Unix nanoseconds
}

// OpenStore opens the chain_db directory of a legacy node that is stopped. No
// file of it is written, created or locked. Logs and manifest are checked to
// their last byte; tables by their checksums as they are read, all of them by
// [Store.Count].
//
// Errors: Invalid when the directory is no LevelDB store or one of something
// else, Temporary while a legacy node has it open, Corrupt when a file is
// damaged, cut off or missing.
func OpenStore(chainDB string) (*Store, error) {
	if pid, err := lockHolder(filepath.Join(chainDB, "LOCK")); err == nil && pid != 0 {
		return nil, fault.New(fault.Temporary, "legacy store: %s is in use by process %d; stop the legacy node and try again", chainDB, pid)
	}
	d, err := readDirectory(chainDB)
	if err != nil {
		return nil, err
	}
	s := &Store{path: chainDB}
	if s.listed, err = list(chainDB); err != nil {
		return nil, err
	}
	if err := s.prepare(d); err != nil {
		return nil, err
	}
	err = guard("opening", func() (err error) {
		s.db, err = leveldb.Open(d, &opt.Options{
			ReadOnly: true, ErrorIfMissing: true, Strict: opt.StrictAll, DisableSeeksCompaction: true,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.identify(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close releases the store. A second call has no effect.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil && !errors.Is(err, leveldb.ErrClosed) {
		return fault.Wrap(fault.Temporary, err, "legacy store: closing")
	}
	return nil
}

// Path returns the directory that was opened.
func (s *Store) Path() string { return s.path }

// Unused returns the names of tables and logs in the directory that the store's
// manifest does not refer to, ascending: left by a crash and without effect.
func (s *Store) Unused() []string { return slices.Clone(s.unused) }

// prepare checks manifest, table sizes and logs, and makes the manifest that
// LevelDB is shown.
func (s *Store) prepare(d *directory) error {
	f, err := d.open(d.manifest)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "legacy store")
	}
	defer f.Close()
	m, err := readManifest(d.files[d.manifest], f)
	if err != nil {
		return err
	}
	if err := s.checkTables(d, m); err != nil {
		return err
	}
	logs, err := s.checkLogs(d, m)
	if err != nil {
		return err
	}
	// Legacy's LevelDB records the last sequence of the moment a table is
	// finished, when batches of the next log are already counted in. The library
	// takes it for the last sequence inside tables and refuses every older batch.
	sequence := m.lastSequence
	if logs.any && logs.first <= sequence {
		sequence = max(logs.first, 1) - 1
	}
	d.memory[d.manifest], err = m.rewritten(sequence)
	return err
}

func (s *Store) checkTables(d *directory, m *manifest) error {
	for _, n := range m.numbers() {
		fd := storage.FileDesc{Type: storage.TypeTable, Num: int64(n)}
		name, ok := d.files[fd]
		if !ok {
			return fault.New(fault.Corrupt, "legacy store: %s is named by %s and missing; restore the file", fd, m.name)
		}
		info, err := os.Stat(filepath.Join(d.path, name))
		if err != nil {
			return fault.Wrap(fault.Temporary, err, "legacy store")
		}
		if uint64(info.Size()) != m.tables[n].size {
			return fault.New(fault.Corrupt, "legacy store: %s has %d bytes, %s says %d; restore the file", name, info.Size(), m.name, m.tables[n].size)
		}
	}
	for fd, name := range d.files {
		if _, used := m.tables[uint64(fd.Num)]; fd.Type == storage.TypeTable && !used {
			s.unused = append(s.unused, name)
		}
	}
	return nil
}

func (s *Store) checkLogs(d *directory, m *manifest) (*sequences, error) {
	var live []int64
	for fd, name := range d.files {
		switch n := uint64(fd.Num); {
		case fd.Type != storage.TypeJournal:
		case n >= m.logNumber || n == m.prevLog && n != 0:
			live = append(live, fd.Num)
		default:
			s.unused = append(s.unused, name)
		}
	}
	slices.Sort(live)
	slices.Sort(s.unused)
	if !slices.Contains(live, int64(m.logNumber)) && m.logNumber != 0 {
		return nil, fault.New(fault.Corrupt, "legacy store: %06d.log is named by %s and missing: what was written last is lost; restore the file",
			m.logNumber, m.name)
	}
	return d.readLogs(live)
}

// readLogs checks the live logs, ascending by number. The library cannot read
// more than one of them, which a node leaves that stops while a table is being
// made; it is shown all of them as the last.
func (d *directory) readLogs(live []int64) (*sequences, error) {
	logs := new(sequences)
	if len(live) == 1 {
		return logs, d.readLog(live[0], logs, nil)
	}
	var joined bytes.Buffer
	w := journal.NewWriter(&joined)
	keep := func(batch []byte) error {
		to, err := w.Next()
		if err == nil {
			_, err = to.Write(batch)
		}
		return fault.Wrap(fault.Fatal, err, "legacy store: joining logs")
	}
	for _, n := range live {
		if err := d.readLog(n, logs, keep); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "legacy store: joining logs")
	}
	for i, n := range live {
		fd := storage.FileDesc{Type: storage.TypeJournal, Num: n}
		if i == len(live)-1 {
			d.memory[fd] = joined.Bytes()
		} else {
			delete(d.files, fd)
		}
	}
	return logs, nil
}

func (d *directory) readLog(number int64, logs *sequences, keep func(batch []byte) error) error {
	fd := storage.FileDesc{Type: storage.TypeJournal, Num: number}
	f, err := d.open(fd)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "legacy store")
	}
	defer f.Close()
	return logs.readLog(d.files[fd], f, keep)
}

// guard calls f, which uses the database library, and grades its error. The
// library panics on some contents that its checksums let pass.
func guard(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Corrupt, "legacy store: %s: the database library gave up: %v; restore the store", what, p)
		}
	}()
	err = f()
	var graded *fault.Error
	switch {
	case err == nil || errors.As(err, &graded):
		return err
	case errors.Is(err, fs.ErrPermission), errors.Is(err, leveldb.ErrClosed), isPathError(err):
		return fault.Wrap(fault.Temporary, err, "legacy store: "+what)
	default:
		return fault.New(fault.Corrupt, "legacy store: %s: %w; restore the file", what, err)
	}
}

func isPathError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// list returns all regular files under dir in ascending order of their names.
func list(dir string) ([]listing, error) {
	var files []listing
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := fs.Stat(tree, name)
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			files = append(files, listing{name, info.Size(), info.ModTime().UnixNano()})
		}
		return nil
	})
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "legacy store")
	}
	slices.SortFunc(files, func(a, b listing) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// Unchanged returns an error, graded Temporary, if a file of the directory was
// written, added or removed since the store was opened.
func (s *Store) Unchanged() error {
	now, err := list(s.path)
	if err != nil {
		return err
	}
	if !slices.Equal(now, s.listed) {
		return fault.New(fault.Temporary, "legacy store: files of %s changed while it was read; stop the legacy node and import again", s.path)
	}
	return nil
}

// Digest returns the SHA-256 over all regular files of the directory in
// ascending order of their names: for each the length of its name (uint32), the
// name (relative, slashes), its size (uint64) and its content, integers big endian.
func (s *Store) Digest(ctx context.Context) ([32]byte, error) {
	h := sha256.New()
	for _, l := range s.listed {
		if err := s.digest(ctx, h, l); err != nil {
			return [32]byte{}, err
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

func (s *Store) digest(ctx context.Context, h hash.Hash, l listing) error {
	f, err := os.Open(filepath.Join(s.path, filepath.FromSlash(l.name)))
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "legacy store: digest")
	}
	defer f.Close()
	header := binary.BigEndian.AppendUint32(nil, uint32(len(l.name)))
	header = append(header, l.name...)
	h.Write(binary.BigEndian.AppendUint64(header, uint64(l.size)))
	for left := l.size; left > 0; left -= 1 << 20 {
		if err := stopped(ctx, "digest"); err != nil {
			return err
		}
		if _, err := io.CopyN(h, f, min(left, 1<<20)); err != nil {
			return fault.Wrap(fault.Temporary, err, "legacy store: digest of "+l.name)
		}
	}
	return nil
}

// stopped returns the cause of a cancelled context as a graded error.
func stopped(ctx context.Context, what string) error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	var graded *fault.Error
	if errors.As(cause, &graded) {
		return cause
	}
	return fault.Wrap(fault.Temporary, cause, fmt.Sprintf("legacy store: %s was stopped", what))
}
