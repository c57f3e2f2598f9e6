package chain

import (
	"bytes"
	"cmp"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// tree is the blocks that the state holds, with indexes that are derived from
// them. All maps are ordered and copied on write.
type tree struct {
	blocks   *btree.BTreeG[*Entry]          // by root
	heights  *btree.BTreeG[message.BlockID] // all, by height
	aside    *btree.BTreeG[message.BlockID] // those off the head's branch, by height
	flying   *btree.BTreeG[message.BlockID] // those in flight, by height
	children *btree.BTreeG[link]
	waiting  *btree.BTreeG[place] // stored blocks by author and arrival
	ready    *btree.BTreeG[rank]  // stored and executed blocks that may become the head
	// waitingBytes and waitingBy count the stored blocks' bytes and authors.
	waitingBytes int
	waitingBy    [aura.MaxAuthorities]int
}

// link is one block under its parent.
type link struct{ parent, root common.Hash }

// place is one stored block among those of the author it is charged to.
type place struct {
	author  int
	arrival uint64
	root    common.Hash
}

// rank orders blocks with a quorum as the fork choice prefers them: the highest
// last, of one height the first to reach its quorum last.
type rank struct {
	number, reached uint64
	root            common.Hash
}

func byHeight(a, b message.BlockID) bool {
	return a.Number < b.Number || a.Number == b.Number && bytes.Compare(a.Root[:], b.Root[:]) < 0
}

func newTree() tree {
	o := btree.Options{NoLocks: true}
	heights := func() *btree.BTreeG[message.BlockID] { return btree.NewBTreeGOptions(byHeight, o) }
	return tree{
		blocks:  btree.NewBTreeGOptions(func(a, b *Entry) bool { return bytes.Compare(a.Root[:], b.Root[:]) < 0 }, o),
		heights: heights(), aside: heights(), flying: heights(),
		children: btree.NewBTreeGOptions(func(a, b link) bool {
			c := bytes.Compare(a.parent[:], b.parent[:])
			return c < 0 || c == 0 && bytes.Compare(a.root[:], b.root[:]) < 0
		}, o),
		waiting: btree.NewBTreeGOptions(func(a, b place) bool {
			return cmp.Or(cmp.Compare(a.author, b.author), cmp.Compare(a.arrival, b.arrival), bytes.Compare(a.root[:], b.root[:])) < 0
		}, o),
		ready: btree.NewBTreeGOptions(func(a, b rank) bool {
			return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(b.reached, a.reached), bytes.Compare(b.root[:], a.root[:])) < 0
		}, o),
	}
}

func (t *tree) copy() tree {
	c := *t
	c.blocks, c.heights, c.aside, c.flying = t.blocks.Copy(), t.heights.Copy(), t.aside.Copy(), t.flying.Copy()
	c.children, c.waiting, c.ready = t.children.Copy(), t.waiting.Copy(), t.ready.Copy()
	return c
}

// Entry returns the block with this root, or nil.
func (t *tree) Entry(root common.Hash) *Entry {
	e, _ := t.blocks.Get(&Entry{Ancestor: rules.Ancestor{Root: root}})
	return e
}

// At returns the block of the head's branch at a height, or nil when there is
// none in the window that the state keeps.
func (t *tree) At(number uint64) *Entry {
	var found *Entry
	t.heights.Ascend(message.BlockID{Number: number}, func(id message.BlockID) bool {
		if id.Number != number {
			return false
		}
		if e := t.Entry(id.Root); e.Status == Connected {
			found = e
			return false
		}
		return true
	})
	return found
}

// Len returns how many blocks the state holds.
func (t *tree) Len() int { return t.blocks.Len() }

// Waiting returns how many blocks are stored that were not executed, and their bytes.
func (t *tree) Waiting() (blocks, size int) { return t.waiting.Len(), t.waitingBytes }

// author is whom a stored block is charged to: its first real signer, for only a
// member can sign. Whoever floods the tree pushes out his own blocks.
func (e *Entry) author() int {
	for i := range aura.MaxAuthorities {
		if e.Approvals.Has(i) {
			return i
		}
	}
	return 0
}

func (e *Entry) rank() rank { return rank{e.Number, e.Reached, e.Root} }

func (e *Entry) place() place { return place{author: e.author(), arrival: e.Arrival, root: e.Root} }

// put stores an entry, or replaces the one with its root.
func (s *State) put(e *Entry) {
	old, had := s.blocks.Set(e)
	if had {
		s.leave(old)
	} else {
		s.heights.Set(e.id())
		s.children.Set(link{e.Parent, e.Root})
	}
	if e.Status == Connected {
		return
	}
	s.aside.Set(e.id())
	switch e.Status {
	case InFlight:
		s.flying.Set(e.id())
	case Stored:
		s.waiting.Set(e.place())
		s.waitingBytes += len(e.Body.Data)
		s.waitingBy[e.author()]++
	}
	if !e.Excluded && (e.Status == Stored || e.Status == Executed) && s.hasQuorum(e) {
		s.ready.Set(e.rank())
	}
}

// leave takes an entry out of the indexes that depend on more than its place.
func (s *State) leave(old *Entry) {
	if old.Status == Connected {
		return
	}
	s.aside.Delete(old.id())
	switch old.Status {
	case InFlight:
		s.flying.Delete(old.id())
	case Stored:
		s.waiting.Delete(old.place())
		s.waitingBytes -= len(old.Body.Data)
		s.waitingBy[old.author()]--
	}
	s.ready.Delete(old.rank())
}

func (s *State) remove(e *Entry) {
	if old, had := s.blocks.Delete(e); had {
		s.leave(old)
		s.heights.Delete(old.id())
		s.children.Delete(link{old.Parent, old.Root})
	}
}

// descendants returns the blocks that stand on root, parents first.
func (t *tree) descendants(root common.Hash) (list []*Entry) {
	for next := []common.Hash{root}; len(next) > 0; next = next[1:] {
		t.children.Ascend(link{parent: next[0]}, func(l link) bool {
			if l.parent != next[0] {
				return false
			}
			list = append(list, t.Entry(l.root))
			next = append(next, l.root)
			return true
		})
	}
	return list
}

// hasQuorum reports whether enough real members approved a block. (C5.11, C17)
func (s *State) hasQuorum(e *Entry) bool {
	return s.rules != nil && e.Approvals.CountReal(len(s.rules.spec.Authorities)) >= s.rules.spec.Quorum()
}

// isProof reports whether a block is a carrier that, with its quorum, finalises
// its range whenever it is learnt. (architecture.md 4, Finality)
func (s *State) isProof(e *Entry) bool {
	return e.Carrier != nil && s.rules != nil && spec.Active(s.rules.spec.Activations.Finality, e.Number)
}

// top is the height above which a block would win: of the head or of what is
// about to become it.
func (s *State) top() uint64 {
	highest, _ := s.flying.Max()
	return max(s.Head.Number, highest.Number)
}
