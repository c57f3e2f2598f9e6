package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ErrNewerFormat is wrapped by errors about a file that a newer binary wrote.
// The error names the version; its grade is Invalid, for the file is not damaged.
var ErrNewerFormat = errors.New("format of the snapshot is newer than this binary")

func newerFormat(what string, version, known uint32) error {
	return fault.New(fault.Invalid, "%w: %s has version %d, known is %d; start the binary that wrote it, or remove the file to go without this snapshot",
		ErrNewerFormat, what, version, known)
}

// Position is a place in a journal.
type Position struct {
	Journal  [16]byte // identity of the journal
	Sequence uint64   // of the last event that the states include
	Hash     [32]byte // of the journal's chain at Sequence
	Rules
}

// Rules say which program can read the states. Version 1 of the format has
// none: both fields are zero.
type Rules struct {
	Behaviour   uint32 // version of the cores' rules
	Fingerprint Hash   // of the cores' messages and states
}

// Manifest describes one snapshot. Get it from [Store.Write], [Store.List] or
// [Store.Newest].
type Manifest struct {
	Position
	Sections []SectionDigest // sorted by name
	Root     Hash            // see Root
	File     string          // name inside the store's directory

	version uint32       // of the format it was read from or is written in
	chunks  [][]chunkRef // of each section
}

// Entries returns the number of entries over all sections.
func (m Manifest) Entries() (n uint64) {
	for _, s := range m.Sections {
		n += s.Entries
	}
	return n
}

// Bytes returns the uncompressed size of the states.
func (m Manifest) Bytes() (n uint64) {
	for _, s := range m.Sections {
		n += s.Bytes
	}
	return n
}

// Chunks returns the number of chunks that the snapshot refers to.
func (m Manifest) Chunks() int {
	n := 0
	for _, refs := range m.chunks {
		n += len(refs)
	}
	return n
}

// chunkRef names a chunk in a manifest.
type chunkRef struct {
	hash    Hash
	size    uint32 // uncompressed
	entries uint32
}

// Manifest file, integers big endian: magic, version, body, SHA-256 of all
// before it. See docs/formats/snapshot.md.
const (
	manifestMagic   = "ALYSSNAP"
	manifestVersion = 2
	manifestHeader  = 12
	manifestTrailer = sha256.Size
	chunkRefSize    = 32 + 4 + 4
	maxManifest     = 256 << 20 // more than 400 million entries
	manifestSuffix  = ".manifest"
)

