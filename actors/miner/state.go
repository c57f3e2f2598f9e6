package miner

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const (
	// maxTemplates bounds the work handed out and not yet stale; the oldest goes first.
	maxTemplates = 64
	// maxStale bounds the hashes of work that is remembered as stale.
	maxStale = 128
)

// State is what the miner actor remembers.
type State struct {
	pointers
	spec *spec.Chain // derived from Spec; nil until configured
	// open holds the blocks after the finalised one, by height.
	open *btree.Map[uint64, common.Hash]
}

type pointers struct {
	Spec       record.Content
	Finalized  message.BlockID
	LatestPow  message.BlockID
	LatestBits uint32
	QueuedEnd  common.Hash // range end of the proof that waits to be carried
	Templates  []Template  // oldest first, one for each range
	Stale      []Stale     // work whose range cannot be carried any more, oldest first
}

// Template is work that was handed out.
type Template struct {
	Hash       [32]byte // commitment, internal order
	RangeStart common.Hash
	RangeEnd   common.Hash
	Height     uint64
	Recipient  common.Address // of who asked first
	Bits       uint32         // when it was handed out first
}

// Stale is the commitment of work that is not to be solved any more.
type Stale struct{ Hash [32]byte }

// Fields implements record.Record.
func (t *Stale) Fields(f *record.Fields) { f.Fixed(1, t.Hash[:]) }

// Fields implements record.Record.
func (t *Template) Fields(f *record.Fields) {
	f.Fixed(1, t.Hash[:])
	f.Fixed(2, t.RangeStart[:])
	f.Fixed(3, t.RangeEnd[:])
	f.Uint64(4, &t.Height)
	f.Fixed(5, t.Recipient[:])
	f.Uint32(6, &t.Bits)
}

// Fields implements record.Record.
func (p *pointers) Fields(f *record.Fields) {
	f.Content(1, &p.Spec)
	f.Fixed(2, p.Finalized.Root[:])
	f.Uint64(3, &p.Finalized.Number)
	f.Fixed(4, p.LatestPow.Root[:])
	f.Uint64(5, &p.LatestPow.Number)
	f.Uint32(6, &p.LatestBits)
	f.Fixed(7, p.QueuedEnd[:])
	record.List(f, 8, &p.Templates)
	record.List(f, 9, &p.Stale)
}

func newState() *State { return &State{open: new(btree.Map[uint64, common.Hash])} }

// Clone implements core.State.
func (s *State) Clone() core.State {
	c := *s
	c.open = s.open.Copy()
	c.Templates = s.Templates[:len(s.Templates):len(s.Templates)]
	c.Stale = s.Stale[:len(s.Stale):len(s.Stale)]
	return &c
}

// Walk implements core.State: key "" is the pointers, a height (big endian) an
// open block.
func (s *State) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(&s.pointers)
	if err := yield(nil, value); err != nil {
		return err
	}
	var err error
	s.open.Scan(func(number uint64, root common.Hash) bool {
		err = yield(binary.BigEndian.AppendUint64(nil, number), root[:])
		return err == nil
	})
	return err
}

// Load implements core.State.
func (s *State) Load(key, value []byte, resolve record.Resolver) error {
	switch {
	case len(key) == 8 && len(value) == common.HashLength:
		s.open.Set(binary.BigEndian.Uint64(key), common.BytesToHash(value))
		return nil
	case len(key) != 0:
		return fault.New(fault.Corrupt, "miner state has no entry %x", key)
	}
	if err := record.Decode(value, &s.pointers, resolve); err != nil || s.Spec.None() {
		return err
	}
	var err error
	s.spec, _, err = spec.Parse(s.Spec.Data)
	return err
}
