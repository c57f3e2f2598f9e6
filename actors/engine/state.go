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

	Wanted       *Forkchoice // the newest that the chain actor asked for
	Asked        *Asked      // what the execution layer is being told
	Known        *Forkchoice // what it acknowledged last in this run
	MoveAttempts uint32      // tries of Wanted that were not acknowledged
	MoveWaiting  core.Ref    // the timer before the next try
	Refused      common.Hash // the head that was last refused as invalid
}

// Forkchoice is a head and the finalised block below it, by payload hash.
type Forkchoice struct {
	Head      common.Hash
	Finalized common.Hash // zero for none
}

// Fields implements record.Record.
func (c *Forkchoice) Fields(f *record.Fields) {
	f.Fixed(1, c.Head[:])
	f.Fixed(2, c.Finalized[:])
}

// Asked is a forkchoice that waits for its answer.
type Asked struct {
	Forkchoice
	Effect core.Ref
}

// Fields implements record.Record.
func (a *Asked) Fields(f *record.Fields) {
	a.Forkchoice.Fields(f)
	f.Uint64(3, &a.Effect.Sequence)
	f.Uint32(4, &a.Effect.Index)
}

// Batch is a run of blocks to execute, oldest first.
type Batch struct {
	Blocks    []message.Block
	Finalized common.Hash // of behaviour 1, whose imports moved the head
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
	record.Optional(f, 7, &s.Wanted)
	record.Optional(f, 8, &s.Asked)
	record.Optional(f, 9, &s.Known)
	f.Uint32(10, &s.MoveAttempts)
	f.Uint64(11, &s.MoveWaiting.Sequence)
	f.Uint32(12, &s.MoveWaiting.Index)
	f.Fixed(13, s.Refused[:])
}

// Clone implements core.State. What the pointers and Batches lead to is replaced,
// never changed in place, so sharing it is safe.
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
