package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// checkOwn looks at verified approvals of a block that have ours among them. One that this
// journal did not ask for was made by another process with the same key: two of them would
// sign two blocks of one slot sooner or later. This one ends.
func (x *turn) checkOwn(root common.Hash, slot uint64, a *aura.Approvals) {
	if !x.Config.Peers || !x.Config.HasAuthority || x.Gate.Foreign != nil || !a.Has(int(x.Config.Authority)) || !x.foreign(root, slot) {
		return
	}
	fact := &message.KeyInUse{Authority: x.Config.Authority, Root: root, Slot: slot, Signature: a.Signature[:]}
	x.Gate.Foreign = fact
	x.Building = nil
	x.out.Fact(fact)
	x.out.Effect(ProcessEdge, core.FireAndForget, &message.StopProcess{Exit: ExitRefused, Reason: fmt.Sprintf(
		"another process signs with this member's authority key: block %s of slot %d has a signature of member %d that this node did not make; "+
			"find that process and end it, and start this node again only when it is the only one with the key", root, slot, x.Config.Authority)})
}

// foreign reports whether our signature over a block cannot be one of this journal's. What
// was signed before this run is not judged: turns that told of it may be lost, or forgotten
// because finality passed their slots. Every signature since has its vote, for the vote is
// durable before the key is asked. (architecture.md 4, Approving)
func (x *turn) foreign(root common.Hash, slot uint64) bool {
	floor := max(x.Gate.Started+1, x.SlotFloor, x.BlindSlot+1) // blocks of the next slot are approved, too
	if x.Hold != nil {
		floor = max(floor, x.Hold.Slot+1)
	}
	if slot <= floor {
		return false
	}
	v := x.Vote(slot)
	return v == nil || v.Root != root
}
