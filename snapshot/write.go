package snapshot

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	temporarySuffix = ".tmp"
	// writers is the number of chunk files written at the same time: a file waits
	// for its sync most of its time.
	writers       = 8
	writeCategory = vfs.WriteCategoryUnspecified
)

// Write stores sections as the snapshot at p and returns once it is durable.
// Chunks that the store has already are not written again. Afterwards snapshots
// beyond Options.Keep and chunks without a manifest are removed; a failure to
// remove is a warning in the log, not an error.
//
// An error leaves the older snapshots as they were. A full disk and other
// errors of the file system are Temporary; a state that breaks the rules of
// [Section] is Fatal.
func (s *Store) Write(p Position, sections []Section) (Manifest, error) {
	if s.readOnly {
		return Manifest{}, fault.New(fault.Invalid, "snapshot store %s is open for reading only", s.dir)
	}
	sections, err := sorted(sections)
	if err != nil {
		return Manifest{}, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()

	if err := s.forgetAbsent(); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Position: p, version: manifestVersion, Sections: make([]SectionDigest, len(sections)), chunks: make([][]chunkRef, len(sections))}
	pool := s.newPool()
	err = parallel(len(sections), func(i int) error {
		var err error
		m.Sections[i], m.chunks[i], err = pool.writeSection(sections[i])
		return err
	})
	if failed := pool.wait(); failed != nil && !fault.Is(err, fault.Fatal) {
		err = failed
	}
	if err != nil {
		return Manifest{}, err
	}
	m.Root = Root(m.Sections)
	// Synced even if no chunk is new: an earlier write may have ended between the
	// rename of a chunk and this.
	if err := s.syncDir(s.chunkDir); err != nil {
		return Manifest{}, err
	}
	file := m.encode()
	if len(file) > maxManifest {
		return Manifest{}, fault.New(fault.Fatal, "snapshot of sequence %d has %d chunks, more than a manifest can list", p.Sequence, m.Chunks())
	}
	m.File = manifestName(p.Sequence, file)
	if err := s.writeFile(s.fs.PathJoin(s.dir, m.File), file); err != nil {
		return Manifest{}, err
	}
	if err := s.syncDir(s.dir); err != nil {
		return Manifest{}, err
	}
	s.prune(m)
	return m, nil
}

// forgetAbsent drops what this process knew of chunks that are not in the
// directory: pruning has removed them, or an operator while the node runs.
func (s *Store) forgetAbsent() error {
	if err := s.makeDirs(); err != nil {
		return err
	}
	names, err := s.fs.List(s.chunkDir)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "listing the snapshot directory "+s.chunkDir)
	}
	present := make(map[string]bool, len(names))
	for _, name := range names {
		present[name] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.sound {
		if !present[h.chunkName()] {
			delete(s.sound, h)
		}
	}
	return nil
}

// pool writes chunk files on several goroutines. The channel has no buffer, so
// no more than writers chunks wait in memory.
type pool struct {
	store   *Store
	jobs    chan chunk
	workers sync.WaitGroup

	mu    sync.Mutex
	known map[Hash]bool // chunks that this Write has taken care of
	err   error
}

func (s *Store) newPool() *pool {
	p := &pool{store: s, jobs: make(chan chunk), known: map[Hash]bool{}}
	for range writers {
		p.workers.Go(func() {
			for c := range p.jobs {
				if err := s.ensureChunk(c); err != nil {
					p.fail(err)
				}
			}
		})
	}
	return p
}

func (p *pool) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// wait ends the pool and returns the first error of a worker.
func (p *pool) wait() error {
	close(p.jobs)
	p.workers.Wait()
	return p.err
}

// claim reports whether the caller is the first of this Write to bring the
// chunk, and the error that has ended the Write, if any.
func (p *pool) claim(h Hash) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.known[h] {
		return false, p.err
	}
	p.known[h] = true
	return true, nil
}

func (p *pool) writeSection(s Section) (SectionDigest, []chunkRef, error) {
	d := SectionDigest{Name: s.Name}
	var refs []chunkRef
	var tree merkle
	err := eachChunk(s, func(c chunk) error {
		tree.add(c.hash)
		d.Entries += uint64(c.entries)
		d.Bytes += uint64(len(c.data))
		refs = append(refs, chunkRef{hash: c.hash, size: uint32(len(c.data)), entries: c.entries})
		first, err := p.claim(c.hash)
		if err != nil || !first || p.store.isSound(c.hash) {
			return err
		}
		c.data = append([]byte(nil), c.data...)
		p.jobs <- c
		return nil
	})
	d.Digest = tree.root()
	return d, refs, err
}

func (s *Store) isSound(h Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sound[h]
}

// ensureChunk makes sure that a sound file of the chunk exists.
func (s *Store) ensureChunk(c chunk) error {
	path := s.chunkPath(c.hash)
	if _, err := s.fs.Stat(path); err == nil {
		_, err := s.readChunk(chunkRef{hash: c.hash, size: uint32(len(c.data)), entries: c.entries})
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrNewerFormat) {
			return err
		}
		s.log.Warn("snapshot chunk is damaged and written anew; snapshots that contain it are whole again", "file", path, "error", err)
	}
	if err := s.writeFile(path, encodeChunk(c.data)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sound[c.hash] = true
	return nil
}

// writeFile writes, syncs and only then names a file. The caller syncs the directory.
func (s *Store) writeFile(path string, data []byte) error {
	temporary := path + temporarySuffix
	err := func() error {
		f, err := s.fs.Create(temporary, writeCategory)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		if err == nil {
			err = f.Sync()
		}
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return err
		}
		return s.fs.Rename(temporary, path)
	}()
	if err == nil {
		return nil
	}
	// The next Write removes what cannot be removed now.
	_ = s.fs.Remove(temporary)
	if vfs.IsNoSpaceError(err) {
		return fault.Wrap(fault.Temporary, err, "disk is full, free space for the snapshot file "+path)
	}
	return fault.Wrap(fault.Temporary, err, "writing the snapshot file "+path)
}

func (s *Store) syncDir(dir string) error {
	d, err := s.fs.OpenDir(dir)
	if err == nil {
		err = d.Sync()
		if closing := d.Close(); err == nil {
			err = closing
		}
	}
	return fault.Wrap(fault.Temporary, err, "syncing the snapshot directory "+dir)
}

func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