func (m *Manifest) encode() []byte {
	b := append([]byte(nil), manifestMagic...)
	b = binary.BigEndian.AppendUint32(b, m.version)
	b = append(b, m.Journal[:]...)
	b = binary.BigEndian.AppendUint64(b, m.Sequence)
	b = append(b, m.Hash[:]...)
	if m.version > 1 {
		b = binary.BigEndian.AppendUint32(b, m.Behaviour)
		b = append(b, m.Fingerprint[:]...)
	}
	b = append(b, m.Root[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Sections)))
	for i, s := range m.Sections {
		b = append(b, byte(len(s.Name)))
		b = append(b, s.Name...)
		b = append(b, s.Digest[:]...)
		b = binary.BigEndian.AppendUint64(b, s.Entries)
		b = binary.BigEndian.AppendUint64(b, s.Bytes)
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.chunks[i])))
		for _, c := range m.chunks[i] {
			b = append(b, c.hash[:]...)
			b = binary.BigEndian.AppendUint32(b, c.size)
			b = binary.BigEndian.AppendUint32(b, c.entries)
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// manifestName is the name of the file with this content. It carries part of
// the checksum, so equal snapshots of one position have one name and different
// ones never overwrite each other.
func manifestName(sequence uint64, file []byte) string {
	return fmt.Sprintf("%020d-%x%s", sequence, file[len(file)-manifestTrailer:][:8], manifestSuffix)
}

// decodeManifest reads the content of a manifest file and checks everything
// that can be checked without the chunks.
func decodeManifest(file []byte) (Manifest, error) {
	var m Manifest
	if len(file) < manifestHeader+manifestTrailer || string(file[:8]) != manifestMagic {
		return m, fault.New(fault.Corrupt, "not a snapshot manifest (%d bytes)", len(file))
	}
	body := len(file) - manifestTrailer
	if sum := sha256.Sum256(file[:body]); !bytes.Equal(sum[:], file[body:]) {
		return m, fault.New(fault.Corrupt, "checksum of the snapshot manifest is %x, the file says %x", sum[:8], file[body:body+8])
	}
	// The checksum stands last in every version, so a damaged version number is
	// told from a newer format.
	m.version = binary.BigEndian.Uint32(file[8:])
	switch {
	case m.version > manifestVersion:
		return m, newerFormat("manifest", m.version, manifestVersion)
	case m.version == 0:
		return m, fault.New(fault.Corrupt, "snapshot manifest has version 0")
	}
	d := reader{data: file[manifestHeader:body]}
	copy(m.Journal[:], d.next(16))
	m.Sequence = d.uint64()
	copy(m.Hash[:], d.next(32))
	if m.version > 1 {
		m.Behaviour = d.uint32()
		copy(m.Fingerprint[:], d.next(32))
	}
	copy(m.Root[:], d.next(32))
	for count := d.uint32(); count > 0 && !d.short; count-- {
		section, refs := d.section()
		m.Sections, m.chunks = append(m.Sections, section), append(m.chunks, refs)
	}
	if d.short || len(d.data) > 0 {
		return Manifest{}, fault.New(fault.Corrupt, "snapshot manifest of sequence %d does not end where its counts say", m.Sequence)
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	m.File = manifestName(m.Sequence, file)
	return m, nil
}

// check compares names, digests, counts and root with the list of chunks.
func (m *Manifest) check() error {
	if len(m.chunks) != len(m.Sections) {
		return fault.New(fault.Corrupt, "snapshot manifest of sequence %d has %d sections and chunks of %d", m.Sequence, len(m.Sections), len(m.chunks))
	}
	for i, s := range m.Sections {
		if len(s.Name) == 0 || len(s.Name) > MaxName || i > 0 && m.Sections[i-1].Name >= s.Name {
			return fault.New(fault.Corrupt, "snapshot manifest of sequence %d: section name %.40q is empty, too long or out of order", m.Sequence, s.Name)
		}
		var tree merkle
		var entries, size uint64
		for _, c := range m.chunks[i] {
			if c.size > maxChunk || c.entries == 0 || c.entries > chunkEntries {
				return fault.New(fault.Corrupt, "snapshot manifest of sequence %d, section %q: chunk %s has %d bytes and %d entries",
					m.Sequence, s.Name, c.hash, c.size, c.entries)
			}
			tree.add(c.hash)
			entries += uint64(c.entries)
			size += uint64(c.size)
		}
		if root := tree.root(); root != s.Digest || entries != s.Entries || size != s.Bytes {
			return fault.New(fault.Corrupt, "snapshot manifest of sequence %d, section %q: chunks give digest %s, %d entries, %d bytes; it says %s, %d, %d",
				m.Sequence, s.Name, root, entries, size, s.Digest, s.Entries, s.Bytes)
		}
	}
	if root := Root(m.Sections); root != m.Root {
		return fault.New(fault.Corrupt, "snapshot manifest of sequence %d: sections give root %s, it says %s", m.Sequence, root, m.Root)
	}
	return nil
}

// reader takes fixed-size fields off data; short says that there was too little.
type reader struct {
	data  []byte
	short bool
}

func (r *reader) next(n int) []byte {
	if r.short || n > len(r.data) {
		r.short = true
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) uint32() uint32 {
	if b := r.next(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.next(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) section() (SectionDigest, []chunkRef) {
	var s SectionDigest
	if b := r.next(1); b != nil {
		s.Name = string(r.next(int(b[0])))
	}
	copy(s.Digest[:], r.next(32))
	s.Entries, s.Bytes = r.uint64(), r.uint64()
	count := uint64(r.uint32())
	if r.short || count*chunkRefSize > uint64(len(r.data)) {
		r.short = true
		return s, nil
	}
	refs := make([]chunkRef, count)
	for i := range refs {
		copy(refs[i].hash[:], r.next(32))
		refs[i].size, refs[i].entries = r.uint32(), r.uint32()
	}
	return s, refs
}

// name returns the file name of the chunk, relative to the chunk directory.
func (h Hash) chunkName() string { return hex.EncodeToString(h[:]) + chunkSuffix }

const chunkSuffix = ".chunk"
