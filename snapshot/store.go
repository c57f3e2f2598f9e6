package snapshot

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Options configures a Store.
type Options struct {
	FS       vfs.FS       // nil means vfs.Default
	Dir      string       // created unless ReadOnly
	Keep     int          // snapshots of one journal that pruning leaves; 0 means DefaultKeep
	ReadOnly bool         // nothing is created, written or removed; Write is refused
	Logger   *slog.Logger // nil means slog.Default()
}

// DefaultKeep is the number of snapshots kept when Options says nothing.
const DefaultKeep = 3

// ErrSkip is returned by the function given to [Store.Newest] for a snapshot
// that is sound but not wanted, for example one of another journal.
var ErrSkip = errors.New("snapshot skipped")

// Store is a directory of snapshots. Its methods may be called from any
// goroutine; writes wait for each other.
type Store struct {
	fs       vfs.FS
	dir      string
	chunkDir string
	keep     int
	readOnly bool
	log      *slog.Logger

	writing sync.Mutex // held by Write

	mu sync.Mutex
	// sound holds the chunks on disk that this process has written, or has read
	// and found to hash to their name. Others are read before they are relied on.
	sound map[Hash]bool
}

// Open opens the directory of snapshots. Leftovers of an interrupted write are
// removed by the next Write. Errors of the file system are Temporary.
func Open(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, fault.New(fault.Invalid, "no directory given for the snapshots")
	}
	if o.Keep < 0 {
		return nil, fault.New(fault.Invalid, "snapshots to keep is %d, it must be at least 1", o.Keep)
	}
	s := &Store{fs: o.FS, dir: o.Dir, keep: o.Keep, readOnly: o.ReadOnly, log: o.Logger, sound: map[Hash]bool{}}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	if s.keep == 0 {
		s.keep = DefaultKeep
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.chunkDir = s.fs.PathJoin(s.dir, "chunks")
	if s.readOnly {
		return s, nil
	}
	if err := s.makeDirs(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) makeDirs() error {
	if err := s.fs.MkdirAll(s.chunkDir, 0o755); err != nil {
		return fault.Wrap(fault.Temporary, err, "creating the snapshot directory "+s.chunkDir)
	}
	for _, dir := range []string{s.dir, s.fs.PathDir(s.dir)} {
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// List returns the readable snapshots, the one with the highest sequence first.
// Manifests that cannot be read are logged as warnings and left out. The error
// is that of the directory, and Temporary.
func (s *Store) List() ([]Manifest, error) {
	found, err := s.scan()
	for _, u := range found.unreadable {
		s.log.Warn("snapshot ignored, its manifest cannot be read", "file", s.fs.PathJoin(s.dir, u.name), "error", u.err)
	}
	return found.manifests, err
}

// Damaged returns one error for each manifest that cannot be read.
func (s *Store) Damaged() ([]error, error) {
	found, err := s.scan()
	var damaged []error
	for _, u := range found.unreadable {
		damaged = append(damaged, u.err)
	}
	return damaged, err
}

// scanned is the content of the directory.
type scanned struct {
	manifests  []Manifest // newest first
	unreadable []unreadable
	leftover   []string // temporary files
}

// unreadable is a manifest that cannot be used, and why.
type unreadable struct {
	name string
	err  error
}

func (s *Store) scan() (scanned, error) {
	var found scanned
	names, err := s.fs.List(s.dir)
	if err != nil {
		if s.readOnly && notExist(err) {
			return found, nil
		}
		return found, fault.Wrap(fault.Temporary, err, "listing the snapshot directory "+s.dir)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, temporarySuffix):
			found.leftover = append(found.leftover, name)
		case strings.HasSuffix(name, manifestSuffix):
			m, err := s.readManifest(name)
			if err != nil {
				found.unreadable = append(found.unreadable, unreadable{name: name, err: err})
				continue
			}
			found.manifests = append(found.manifests, m)
		}
	}
	slices.SortFunc(found.manifests, func(a, b Manifest) int { return strings.Compare(b.File, a.File) })
	return found, nil
}

func (s *Store) readManifest(name string) (Manifest, error) {
	file, err := s.readFile(s.fs.PathJoin(s.dir, name), maxManifest)
	if err != nil {
		return Manifest{}, err
	}
	m, err := decodeManifest(file)
	if err != nil {
		return Manifest{}, s.naming(s.fs.PathJoin(s.dir, name), err)
	}
	if m.File != name {
		return Manifest{}, fault.New(fault.Corrupt, "file %s holds the snapshot manifest %s", s.fs.PathJoin(s.dir, name), m.File)
	}
	return m, nil
}

// Newest calls try with the snapshots, newest first, until one succeeds, and
// returns that one. When try fails with [ErrSkip], with a Corrupt error or with
// [ErrNewerFormat], the next older is tried, the latter two with a warning in
// the log; try must then start from an empty state again. Any other error of
// try ends the search. found is false when no snapshot was good.
func (s *Store) Newest(try func(Manifest) error) (m Manifest, found bool, err error) {
	all, err := s.List()
	if err != nil {
		return Manifest{}, false, err
	}
	for _, m := range all {
		err := try(m)
		switch {
		case err == nil:
			return m, true, nil
		case errors.Is(err, ErrSkip):
			continue
		case fault.Is(err, fault.Corrupt) || errors.Is(err, ErrNewerFormat):
			s.log.Warn("snapshot ignored, the next older is used", "file", s.fs.PathJoin(s.dir, m.File), "seq", m.Sequence, "error", err)
		default:
			return Manifest{}, false, err
		}
	}
	return Manifest{}, false, nil
}

// Load calls entry for every entry of m, sections in the order of their names,
// keys ascending. Nothing of a chunk reaches entry before the whole chunk is
// checked; entries of earlier chunks may have been handed out when a later one
// turns out to be Corrupt, so the state loaded so far must then be dropped. The
// slices are valid until entry returns. An error of entry ends the load and is returned.
func (s *Store) Load(m Manifest, entry func(section string, key, value []byte) error) error {
	sections, err := s.Sections(m)
	if err != nil {
		return err
	}
	for _, section := range sections {
		err := section.Walk(func(key, value []byte) error { return entry(section.Name, key, value) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Sections returns the states of m as sections whose Walk reads and checks
// chunk after chunk, as [Store.Load] does. Memory is that of one chunk.
func (s *Store) Sections(m Manifest) ([]Section, error) {
	if err := m.check(); err != nil {
		return nil, s.naming(s.fs.PathJoin(s.dir, m.File), err)
	}
	sections := make([]Section, len(m.Sections))
	for i, section := range m.Sections {
		refs := m.chunks[i]
		sections[i] = Section{Name: section.Name, Walk: func(yield func(key, value []byte) error) error {
			return s.walk(refs, yield)
		}}
	}
	return sections, nil
}

func (s *Store) walk(refs []chunkRef, yield func(key, value []byte) error) error {
	var reader sectionReader
	for _, ref := range refs {
		data, err := s.readChunk(ref)
		if err != nil {
			return err
		}
		if err := reader.check(data, ref.entries); err != nil {
			return s.naming(s.chunkPath(ref.hash), err)
		}
		if err := eachEntry(data, yield); err != nil {
			return err
		}
	}
	return nil
}

// Verify reads and checks every byte of m, as Load does. A damaged chunk that
// it finds is written anew by the next Write whose state contains it.
func (s *Store) Verify(m Manifest) error {
	return s.Load(m, func(string, []byte, []byte) error { return nil })
}

// readChunk returns the checked bytes of a chunk and remembers the outcome.
func (s *Store) readChunk(ref chunkRef) ([]byte, error) {
	path := s.chunkPath(ref.hash)
	file, err := s.readFile(path, maxChunk+maxChunk/64)
	var data []byte
	if err == nil {
		if data, err = decodeChunk(file, ref.size, ref.hash); err != nil {
			err = s.naming(path, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.sound, ref.hash)
		return nil, err
	}
	s.sound[ref.hash] = true
	return data, nil
}

func (s *Store) chunkPath(h Hash) string { return s.fs.PathJoin(s.chunkDir, h.chunkName()) }

// readFile returns the content of a file of at most limit bytes. A file that is
// absent or too long is Corrupt: a manifest promises it. Other errors are Temporary.
func (s *Store) readFile(path string, limit int64) ([]byte, error) {
	f, err := s.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		if notExist(err) {
			return nil, fault.New(fault.Corrupt, "snapshot file %s is missing: it was lost, or pruned by the node meanwhile: %w", path, err)
		}
		return nil, fault.Wrap(fault.Temporary, err, "opening the snapshot file "+path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "reading the snapshot file "+path)
	}
	if info.IsDir() || info.Size() > limit {
		return nil, fault.New(fault.Corrupt, "snapshot file %s is a directory or has %d bytes, at most %d are allowed", path, info.Size(), limit)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "reading the snapshot file "+path)
	}
	return data, nil
}

// naming puts the path before err and keeps its grade.
func (s *Store) naming(path string, err error) error {
	return fault.Wrap(fault.Of(err), err, "snapshot file "+path)
}
