package chain

import (
	"bytes"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// The bounds of blocks whose parent is not known: in all, in bytes, and on one
// parent. The oldest goes first.
const (
	maxOrphans          = 2048
	maxOrphanBytes      = 32 << 20
	maxOrphansPerParent = 16
)

// A missing block is asked for again after askAgainMs, when something comes up
// that needs it; maxFetches are remembered, and fetchBelow is how far below a
// missing block is asked when its height says nothing.
const (
	askAgainMs = 10_000
	maxFetches = 64
	fetchBelow = 256
)

// Orphan is a block by a member whose parent is not known.
type Orphan struct {
	Root    common.Hash
	Parent  common.Hash
	Number  uint64
	Origin  string
	Signed  record.Content
	Arrival uint64
}

// Fields implements record.Record.
func (o *Orphan) Fields(f *record.Fields) {
	f.Fixed(1, o.Root[:])
	f.Fixed(2, o.Parent[:])
	f.Uint64(3, &o.Number)
	f.String(4, &o.Origin)
	f.Content(5, &o.Signed)
	f.Uint64(6, &o.Arrival)
}

func (o *Orphan) key() []byte { return append([]byte{orphanEntry}, o.Root[:]...) }

// Fetch is a missing block that was asked for.
type Fetch struct {
	Root   common.Hash
	Number uint64 // zero when it is not known
	Asked  int64  // Unix milliseconds
}

// Fields implements record.Record.
func (m *Fetch) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Int64(3, &m.Asked)
}

// orphans are kept by root, found by parent, and let go by age.
type orphans struct {
	byRoot   *btree.BTreeG[*Orphan]
	byParent *btree.BTreeG[link]
	byAge    *btree.BTreeG[*Orphan]
	size     int // bytes
}

func newOrphans() orphans {
	o := btree.Options{NoLocks: true}
	return orphans{
		byRoot: btree.NewBTreeGOptions(func(a, b *Orphan) bool { return bytes.Compare(a.Root[:], b.Root[:]) < 0 }, o),
		byAge:  btree.NewBTreeGOptions(func(a, b *Orphan) bool { return a.Arrival < b.Arrival }, o),
		byParent: btree.NewBTreeGOptions(func(a, b link) bool {
			c := bytes.Compare(a.parent[:], b.parent[:])
			return c < 0 || c == 0 && bytes.Compare(a.root[:], b.root[:]) < 0
		}, o),
	}
}

func (s *orphans) copy() orphans {
	return orphans{byRoot: s.byRoot.Copy(), byParent: s.byParent.Copy(), byAge: s.byAge.Copy(), size: s.size}
}

// Orphan returns the block without a parent that has this root, or nil.
func (s *orphans) Orphan(root common.Hash) *Orphan {
	o, _ := s.byRoot.Get(&Orphan{Root: root})
	return o
}

// Orphans returns how many blocks wait for their parent.
func (s *orphans) Orphans() int { return s.byRoot.Len() }

func (s *orphans) put(o *Orphan) {
	s.byRoot.Set(o)
	s.byAge.Set(o)
	s.byParent.Set(link{o.Parent, o.Root})
	s.size += len(o.Signed.Data)
}

func (s *orphans) drop(o *Orphan) {
	s.byRoot.Delete(o)
	s.byAge.Delete(o)
	s.byParent.Delete(link{o.Parent, o.Root})
	s.size -= len(o.Signed.Data)
}

// on returns the orphans of one parent, by root.
func (s *orphans) on(parent common.Hash) (list []*Orphan) {
	s.byParent.Ascend(link{parent: parent}, func(l link) bool {
		if l.parent == parent {
			list = append(list, s.Orphan(l.root))
		}
		return l.parent == parent
	})
	return list
}

// keepOrphan keeps a block until its parent arrives, and asks for what is missing.
func (x *turn) keepOrphan(content record.Content, signed *block.Signed, root common.Hash, origin string) *refusal {
	number := signed.Block.Payload.BlockNumber
	if lowest := x.lowestKept(); number <= lowest {
		return cannotJudge("parent_hash", "parent %s is not known, and nothing below %d is kept", signed.Block.ParentHash, lowest)
	}
	if err := x.work.Verify(x.rules.committee, signed.Approvals, root); err != nil {
		return invalid("approvals", "%v", err)
	}
	x.checkOwn(root, signed.Block.Slot, &signed.Approvals)
	if known := x.Orphan(root); known != nil {
		x.orphanAgain(known, content, signed)
	} else {
		if same := x.orphans.on(signed.Block.ParentHash); len(same) >= maxOrphansPerParent {
			oldest := same[0]
			for _, o := range same {
				if o.Arrival < oldest.Arrival {
					oldest = o
				}
			}
			x.orphans.drop(oldest)
		}
		x.Arrivals++
		x.orphans.put(&Orphan{Root: root, Parent: signed.Block.ParentHash, Number: number, Origin: origin, Signed: content, Arrival: x.Arrivals})
		for x.Orphans() > maxOrphans || x.orphans.size > maxOrphanBytes {
			oldest, _ := x.orphans.byAge.Min()
			x.orphans.drop(oldest)
		}
	}
	x.fetchMissing(root)
	return nil
}

