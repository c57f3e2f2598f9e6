package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// keepTo takes an operator's decision to keep to the branch of a block, which
// stands on the finalised one, until finality passes it. A stalled federation needs
// that: by C10 the head may be on a branch that members cannot approve carriers of, and
// blocks are made on the head alone, so that the branch which can become final never
// grows. It moves the head and withholds approvals; what is final is not its matter.
// (docs/formats/approval-lock.md)
func (x *turn) keepTo(m *message.DecideBranch) {
	if no := x.Unkeepable(m.Root); no != "" {
		switch e := x.Entry(m.Root); {
		case e == nil:
			x.fetch(Fetch{Root: m.Root})
		case e.Status == Stored || e.Status == Executed: // whoever has it connected has its quorum
			x.out.Effect(PeersEdge, core.FireAndForget, &message.FetchBlocks{Root: e.Root, From: e.Number})
		}
		x.answer(m.Request, no)
		return
	}
	x.Kept = x.Entry(m.Root).id()
	x.out.Fact(&message.BranchKept{Root: x.Kept.Root, Number: x.Kept.Number, Reason: m.Reason})
	x.answer(m.Request, "")
	x.settle()
}

// Unkeepable is why this member cannot keep to a block's branch, or "". The finalised
// block itself ends the keeping: every branch has it.
func (s *State) Unkeepable(root common.Hash) string {
	e := s.Entry(root)
	switch {
	case e == nil:
		return fmt.Sprintf("block %s is not known; it was asked for, ask again", root)
	case e.Root == s.Finalized.Root:
		return ""
	case e.Excluded || e.Number <= s.Finalized.Number:
		return fmt.Sprintf("block %s does not stand on the finalised block %s", describe(e.id()), describe(s.Finalized))
	case e.Status == Invalid:
		return fmt.Sprintf("block %s was refused", describe(e.id()))
	case e.Status == Connected || e.Status == InFlight:
		return ""
	}
	standing := false
	s.ready.Reverse(func(r rank) bool {
		standing = r.number >= e.Number && s.isAncestor(e, s.Entry(r.root))
		return !standing && r.number >= e.Number
	})
	if !standing {
		return fmt.Sprintf("no block with a quorum is known on the branch of block %s; it was asked for, ask again", describe(e.id()))
	}
	return ""
}

// letGo ends the keeping when finality has passed the block or takes another
// branch, by a carrier learnt late too, or when the block is no more.
func (x *turn) letGo(late *Entry) {
	if x.Kept == (message.BlockID{}) {
		return
	}
	var end *Entry
	if late != nil {
		end = x.rangeEnd(late)
	}
	e := x.Entry(x.Kept.Root)
	if e == nil || e.Excluded || e.Status == Invalid || e.Number <= x.Finalized.Number ||
		end != nil && (end.Number >= e.Number || !x.isAncestor(end, e)) {
		x.Kept = message.BlockID{}
	}
}

// kept returns the block whose branch an operator has this member keep to, or nil.
func (s *State) kept() *Entry {
	if s.Kept == (message.BlockID{}) {
		return nil
	}
	return s.Entry(s.Kept.Root)
}

// floor is the height above which a block becomes the head, and the block that it
// must have on its branch, or nil.
func (x *turn) floor(late *Entry) (number uint64, on *Entry) {
	head := x.Entry(x.Head.Root)
	if late != nil {
		if on = x.rangeEnd(late); !x.isAncestor(on, head) {
			return 0, on // finality first; the next turn keeps again
		}
	}
	if kept := x.kept(); kept != nil { // it stands on the range end, see letGo
		on = kept
	}
	if on != nil && !x.isAncestor(on, head) {
		return 0, on
	}
	return x.Head.Number, on
}

// worth is the height above which a block is worth executing, and the block that it
// must have on its branch, or nil.
func (x *turn) worth() (number uint64, on *Entry) {
	on = x.kept()
	if on == nil || x.isAncestor(on, x.Entry(x.Head.Root)) {
		return x.top(), on
	}
	x.flying.Reverse(func(id message.BlockID) bool {
		if x.isAncestor(on, x.Entry(id.Root)) {
			number = id.Number
		}
		return number == 0
	})
	return number, on
}

// offKept is why no carrier on parent is approved while an operator has this member
// keep to another branch, or "".
func (x *turn) offKept(parent *Entry) string {
	if on := x.kept(); on != nil && (parent == nil || !x.isAncestor(on, parent)) {
		return fmt.Sprintf("its branch excludes block %s, which an operator has this member keep to", describe(x.Kept))
	}
	return ""
}
