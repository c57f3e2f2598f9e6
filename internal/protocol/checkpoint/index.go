package checkpoint

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of what an index can name.
const (
	MaxParts = 16384
	MaxPart  = 64 << 20
	MaxTotal = 2 << 30
	MaxIndex = 2 << 20 // encoded, bytes
)

// Index names the parts of the state at a final block. Two nodes with the same blocks make
// the same bytes of it.
type Index struct {
	Number     uint64
	Root       common.Hash
	Behaviour  uint32   // of the states
	StatesRoot [32]byte // Merkle root over the digests of the states (docs/formats/snapshot.md)
	States     []State  // runs of entries of the actors' states, in their order
	Contents   []Part   // what the states refer to by hash, by hash
}

// State is a run of entries of an actor's state, in snapshot encoding.
type State struct {
	Actor string
	Part
}

// Part is bytes by their SHA-256.
type Part struct {
	Hash [32]byte
	Size uint32
}

// PartOf names bytes.
func PartOf(data []byte) Part { return Part{Hash: sha256.Sum256(data), Size: uint32(len(data))} }

// Is reports whether data are the bytes.
func (p *Part) Is(data []byte) bool { return *p == PartOf(data) }

// Fields implements record.Record.
func (p *Part) Fields(f *record.Fields) {
	f.Fixed(1, p.Hash[:])
	f.Uint32(2, &p.Size)
	p.bounded(f)
}

func (p *Part) bounded(f *record.Fields) {
	if f.Decoding() && (p.Size == 0 || p.Size > MaxPart) {
		f.Fail("a part of %d bytes, 1 to %d are due", p.Size, MaxPart)
	}
}

// Fields implements record.Record.
func (s *State) Fields(f *record.Fields) {
	f.Fixed(1, s.Hash[:])
	f.Uint32(2, &s.Size)
	f.String(3, &s.Actor)
	s.bounded(f)
	if f.Decoding() && len(s.Actor) > 32 {
		f.Fail("the name of an actor has %d bytes", len(s.Actor))
	}
}

// Fields implements record.Record.
func (x *Index) Fields(f *record.Fields) {
	f.Uint64(1, &x.Number)
	f.Fixed(2, x.Root[:])
	f.Uint32(3, &x.Behaviour)
	f.Fixed(4, x.StatesRoot[:])
	record.List(f, 5, &x.States)
	record.List(f, 6, &x.Contents)
}

// Parts returns all parts in their order, and how many bytes they have together.
func (x *Index) Parts() (list []Part, total uint64) {
	for i := range x.States {
		list = append(list, x.States[i].Part)
	}
	list = append(list, x.Contents...)
	for i := range list {
		total += uint64(list[i].Size)
	}
	return list, total
}

// EncodeIndex returns the bytes whose SHA-256 is stated. An index beyond the bounds is
// Invalid: no statement is made of it.
func EncodeIndex(x *Index) ([]byte, error) {
	data, _ := record.Encode(x)
	_, err := DecodeIndex(data)
	return data, err
}

// DecodeIndex reads an index. Errors have grade Invalid.
func DecodeIndex(data []byte) (*Index, error) {
	if len(data) > MaxIndex {
		return nil, fault.New(fault.Invalid, "checkpoint: an index of %d bytes, at most %d are read", len(data), MaxIndex)
	}
	x := new(Index)
	if err := record.Decode(data, x, nil); err != nil {
		return nil, err
	}
	list, total := x.Parts()
	if len(list) == 0 || len(list) > MaxParts || total > MaxTotal {
		return nil, fault.New(fault.Invalid, "checkpoint: an index of %d parts with %d bytes, at most %d parts and %d bytes are read", len(list), total, MaxParts, MaxTotal)
	}
	return x, nil
}
