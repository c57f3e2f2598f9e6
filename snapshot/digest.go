package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Hash is a SHA-256 in the order in which the hash function gives it.
type Hash [32]byte

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Section is one part of the state, for example one actor's.
type Section struct {
	// Name is 1 to MaxName bytes, unique in a snapshot.
	Name string
	// Walk calls yield for each entry, keys strictly ascending in byte order, and
	// returns yield's error at once. The slices are not kept after yield returns.
	// Walks of different sections run at the same time.
	Walk func(yield func(key, value []byte) error) error
}

// SectionDigest is what the state of a section hashes to.
type SectionDigest struct {
	Name    string
	Digest  Hash
	Entries uint64 // number of entries
	Bytes   uint64 // of their canonical encoding, uncompressed
}

// Digest returns the Merkle root over the canonical chunks of s. A section
// without entries has the SHA-256 of no bytes. An entry that breaks the order
// or the limits of size is a Fatal error: the state cannot be stored.
func Digest(s Section) (Hash, error) {
	d, err := digestSection(s)
	return d.Digest, err
}

func digestSection(s Section) (SectionDigest, error) {
	d := SectionDigest{Name: s.Name}
	var tree merkle
	err := eachChunk(s, func(c chunk) error {
		tree.add(c.hash)
		d.Entries += uint64(c.entries)
		d.Bytes += uint64(len(c.data))
		return nil
	})
	d.Digest = tree.root()
	return d, err
}

// Digests returns the digest of each section, sorted by name. Sections are
// walked in parallel. A name that is not allowed or comes twice is a Fatal error.
func Digests(sections []Section) ([]SectionDigest, error) {
	sections, err := sorted(sections)
	if err != nil {
		return nil, err
	}
	digests := make([]SectionDigest, len(sections))
	err = parallel(len(sections), func(i int) error {
		var err error
		digests[i], err = digestSection(sections[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	return digests, nil
}

// Root binds digests to one hash: the Merkle root over their encodings, in the
// order of their names whatever the order of the argument.
func Root(digests []SectionDigest) Hash {
	digests = slices.Clone(digests)
	slices.SortFunc(digests, func(a, b SectionDigest) int { return strings.Compare(a.Name, b.Name) })
	var tree merkle
	var leaf []byte
	for _, d := range digests {
		leaf = append(leaf[:0], sectionLeaf)
		leaf = binary.BigEndian.AppendUint32(leaf, uint32(len(d.Name)))
		leaf = append(leaf, d.Name...)
		leaf = append(leaf, d.Digest[:]...)
		leaf = binary.BigEndian.AppendUint64(leaf, d.Entries)
		leaf = binary.BigEndian.AppendUint64(leaf, d.Bytes)
		tree.add(sha256.Sum256(leaf))
	}
	return tree.root()
}

// sorted returns the sections in the order of their names, or an error for a
// name that cannot be stored.
func sorted(sections []Section) ([]Section, error) {
	sections = slices.Clone(sections)
	slices.SortFunc(sections, func(a, b Section) int { return strings.Compare(a.Name, b.Name) })
	for i, s := range sections {
		if len(s.Name) == 0 || len(s.Name) > MaxName {
			return nil, fault.New(fault.Fatal, "snapshot section name %.40q has %d bytes, allowed are 1 to %d", s.Name, len(s.Name), MaxName)
		}
		if i > 0 && sections[i-1].Name == s.Name {
			return nil, fault.New(fault.Fatal, "snapshot has two sections with the name %q", s.Name)
		}
	}
	return sections, nil
}

// parallel runs do(0) to do(n-1) on as many goroutines as there are processors
// and returns the error of the lowest index, so that the error too is the same
// in every run.
func parallel(n int, do func(i int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// eachChunk walks s and gives every chunk to yield; the data of a chunk is
// valid until yield returns.
func eachChunk(s Section, yield func(chunk) error) error {
	var (
		cut     cutter
		last    []byte
		data    []byte
		entries uint32
	)
	err := s.Walk(func(key, value []byte) error {
		if len(key) > MaxKey || len(value) > MaxValue {
			return fault.New(fault.Fatal, "snapshot section %q: entry %s has a key of %d and a value of %d bytes, allowed are %d and %d",
				s.Name, abbreviate(key), len(key), len(value), MaxKey, MaxValue)
		}
		first := entries == 0
		if cut.before(key, value) && !first {
			if err := yield(newChunk(data, entries)); err != nil {
				return err
			}
			data, entries = data[:0], 0
		}
		// The last key outlives its chunk: order holds over the whole section.
		if cut.seen > 1 && bytes.Compare(key, last) <= 0 {
			return fault.New(fault.Fatal, "snapshot section %q: key %s follows key %s, keys must ascend", s.Name, abbreviate(key), abbreviate(last))
		}
		last = append(last[:0], key...)
		data = appendEntry(data, key, value)
		entries++
		return nil
	})
	if err != nil {
		return fmt.Errorf("walking snapshot section %q: %w", s.Name, err)
	}
	if entries > 0 {
		return yield(newChunk(data, entries))
	}
	return nil
}

// abbreviate shows at most 32 bytes of a key.
func abbreviate(key []byte) string {
	if len(key) > 32 {
		return hex.EncodeToString(key[:32]) + "..."
	}
	return `"` + hex.EncodeToString(key) + `"`
}