// orphanAgain takes another, verified copy of an orphan: the one with more approvals
// stays, and the approval of a single signer that it lacks waits for the block.
func (x *turn) orphanAgain(o *Orphan, content record.Content, signed *block.Signed) {
	stored, _, err := x.work.Decode(o.Signed.Data)
	if err != nil {
		panic("stored orphan: " + err.Error())
	}
	n := len(x.rules.spec.Authorities)
	whole, rest := stored.Approvals, signed.Approvals
	if rest.CountReal(n) > whole.CountReal(n) {
		whole, rest = rest, whole
		next := *o
		next.Signed = content
		x.orphans.drop(o)
		x.orphans.put(&next)
	}
	if single, ok := only(rest); ok && int(single.Authority) < n && !whole.Has(int(single.Authority)) {
		x.keepEarly(single, o.Root)
	}
}

// fetchMissing asks for the first block below an orphan that is not here.
func (x *turn) fetchMissing(root common.Hash) {
	missing := Fetch{Root: root}
	for o := x.Orphan(root); o != nil; o = x.Orphan(o.Parent) {
		missing = Fetch{Root: o.Parent, Number: o.Number - 1}
	}
	if missing.Root != root && !x.isDownload(missing) {
		x.fetch(missing)
	}
}

// fetch asks peers for a block and what is below it, unless they were asked
// lately.
func (x *turn) fetch(missing Fetch) {
	kept := make([]Fetch, 0, len(x.Fetches)+1)
	for _, f := range x.Fetches {
		if f.Root == missing.Root {
			if x.Time-f.Asked < askAgainMs {
				return
			}
			missing.Number = max(missing.Number, f.Number)
			continue
		}
		kept = append(kept, f)
	}
	if len(kept) >= maxFetches {
		kept = kept[1:]
	}
	missing.Asked = x.Time
	x.Fetches = append(kept, missing)
	from := x.Finalized.Number + 1
	if missing.Number != 0 && missing.Number < from {
		from = max(missing.Number-min(missing.Number, fetchBelow), x.lowestKept()) + 1
		from = min(from, missing.Number)
	}
	x.out.Effect(PeersEdge, core.FireAndForget, &message.FetchBlocks{Root: missing.Root, From: from})
}

// fetched forgets that a block was asked for.
func (x *turn) fetched(root common.Hash) {
	for i, f := range x.Fetches {
		if f.Root == root {
			rest := append([]Fetch(nil), x.Fetches[:i]...)
			x.Fetches = append(rest, x.Fetches[i+1:]...)
			return
		}
	}
}

// fetchAgain asks again for what is still missing: at the slots of a member, and at
// the start of a run, when whoever was asked before has nobody to answer any more.
func (x *turn) fetchAgain(started bool) {
	asked := append([]Fetch(nil), x.Fetches...)
	if started {
		x.Fetches = nil
	}
	for _, f := range asked {
		x.fetch(f)
	}
}

// adopt judges the orphans that stand on a block that has just been stored, and
// those on them. What stands on a block that is refused goes with it.
func (x *turn) adopt(root common.Hash) {
	for next := []common.Hash{root}; len(next) > 0; next = next[1:] {
		for _, o := range x.orphans.on(next[0]) {
			x.orphans.drop(o)
			if e, _ := x.take(Executing{Signed: o.Signed}, o.Origin); e == nil {
				x.abandon(o.Root)
				continue
			}
			next = append(next, o.Root)
		}
	}
}

// abandon drops the orphans that stand on a refused block.
func (x *turn) abandon(root common.Hash) {
	for next := []common.Hash{root}; len(next) > 0; next = next[1:] {
		for _, o := range x.orphans.on(next[0]) {
			x.orphans.drop(o)
			next = append(next, o.Root)
		}
	}
}

// pruneOrphans drops the orphans that no block kept can be the parent of.
func (x *turn) pruneOrphans(lowest uint64) {
	var gone []*Orphan
	x.orphans.byRoot.Scan(func(o *Orphan) bool {
		if o.Number <= lowest {
			gone = append(gone, o)
		}
		return true
	})
	for _, o := range gone {
		x.orphans.drop(o)
	}
}
