package chain

import (
	"bytes"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// executed turns a verdict into an executed entry: fees (C6) and, for those who
// judge, the withdrawals that its parent's fees ask for.
func (x *turn) executed(e *Entry, b *block.Block, r *message.Execution, source Executing) (*Entry, *refusal) {
	parent := x.Entry(e.Parent)
	switch {
	case r.Status != message.ExecutionValid:
		return nil, invalid("execution_payload", "the execution layer refuses it: %s", r.Reason)
	case r.StateRoot != b.Payload.StateRoot:
		return nil, invalid("execution_payload.state_root", "executes to %s", r.StateRoot)
	case parent == nil || !parent.executed():
		return nil, cannotJudge("parent_hash", "the parent is not executed")
	}
	if v := x.judge().CheckFees(b, parent.fees()); !v.Valid() {
		return nil, refusedBy(v)
	}
	fees, err := b.Payload.Fees(r.GasUsed)
	if err != nil {
		return nil, invalid("execution_payload.transactions", "%v", err)
	}
	if e.Carrier == nil {
		fees.Add(fees, parent.fees())
	}
	if source.HasFees && !bytes.Equal(fees.Bytes(), source.Fees) {
		return nil, wrongSource("fees", "accumulate to %s wei, the source has %x", fees, source.Fees)
	}
	done := e.taken(Executed)
	done.StateRoot, done.Fees = r.StateRoot, fees.Bytes()
	return done, nil
}
