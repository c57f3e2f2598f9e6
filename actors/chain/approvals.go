package chain

import (
	"bytes"
	"cmp"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// maxEarly bounds the approvals of one member whose blocks are not known; the
// oldest goes first.
const maxEarly = 512

// Early is an approval by a member of a block that is not known yet.
type Early struct {
	Root      common.Hash
	Authority uint8
	Signature aura.Signature
	Arrival   uint64
}

// Fields implements record.Record.
func (a *Early) Fields(f *record.Fields) {
	f.Fixed(1, a.Root[:])
	f.Uint8(2, &a.Authority)
	f.Fixed(3, a.Signature[:])
	f.Uint64(4, &a.Arrival)
}

func (a *Early) key() []byte {
	return append(append([]byte{earlyEntry}, a.Root[:]...), a.Authority)
}

// early keeps approvals by block, and by member and age.
type early struct {
	byRoot   *btree.BTreeG[*Early]
	byMember *btree.BTreeG[*Early]
	count    [aura.MaxAuthorities]int
}

func newEarly() early {
	o := btree.Options{NoLocks: true}
	return early{
		byRoot: btree.NewBTreeGOptions(func(a, b *Early) bool {
			c := bytes.Compare(a.Root[:], b.Root[:])
			return c < 0 || c == 0 && a.Authority < b.Authority
		}, o),
		byMember: btree.NewBTreeGOptions(func(a, b *Early) bool {
			return cmp.Or(cmp.Compare(a.Authority, b.Authority), cmp.Compare(a.Arrival, b.Arrival)) < 0
		}, o),
	}
}

func (s *early) copy() early {
	return early{byRoot: s.byRoot.Copy(), byMember: s.byMember.Copy(), count: s.count}
}

// EarlyApprovals returns how many approvals wait for their block.
func (s *early) EarlyApprovals() int { return s.byRoot.Len() }

func (s *early) put(a *Early) {
	s.byRoot.Set(a)
	s.byMember.Set(a)
	s.count[a.Authority]++
}

func (s *early) drop(a *Early) {
	s.byRoot.Delete(a)
	s.byMember.Delete(a)
	s.count[a.Authority]--
}

// of returns the approvals of a block, by member.
func (s *early) of(root common.Hash) (list []*Early) {
	s.byRoot.Ascend(&Early{Root: root}, func(a *Early) bool {
		if a.Root == root {
			list = append(list, a)
		}
		return a.Root == root
	})
	return list
}

// approvalReceived adds one member's approval to its block, or keeps it until the
// block arrives.
func (x *turn) approvalReceived(m *message.ApprovalReceived) {
	e := x.Entry(m.Root)
	if int(m.Authority) >= len(x.rules.spec.Authorities) || e != nil && (e.Status == Invalid || e.Approvals.Has(int(m.Authority)) && !x.Config.Peers) {
		return
	}
	a := aura.Approval{Signature: m.Signature, Authority: m.Authority}
	if x.work.VerifyApproval(x.rules.committee, a, m.Root) != nil {
		return
	}
	if e == nil {
		x.keepEarly(a, m.Root)
		return
	}
	x.approve(e, a)
	x.settle()
}

// approve adds a verified approval to a block of the tree, whatever has become of
// it: a carrier that is executed already may reach its quorum only now.
func (x *turn) approve(e *Entry, a aura.Approval) {
	x.heard(e, a)
	if e.Approvals.Has(int(a.Authority)) {
		return
	}
	next := *e
	if x.work.Add(&next.Approvals, a) == nil {
		x.approved(e, &next)
	}
}

// approved stores next, which has more approvals than e, and notes when that
// makes its quorum.
func (x *turn) approved(e, next *Entry) {
	if !x.hasQuorum(e) && x.hasQuorum(next) {
		x.Arrivals++
		next.Reached = x.Arrivals
		x.learnt = append(x.learnt, next.Root)
	}
	x.put(next)
	if x.Config.HasAuthority && !e.Approvals.Has(int(x.Config.Authority)) {
		x.checkOwn(next.Root, next.Slot, &next.Approvals)
	}
}

// keepEarly keeps an approval of an unknown block. A quorum of them means that
// the block itself was missed.
func (x *turn) keepEarly(a aura.Approval, root common.Hash) {
	same := x.early.of(root)
	for _, old := range same {
		if old.Authority == a.Authority {
			return
		}
	}
	if x.early.count[a.Authority] >= maxEarly {
		x.early.byMember.Ascend(&Early{Authority: a.Authority}, func(oldest *Early) bool {
			x.early.drop(oldest)
			return false
		})
	}
	x.Arrivals++
	x.early.put(&Early{Root: root, Authority: a.Authority, Signature: a.Signature, Arrival: x.Arrivals})
	if len(same)+1 < x.rules.spec.Quorum() {
		return
	}
	if x.Orphan(root) != nil {
		x.fetchMissing(root)
	} else {
		x.fetch(Fetch{Root: root})
	}
}

// takeEarly gives a block that has just been stored the approvals that came before it.
func (x *turn) takeEarly(root common.Hash) {
	for _, a := range x.early.of(root) {
		x.early.drop(a)
		x.approve(x.Entry(root), aura.Approval{Signature: a.Signature, Authority: a.Authority})
	}
}
