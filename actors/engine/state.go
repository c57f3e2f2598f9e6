package engine

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// State is what the engine actor remembers.
type State struct {
	Batches  []Batch  // the first is being executed
	Attempts uint32   // tries of the first batch that ended in "cannot judge yet"
	Waiting  core.Ref // the timer before the next try
	Building *Building
	Executed uint64 // payloads with a verdict, for status
}

// Batch is a run of blocks to execute, oldest first.
type Batch struct {
	Blocks    []message.Block
	Finalized common.Hash // payload hash, zero for none
}

// Fields implements record.Record.
func (b *Batch) Fields(f *record.Fields) {
	record.List(f, 1, &b.Blocks)
	f.Fixed(2, b.Finalized[:])
}

// Building is the payload being built.
type Building struct {
	Slot   uint64
	Parent common.Hash // payload hash
	Effect core.Ref
}

// Fields implements record.Record.
func (b *Building) Fields(f *record.Fields) {
	f.Uint64(1, &b.Slot)
	f.Fixed(2, b.Parent[:])
	f.Uint64(3, &b.Effect.Sequence)
	f.Uint32(4, &b.Effect.Index)
}

// Fields implements record.Record.
func (s *State) Fields(f *record.Fields) {
	record.List(f, 1, &s.Batches)
	f.Uint32(2, &s.Attempts)
	f.Uint64(3, &s.Waiting.Sequence)
	f.Uint32(4, &s.Waiting.Index)
	record.Optional(f, 5, &s.Building)
	f.Uint64(6, &s.Executed)
}

// Clone implements core.State. Batches and Building are replaced, never changed
// in place, so sharing them is safe.
func (s *State) Clone() core.State {
	c := *s
	c.Batches = s.Batches[:len(s.Batches):len(s.Batches)]
	return &c
}

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	return yield(nil, value)
}

// Load implements core.State.
func (s *State) Load(key, value []byte, resolve record.Resolver) error {
	if len(key) != 0 {
		return fault.New(fault.Corrupt, "engine state has no entry %x", key)
	}
	return record.Decode(value, s, resolve)
}
