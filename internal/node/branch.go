package node

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// ParseRoot reads the root of a block: 64 hex digits, with or without 0x.
func ParseRoot(text string) (root common.Hash, err error) {
	digits := text
	if len(digits) == 2*common.HashLength {
		digits = "0x" + digits
	}
	data, err := hexutil.Decode(digits)
	if err != nil || len(data) != common.HashLength {
		return root, fault.New(fault.Invalid, "%q is no root of a block: give its 64 hex digits", text)
	}
	return common.Hash(data), nil
}

// FollowBranch has the node follow the branch that ends in the block with this root
// although it excludes the finalised block: an operator's decision, which becomes a
// turn of the journal with the reason given. It returns when the branch is the
// head's. ErrRefused: the node does not do it, and the error says why. Temporary:
// ctx ended first; the decision is in the journal and is carried out.
func (n *Node) FollowBranch(ctx context.Context, root, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	tip, err := ParseRoot(root)
	if err != nil {
		return err
	}
	if n.view.snapshot().Excluded == nil { // what changes nothing becomes no turn
		return refused("no branch with a quorum excludes the finalised block: there is nothing to decide")
	}
	return n.decide(ctx, &message.DecideBranch{Root: tip, Reason: reason})
}

// KeepToBranch has the node keep to the branch of the block with this root until
// finality passes the block, whatever other branch is longer: an operator's
// decision in a federation that stalls. The finalised block as root ends that.
// ErrRefused: the node does not do it, and the error says why.
func (n *Node) KeepToBranch(ctx context.Context, root, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	at, err := ParseRoot(root)
	if err != nil {
		return err
	}
	return n.decide(ctx, &message.DecideBranch{Root: at, Reason: reason, Keep: true})
}

func (n *Node) decide(ctx context.Context, m *message.DecideBranch) error {
	answer, err := n.ask(ctx, chain.ID, func(request uint64) core.Message {
		m.Request = request
		return m
	})
	if err != nil {
		return err
	}
	judged, ok := answer.(*message.OperatorAnswer)
	switch {
	case !ok:
		return fault.New(fault.Fatal, "the chain actor answered %s to decide_branch", answer.Type())
	case !judged.Done:
		return refused("the branch is not followed: %s", judged.Reason)
	}
	return nil
}
