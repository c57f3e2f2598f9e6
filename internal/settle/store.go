package settle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Files of a store: DIR/<height, 20 digits>/ with the statement, the index and the parts. The
// statement is written last: a directory without it is not offered.
const (
	statementFile = "statements"
	indexFile     = "index"
	partSuffix    = ".part"
	keepStates    = 2
)

// Store keeps the newest states that a node has settled, in files.
type Store struct {
	dir string

	mu     sync.Mutex
	states []kept // the highest first
}

type kept struct {
	dir    string
	stated checkpoint.Statements // one; with authority and signature of a member
	index  checkpoint.Part
	parts  map[[32]byte]uint32 // size by hash
}

// OpenStore opens a directory, which is made by the first Keep. What is damaged in it is
// not offered.
func OpenStore(dir string) (*Store, error) {
	s := &Store{dir: dir}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Wrap(fault.Fatal, err, "settled states")
	}
	for _, e := range slices.Backward(entries) { // by name, so by height
		if k, err := readKept(filepath.Join(dir, e.Name())); err == nil {
			s.states = append(s.states, k)
		}
	}
	return s, nil
}

func readKept(dir string) (k kept, err error) {
	k.dir, k.parts = dir, map[[32]byte]uint32{}
	data, err := os.ReadFile(filepath.Join(dir, statementFile))
	if err != nil {
		return k, err
	}
	if err := record.Decode(data, &k.stated, nil); err != nil || len(k.stated.List) != 1 {
		return k, fault.New(fault.Corrupt, "%s does not hold one statement: %w", dir, err)
	}
	encoded, err := os.ReadFile(filepath.Join(dir, indexFile))
	if err != nil {
		return k, err
	}
	k.index = checkpoint.PartOf(encoded)
	x, err := checkpoint.DecodeIndex(encoded)
	if err != nil || k.index.Hash != k.stated.List[0].Index {
		return k, fault.New(fault.Corrupt, "the index in %s is not the one stated: %w", dir, err)
	}
	parts, _ := x.Parts()
	for _, p := range parts {
		k.parts[p.Hash] = p.Size
	}
	return k, nil
}

// Newest returns the height of the newest state, 0 for none.
func (s *Store) Newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return 0
	}
	return s.states[0].stated.List[0].Number
}

// Keep writes a state with what this node states of it, and forgets the oldest. A node that
// is no member keeps a statement without a signature, which is not given to others.
func (s *Store) Keep(m *Made, statement checkpoint.Statement) error {
	dir := filepath.Join(s.dir, fmt.Sprintf("%020d", m.Claim.Number))
	if err := write(dir, m, statement); err != nil {
		return fault.Wrap(fault.Temporary, err, "keeping the state at a block")
	}
	k, err := readKept(dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = slices.DeleteFunc(s.states, func(o kept) bool { return o.dir == dir })
	s.states = append([]kept{k}, s.states...)
	for len(s.states) > keepStates {
		last := s.states[len(s.states)-1]
		s.states = s.states[:len(s.states)-1]
		if err := os.RemoveAll(last.dir); err != nil {
			return fault.Wrap(fault.Temporary, err, "removing the oldest settled state")
		}
	}
	return nil
}

func write(dir string, m *Made, statement checkpoint.Statement) error {
	if err := os.RemoveAll(dir); err != nil { // left by one that was interrupted
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for hash, data := range m.Parts {
		if err := writeFile(filepath.Join(dir, partName(hash)), data); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, indexFile), m.Index); err != nil {
		return err
	}
	stated, _ := record.Encode(&checkpoint.Statements{List: []checkpoint.Statement{statement}})
	return writeFile(filepath.Join(dir, statementFile), stated)
}

func partName(hash [32]byte) string { return hex.EncodeToString(hash[:]) + partSuffix }

// writeFile has the file there whole or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// Statements returns what this node states, the highest first; none of a node that is no member.
func (s *Store) Statements() (list []checkpoint.Statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.states {
		if st := k.stated.List[0]; !st.Signature.None() {
			list = append(list, st)
		}
	}
	return list
}

// Piece returns bytes of an index or a part of a state that is offered. Invalid: it is none
// of these, or the offset is beyond its end.
func (s *Store) Piece(hash [32]byte, offset uint32) (*checkpoint.Piece, error) {
	path, size, err := s.find(hash)
	if err != nil {
		return nil, err
	}
	if offset >= size {
		return nil, fault.New(fault.Invalid, "part %x has %d bytes, asked for are those from %d", hash[:8], size, offset)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "part of a settled state")
	}
	defer f.Close()
	p := &checkpoint.Piece{Size: size, Data: make([]byte, min(size-offset, checkpoint.MaxPiece))}
	if _, err := f.ReadAt(p.Data, int64(offset)); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "part of a settled state")
	}
	return p, nil
}

func (s *Store) find(hash [32]byte) (path string, size uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.states {
		if k.index.Hash == hash {
			return filepath.Join(k.dir, indexFile), k.index.Size, nil
		}
		if size, ok := k.parts[hash]; ok {
			return filepath.Join(k.dir, partName(hash)), size, nil
		}
	}
	return "", 0, fault.New(fault.Invalid, "part %x is not offered", hash[:8])
}

// Answer answers a request for statements or parts; nil for other requests.
func (s *Store) Answer(m checkpoint.Message) checkpoint.Message {
	switch m := m.(type) {
	case *checkpoint.AskStatements:
		return &checkpoint.Statements{List: s.Statements()}
	case *checkpoint.AskPart:
		p, err := s.Piece(m.Hash, m.Offset)
		if err != nil {
			return &checkpoint.Refusal{Reason: err.Error()}
		}
		return p
	}
	return nil
}
