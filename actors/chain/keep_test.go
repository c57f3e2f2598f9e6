package chain_test

import (
	"testing"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// TestKeepWithholds: a member that is free of its lock approves no carrier beside the
// branch it keeps to, over a restart too, until the keeping ends.
func TestKeepWithholds(t *testing.T) {
	r := forked(t)
	keep := func(name string) {
		r.send(chain.ID, &message.DecideBranch{Request: 1, Root: r.blocks[name].Block.Root(), Reason: "by a test", Keep: true})
	}
	keep("a2")
	r.said("head a2 #2 depth=3")
	r.send(chain.ID, &message.ReleaseLock{Request: 2, RangeEnd: r.blocks["a2"].Block.Root(), Statements: []message.Statement{r.statement(0, "a2"), r.statement(2, "a2")}, Reason: "by a test"})
	r.said("lock on a2 ended by operator")
	r.restart(nil)
	r.carry("b4", 5)
	r.said("withheld from b4 #4 (invalid) by lock: its branch excludes block")
	keep("genesis")
	r.said("head b3 #3 depth=2")
	r.carry("c4", 9)
	r.said("approved c4 #4, locked on b2")
}
