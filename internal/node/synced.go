package node

import (
	"context"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// AssumeSynced is an operator's statement that the federation's head is this node's, for a
// reason that the journal keeps: the way out of a cold start in which too few members are
// there. It counts until a quorum of members can be asked. ErrRefused: nothing is waited for, or the
// members that can be asked decide.
func (n *Node) AssumeSynced(ctx context.Context, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	if s := n.view.snapshot().Synced; s == nil || s.Synced { // what changes nothing becomes no turn
		return refused("this node waits for no other: there is nothing to assume")
	}
	_, err := n.order(ctx, func(request uint64) core.Message {
		return &message.AssumeSynced{Request: request, Reason: reason}
	})
	if err == nil {
		n.log.Warn("an operator says that this node is synced", "reason", reason)
	}
	return err
}
