package chain

import (
	"bytes"
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// keepBelowFinalized is how many blocks below the finalised one stay in the
// state, as headers, for ranges and signatures that reach back.
const keepBelowFinalized = 4096

// State is what the chain actor knows: the tree of blocks above the finalised
// one, headers of a window below it, pointers, and what is under way. Its size
// is bounded by the window or the last two ranges that were finalised, whichever
// is longer, the blocks since, [maxCandidates] and [maxExecuting].
type State struct {
	pointers
	rules  *ruleset // derived from Config; nil until configured
	blocks *btree.BTreeG[*Entry]
	// heights holds (number, root) of every entry, for pruning and range walks.
	heights *btree.BTreeG[message.BlockID]
}

// pointers is the part of the state that is one record.
type pointers struct {
	Config    *message.NodeConfigured
	Genesis   common.Hash
	Head      message.BlockID
	Finalized message.BlockID
	LatestPow message.BlockID

	Candidates []Executing // stored blocks without a quorum
	Executing  []Executing // to be executed, oldest first
	Sent       uint64      // how many blocks the engine actor still has to answer for
	Work       []byte      // AuxPoW header that waits to be carried, MessagePack
	LastSlot   uint64      // the highest slot acted on
	Building   *Building
	Timer      core.Ref // the slot timer that counts
	Clock      clock
	Hold       *message.SigningHold // why nothing is signed, or nil
}

// ruleset is what the configuration means.
type ruleset struct {
	spec      *spec.Chain
	committee *aura.Committee
}

// Executing is a block that is to be executed, with its bytes.
type Executing struct {
	Root   common.Hash
	Signed record.Content
	// Fees is the accumulator that the block's source has recorded for it.
	HasFees bool
	Fees    []byte
}

// Fields implements record.Record.
func (e *Executing) Fields(f *record.Fields) {
	f.Fixed(1, e.Root[:])
	f.Content(2, &e.Signed)
	f.Bool(3, &e.HasFees)
	f.Bytes(4, &e.Fees)
}

// Building is the block being produced: first its payload, then its signature.
type Building struct {
	Slot      uint64
	Timestamp uint64 // Unix seconds
	Header    []byte // the AuxPoW header it carries, or empty
	Root      common.Hash
	Unsigned  []byte // MessagePack of the block once it waits for its signature
}

// Fields implements record.Record.
func (b *Building) Fields(f *record.Fields) {
	f.Uint64(1, &b.Slot)
	f.Uint64(2, &b.Timestamp)
	f.Bytes(3, &b.Header)
	f.Fixed(4, b.Root[:])
	f.Bytes(5, &b.Unsigned)
}

// Fields implements record.Record.
func (p *pointers) Fields(f *record.Fields) {
	record.Optional(f, 1, &p.Config)
	f.Fixed(2, p.Genesis[:])
	f.Fixed(3, p.Head.Root[:])
	f.Uint64(4, &p.Head.Number)
	f.Fixed(5, p.Finalized.Root[:])
	f.Uint64(6, &p.Finalized.Number)
	f.Fixed(7, p.LatestPow.Root[:])
	f.Uint64(8, &p.LatestPow.Number)
	record.List(f, 9, &p.Executing)
	f.Bytes(10, &p.Work)
	f.Uint64(11, &p.LastSlot)
	record.Optional(f, 12, &p.Building)
	f.Uint64(13, &p.Timer.Sequence)
	f.Uint32(14, &p.Timer.Index)
	f.Bool(15, &p.Clock.Based)
	f.Int64(16, &p.Clock.Base)
	f.Bool(17, &p.Clock.Stepped)
	record.List(f, 18, &p.Candidates)
	f.Uint64(19, &p.Sent)
	record.Optional(f, 20, &p.Hold)
}

// Status says how far a block has come.
type Status uint8

// The statuses of an entry.
const (
	Stored    Status = 1 // valid by structure, waits for its quorum
	InFlight  Status = 2 // the execution layer is at it
	Executed  Status = 3 // executed, not on the head's branch
	Connected Status = 4 // on the head's branch
	Invalid   Status = 5 // refused by the execution layer or by its fees
)

// Entry is one block of the tree. Entries are replaced, never changed.
type Entry struct {
	rules.Ancestor
	Timestamp uint64 // Unix seconds
	StateRoot common.Hash
	Status    Status
	Approvals aura.Approvals
	Fees      []byte      // accumulator after the block, wei, big endian; once executed
	Signed    common.Hash // content hash of the signed block; zero for genesis
	// Transactions is how many the payload has.
	Transactions uint32
}

// Fields implements record.Record.
func (e *Entry) Fields(f *record.Fields) {
	f.Fixed(1, e.Root[:])
	f.Fixed(2, e.Parent[:])
	f.Uint64(3, &e.Number)
	f.Uint64(4, &e.Slot)
	f.Uint64(5, &e.Timestamp)
	f.Fixed(6, e.PayloadHash[:])
	f.Fixed(7, e.StateRoot[:])
	f.Uint8(8, (*uint8)(&e.Status))
	f.Fixed(9, e.Approvals.Bits[:])
	f.Fixed(10, e.Approvals.Signature[:])
	f.Bytes(11, &e.Fees)
	f.Fixed(12, e.Proposal[:])
	record.Optional(f, 13, &e.Carrier)
	f.Fixed(14, e.LastCarrier[:])
	f.Fixed(15, e.Signed[:])
	f.Uint32(16, &e.Transactions)
	f.Bool(17, &e.NoRequests)
}

func (e *Entry) id() message.BlockID { return message.BlockID{Root: e.Root, Number: e.Number} }

func (e *Entry) fees() *big.Int { return new(big.Int).SetBytes(e.Fees) }

func (e *Entry) executed() bool { return e.Status == Executed || e.Status == Connected }

func newState() *State {
	return &State{
		blocks: btree.NewBTreeGOptions(func(a, b *Entry) bool { return bytes.Compare(a.Root[:], b.Root[:]) < 0 }, btree.Options{NoLocks: true}),
		heights: btree.NewBTreeGOptions(func(a, b message.BlockID) bool {
			return a.Number < b.Number || a.Number == b.Number && bytes.Compare(a.Root[:], b.Root[:]) < 0
		}, btree.Options{NoLocks: true}),
	}
}

// Clone implements core.State.
func (s *State) Clone() core.State {
	c := *s
	c.blocks, c.heights = s.blocks.Copy(), s.heights.Copy()
	c.Executing = s.Executing[:len(s.Executing):len(s.Executing)]
	c.Candidates = s.Candidates[:len(s.Candidates):len(s.Candidates)]
	return &c
}

// Entry returns the block with this root, or nil.
func (s *State) Entry(root common.Hash) *Entry {
	e, _ := s.blocks.Get(&Entry{Ancestor: rules.Ancestor{Root: root}})
	return e
}

// At returns the block of the head's branch at a height, or nil when there is
// none in the window that the state keeps.
func (s *State) At(number uint64) *Entry {
	var found *Entry
	s.heights.Ascend(message.BlockID{Number: number}, func(id message.BlockID) bool {
		if id.Number != number {
			return false
		}
		if e := s.Entry(id.Root); e.Status == Connected {
			found = e
			return false
		}
		return true
	})
	return found
}

// Spec returns the chain specification in force; nil before configuration.
func (s *State) Spec() *spec.Chain {
	if s.rules == nil {
		return nil
	}
	return s.rules.spec
}

// Len returns how many blocks the state holds.
func (s *State) Len() int { return s.blocks.Len() }

func (s *State) put(e *Entry) {
	s.blocks.Set(e)
	s.heights.Set(e.id())
}

func (s *State) remove(e *Entry) {
	s.blocks.Delete(e)
	s.heights.Delete(e.id())
}

// Snapshot keys: "" the pointers, 'b' with number (big endian) and root an entry.
const blockEntry byte = 'b'

func entryKey(id message.BlockID) []byte {
	key := binary.BigEndian.AppendUint64([]byte{blockEntry}, id.Number)
	return append(key, id.Root[:]...)
}

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(&s.pointers)
	if err := yield(nil, value); err != nil {
		return err
	}
	var err error
	s.heights.Scan(func(id message.BlockID) bool {
		value, _ := record.Encode(s.Entry(id.Root))
		err = yield(entryKey(id), value)
		return err == nil
	})
	return err
}

// Load implements core.State.
func (s *State) Load(key, value []byte, resolve record.Resolver) error {
	if len(key) == 0 {
		if err := record.Decode(value, &s.pointers, resolve); err != nil || s.Config == nil {
			return err
		}
		var err error
		s.rules, err = parseRules(s.Config)
		return err
	}
	e := new(Entry)
	if err := record.Decode(value, e, nil); err != nil {
		return err
	}
	if !bytes.Equal(key, entryKey(e.id())) {
		return fault.New(fault.Corrupt, "chain state: the entry under %x is block %s at %d", key, e.Root, e.Number)
	}
	s.put(e)
	return nil
}

func contentOf(e *Entry) record.Content { return record.Content{Hash: e.Signed} }
