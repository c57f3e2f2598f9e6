package chain

import (
	"bytes"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// keepBelowFinalized is how many blocks below the finalised one stay in the
// state, as headers, for ranges and signatures that reach back.
const keepBelowFinalized = 4096

// State is what the chain actor knows: the tree of blocks above the finalised
// one, headers of a window below it, pointers, and what is under way. Its size
// is bounded by the window or the last two ranges that were finalised, whichever
// is longer, the blocks since, [maxExecuting], and of what members alone can
// make: [maxStored] and [maxStoredBytes] blocks that wait in the tree, [maxAside]
// executed ones off the head's branch, [maxOrphans] and [maxOrphanBytes] blocks
// without their parent, [maxEarly] approvals a member without their block, and
// [maxSingles] signatures of each one by one.
type State struct {
	pointers
	rules *ruleset // derived from Config; nil until configured
	tree
	orphans
	early
	vows
	singles
}

// pointers is the part of the state that is one record.
type pointers struct {
	Config    *message.NodeConfigured
	Genesis   common.Hash
	Head      message.BlockID
	Finalized message.BlockID
	LatestPow message.BlockID

	Executing []Executing // to be executed, oldest first
	Sent      uint64      // how many blocks the engine actor still has to answer for
	Work      []byte      // AuxPoW header that waits to be carried, MessagePack
	LastSlot  uint64      // the highest slot acted on
	Building  *Building
	Timer     core.Ref // the slot timer that counts
	Clock     clock
	Hold      *message.SigningHold // why nothing is signed, or nil

	Arrivals uint64 // counts what arrives and what reaches its quorum
	// Finalizer is the carrier that made Finalized final; zero for genesis, after
	// an operator's decision, and in states of behaviour 1.
	Finalizer common.Hash
	Fetches   []Fetch // missing blocks that were asked for, oldest first
	Deciding  *Decision
	Conflict  *message.FinalityConflict // ends everything

	// SlotFloor: this member approves no block of a slot up to it.
	SlotFloor uint64
	// BlindSlot: what this member approved up to it was in turns that are lost.
	BlindSlot  uint64
	Recipients []Recipient // of ranges seen, oldest first
	Undecided  []Undecided // blocks that may yet be approved, oldest first
	// Kept is the block whose branch an operator has this member keep to until
	// finality passes it, or nothing.
	Kept message.BlockID
	// Followed: the bridge actor knows the head and what it stands on.
	Followed bool
	// Gate is what production waits for while this node talks to others.
	Gate Gate
	// ToldSync is what the sync actor was told last.
	ToldSync Followed

	candidates []Executing // stored blocks in states of behaviour 1, see [FromBehaviour1]
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

// Building is the block being produced: first the peg's part is planned, then its payload
// is built, then the bridge judges it as any other, then it is signed.
type Building struct {
	Slot      uint64
	Timestamp uint64 // Unix seconds
	Header    []byte // the AuxPoW header it carries, or empty
	Root      common.Hash
	Unsigned  []byte // MessagePack of the block once it is composed
	Planning  bool   // the bridge plans
	Judging   bool   // the bridge judges
	PegIns    []message.DepositID
	Proposal  []byte
	Payouts   []message.RawTransaction
}

// Fields implements record.Record.
func (b *Building) Fields(f *record.Fields) {
	f.Uint64(1, &b.Slot)
	f.Uint64(2, &b.Timestamp)
	f.Bytes(3, &b.Header)
	f.Fixed(4, b.Root[:])
	f.Bytes(5, &b.Unsigned)
	f.Bool(6, &b.Planning)
	f.Bool(7, &b.Judging)
	record.List(f, 8, &b.PegIns)
	f.Bytes(9, &b.Proposal)
	record.List(f, 10, &b.Payouts)
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
	record.List(f, 18, &p.candidates)
	f.Uint64(19, &p.Sent)
	record.Optional(f, 20, &p.Hold)
	f.Uint64(21, &p.Arrivals)
	f.Fixed(22, p.Finalizer[:])
	record.List(f, 23, &p.Fetches)
	record.Optional(f, 24, &p.Deciding)
	record.Optional(f, 25, &p.Conflict)
	f.Uint64(26, &p.SlotFloor)
	f.Uint64(27, &p.BlindSlot)
	record.List(f, 28, &p.Recipients)
	record.List(f, 29, &p.Undecided)
	f.Fixed(30, p.Kept.Root[:])
	f.Uint64(31, &p.Kept.Number)
	f.Bool(32, &p.Followed)
	p.Gate.fields(f, 60)
	f.Fixed(90, p.ToldSync.Head.Root[:])
	f.Uint64(91, &p.ToldSync.Head.Number)
	f.Fixed(92, p.ToldSync.Finalized.Root[:])
	f.Uint64(93, &p.ToldSync.Finalized.Number)
	f.Uint32(94, &p.ToldSync.Backlog)
	f.Bool(95, &p.ToldSync.Synced)
}

func newState() *State {
	return &State{tree: newTree(), orphans: newOrphans(), early: newEarly(), vows: newVows(), singles: newSingles()}
}

// Clone implements core.State.
func (s *State) Clone() core.State {
	c := *s
	c.tree, c.orphans, c.early, c.vows, c.singles = s.tree.copy(), s.orphans.copy(), s.early.copy(), s.vows.copy(), s.singles.copy()
	c.Executing = s.Executing[:len(s.Executing):len(s.Executing)]
	c.Fetches = s.Fetches[:len(s.Fetches):len(s.Fetches)]
	c.Recipients = s.Recipients[:len(s.Recipients):len(s.Recipients)]
	c.Undecided = s.Undecided[:len(s.Undecided):len(s.Undecided)]
	c.Gate.Members = s.Gate.Members[:len(s.Gate.Members):len(s.Gate.Members)]
	return &c
}

// Spec returns the chain specification in force; nil before configuration.
func (s *State) Spec() *spec.Chain {
	if s.rules == nil {
		return nil
	}
	return s.rules.spec
}

// Snapshot keys: "" the pointers, 'a' with root and member an approval whose block
// is not known, 'b' with number (big endian) and root a block of the tree, 'o' with
// root a block whose parent is not known, 'v' with member, slot (big endian) and root a
// signature over a block of the tree; vows.go has the others.
const (
	earlyEntry  byte = 'a'
	blockEntry  byte = 'b'
	orphanEntry byte = 'o'
	singleEntry byte = 'v'
)

func entryKey(id message.BlockID) []byte {
	key := binary.BigEndian.AppendUint64([]byte{blockEntry}, id.Number)
	return append(key, id.Root[:]...)
}

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	entry := func(key []byte, r record.Record) error {
		value, _ := record.Encode(r)
		return yield(key, value)
	}
	err := entry(nil, &s.pointers)
	s.early.byRoot.Scan(func(a *Early) bool {
		if err == nil {
			err = entry(a.key(), a)
		}
		return err == nil
	})
	s.heights.Scan(func(id message.BlockID) bool {
		if err == nil {
			err = entry(entryKey(id), s.Entry(id.Root))
		}
		return err == nil
	})
	if err == nil {
		err = s.walkLocks(entry)
	}
	s.orphans.byRoot.Scan(func(o *Orphan) bool {
		if err == nil {
			err = entry(o.key(), o)
		}
		return err == nil
	})
	if err == nil {
		err = s.walkRest(entry)
	}
	s.singles.byMember.Scan(func(one *Single) bool {
		if err == nil {
			err = entry(one.key(), one)
		}
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
	var (
		canonical []byte
		err       error
	)
	switch key[0] {
	case earlyEntry:
		a := new(Early)
		err = record.Decode(value, a, resolve)
		canonical = a.key()
		if int(a.Authority) >= aura.MaxAuthorities {
			return fault.New(fault.Corrupt, "chain state: an approval of %s by authority %d", a.Root, a.Authority)
		}
		s.early.put(a)
	case orphanEntry:
		o := new(Orphan)
		err = record.Decode(value, o, resolve)
		canonical = o.key()
		s.orphans.put(o)
	case lockEntry:
		canonical, err = s.loadLock(value)
	case promiseEntry:
		canonical, err = s.loadPromise(value)
	case voteEntry:
		canonical, err = s.loadVote(value)
	case singleEntry:
		canonical, err = s.loadSingle(value)
	default:
		e := new(Entry)
		err = record.Decode(value, e, resolve)
		canonical = entryKey(e.id())
		if err == nil {
			s.put(e)
		}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(key, canonical) {
		return fault.New(fault.Corrupt, "chain state: the entry under %x has the key %x", key, canonical)
	}
	return nil
}
