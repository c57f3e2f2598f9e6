package snapshot

import (
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Export hands out a snapshot for another place: the manifest as a file, then
// every chunk file that it needs, each once, in the order of the manifest.
// Chunks are checked as they are read; memory is that of one.
func (s *Store) Export(m Manifest, manifest, chunk func(file []byte) error) error {
	if err := m.check(); err != nil {
		return s.naming(s.fs.PathJoin(s.dir, m.File), err)
	}
	if err := manifest(m.encode()); err != nil {
		return err
	}
	for _, ref := range m.distinct() {
		data, err := s.readChunk(ref)
		if err == nil {
			err = chunk(encodeChunk(data))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// distinct lists the chunks of m, each once.
func (m *Manifest) distinct() []chunkRef {
	var list []chunkRef
	seen := make(map[Hash]bool)
	for _, refs := range m.chunks {
		for _, ref := range refs {
			if !seen[ref.hash] {
				seen[ref.hash] = true
				list = append(list, ref)
			}
		}
	}
	return list
}

// Incoming is a snapshot on its way into a store. Create it with [Store.Import]
// or [CheckImport].
type Incoming struct {
	store    *Store // nil to check only
	manifest Manifest
	file     []byte
	missing  []chunkRef
}

// Import begins to take a snapshot that [Store.Export] handed out. It is there
// once Finish returns; before that the chunks are of no effect.
func (s *Store) Import(manifest []byte) (*Incoming, error) {
	in, err := CheckImport(manifest)
	if err == nil {
		in.store = s
	}
	return in, err
}

// CheckImport is [Store.Import] that stores nothing.
func CheckImport(manifest []byte) (*Incoming, error) {
	m, err := decodeManifest(manifest)
	if err != nil {
		return nil, err
	}
	return &Incoming{manifest: m, file: manifest, missing: m.distinct()}, nil
}

// Manifest returns what the snapshot is.
func (in *Incoming) Manifest() Manifest { return in.manifest }

// Chunk takes the next chunk file.
func (in *Incoming) Chunk(file []byte) error {
	if len(in.missing) == 0 {
		return fault.New(fault.Corrupt, "a chunk follows the last one of snapshot %s", in.manifest.File)
	}
	ref := in.missing[0]
	data, err := decodeChunk(file, ref.size, ref.hash)
	if err != nil {
		return err
	}
	in.missing = in.missing[1:]
	if in.store == nil {
		return nil
	}
	return in.store.ensureChunk(chunk{hash: ref.hash, data: data, entries: ref.entries})
}

// Finish makes the snapshot durable, after the last chunk.
func (in *Incoming) Finish() (Manifest, error) {
	if len(in.missing) > 0 {
		return Manifest{}, fault.New(fault.Corrupt, "%d chunks of snapshot %s are missing", len(in.missing), in.manifest.File)
	}
	s := in.store
	if s == nil {
		return in.manifest, nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.syncDir(s.chunkDir); err != nil {
		return Manifest{}, err
	}
	if err := s.writeFile(s.fs.PathJoin(s.dir, in.manifest.File), in.file); err != nil {
		return Manifest{}, err
	}
	return in.manifest, s.syncDir(s.dir)
}
