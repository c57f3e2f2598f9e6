package chain

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// The bounds of signatures that are kept one by one: of one member, of one member in one
// slot (two prove that it signed two blocks of it), and how many slots ahead of the clock.
const (
	maxSingles       = 128
	maxSinglesInSlot = 2
	maxSlotsAhead    = 4
)

// Single is the signature of one member over a block of the tree. An aggregate cannot be
// taken apart, so that two copies of a block that overlap cannot be put together without it.
type Single struct {
	Authority uint8
	Slot      uint64 // of the block
	Root      common.Hash
	Signature aura.Signature
}

// Fields implements record.Record.
func (s *Single) Fields(f *record.Fields) {
	f.Uint8(1, &s.Authority)
	f.Uint64(2, &s.Slot)
	f.Fixed(3, s.Root[:])
	f.Fixed(4, s.Signature[:])
}

func (s *Single) key() []byte {
	key := binary.BigEndian.AppendUint64([]byte{singleEntry, s.Authority}, s.Slot)
	return append(key, s.Root[:]...)
}

func (s *Single) approval() aura.Approval {
	return aura.Approval{Signature: s.Signature, Authority: s.Authority}
}

// singles keeps signatures by member, slot and root.
type singles struct {
	byMember *btree.BTreeG[*Single]
	each     [aura.MaxAuthorities]int
}

func newSingles() singles {
	return singles{byMember: btree.NewBTreeGOptions(func(a, b *Single) bool {
		return cmp.Or(cmp.Compare(a.Authority, b.Authority), cmp.Compare(a.Slot, b.Slot), bytes.Compare(a.Root[:], b.Root[:])) < 0
	}, btree.Options{NoLocks: true})}
}

func (s *singles) copy() singles { return singles{byMember: s.byMember.Copy(), each: s.each} }

func (s *singles) put(one *Single) {
	if _, had := s.byMember.Set(one); !had {
		s.each[one.Authority]++
	}
}

// oldest returns a member's signature over the lowest slot, or nil.
func (s *singles) oldest(authority uint8) (first *Single) {
	s.byMember.Ascend(&Single{Authority: authority}, func(one *Single) bool {
		if one.Authority == authority {
			first = one
		}
		return false
	})
	return first
}

// inSlot returns what a member signed in a slot, by root.
func (s *singles) inSlot(authority uint8, slot uint64) (list []*Single) {
	s.byMember.Ascend(&Single{Authority: authority, Slot: slot}, func(one *Single) bool {
		same := one.Authority == authority && one.Slot == slot
		if same {
			list = append(list, one)
		}
		return same
	})
	return list
}

// newest returns a member's signature over the highest slot up to one, or nil.
func (s *singles) newest(authority uint8, slot uint64) (last *Single) {
	upper := &Single{Authority: authority, Slot: slot + 1}
	s.byMember.Descend(upper, func(one *Single) bool {
		if one.Authority == authority && one.Slot <= slot {
			last = one
		}
		return last == nil && one.Authority == authority
	})
	return last
}

// Singles returns the signatures over a block of the tree that are known one by one, by
// member: what a peer that lacks some of them can be given.
func (s *State) Singles(root common.Hash) (list []aura.Approval) {
	e := s.Entry(root)
	if e == nil {
		return nil
	}
	for a := range aura.MaxAuthorities {
		if one, ok := s.singles.byMember.Get(&Single{Authority: uint8(a), Slot: e.Slot, Root: root}); ok {
			list = append(list, one.approval())
		}
	}
	return list
}

// overlap returns the approvals of another copy of a block with those that are known one by
// one and that it lacks, when that is more than we have. The single approval of a copy is
// kept one by one itself.
func (x *turn) overlap(e *Entry, ours, other aura.Approvals) aura.Approvals {
	if !x.Config.Peers {
		return ours
	}
	n := len(x.rules.spec.Authorities)
	if single, ok := only(other); ok {
		if int(single.Authority) < n && x.work.VerifyApproval(x.rules.committee, single, e.Root) == nil {
			x.heard(e, single)
		}
		return ours
	}
	lacks := 0
	singles := x.Singles(e.Root)
	for _, single := range singles {
		if !other.Has(int(single.Authority)) {
			lacks++
		}
	}
	if other.CountReal(n)+lacks <= ours.CountReal(n) || x.work.Verify(x.rules.committee, other, e.Root) != nil {
		return ours
	}
	for _, single := range singles {
		if sum := other; !other.Has(int(single.Authority)) && x.work.Add(&sum, single) == nil {
			other = sum
		}
	}
	return other
}

// heard keeps a verified signature over a block of the tree, and tells of a member that
// signed two blocks of one slot. What is older than all that is kept of a member is not
// kept, so that nobody's flood hides what it signs now, nor anything of others.
func (x *turn) heard(e *Entry, a aura.Approval) {
	if !x.Config.Peers || e.Slot > x.slotAt(x.Time)+maxSlotsAhead {
		return
	}
	one := &Single{Authority: a.Authority, Slot: e.Slot, Root: e.Root, Signature: a.Signature}
	same := x.singles.inSlot(a.Authority, e.Slot)
	for _, other := range same {
		if other.Root == e.Root {
			return
		}
	}
	if len(same) >= maxSinglesInSlot {
		return
	}
	if x.singles.each[a.Authority] >= maxSingles {
		oldest := x.singles.oldest(a.Authority)
		if one.Slot <= oldest.Slot {
			return
		}
		x.singles.byMember.Delete(oldest)
		x.singles.each[a.Authority]--
	}
	x.singles.put(one)
	for _, other := range same {
		x.equivocated(other, one)
	}
}

// equivocated tells of two blocks of one slot that a member signed. (consensus.md C5;
// internal/protocol/evidence checks it)
func (x *turn) equivocated(first, second *Single) {
	fact := &message.Equivocation{
		Authority: uint32(first.Authority), Slot: first.Slot,
		First: first.Root, FirstSignature: first.Signature[:],
		Second: second.Root, SecondSignature: second.Signature[:],
	}
	if e := x.Entry(first.Root); e != nil {
		fact.FirstBlock = e.content()
	}
	if e := x.Entry(second.Root); e != nil {
		fact.SecondBlock = e.content()
	}
	x.out.Fact(fact)
}

// loadSingle takes one entry of a snapshot and returns the key that it must have.
func (s *singles) loadSingle(value []byte) ([]byte, error) {
	one := new(Single)
	err := record.Decode(value, one, nil)
	if err == nil && int(one.Authority) >= aura.MaxAuthorities {
		err = fault.New(fault.Corrupt, "chain state: a signature over %s by authority %d", one.Root, one.Authority)
	}
	if err == nil {
		s.put(one)
	}
	return one.key(), err
}
