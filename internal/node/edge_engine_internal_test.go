package node

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// An answer of the execution layer carries the requests of its payloads as contents, and
// is cut short before it is too large for a message: the first result is always in it.
func TestExecutionsFitIntoAMessage(t *testing.T) {
	large := make([]byte, maxReceipts/2+1)
	list := []engine.Executed{
		{BlockHash: common.Hash{1}, Status: engine.StatusValid},
		{BlockHash: common.Hash{2}, Status: engine.StatusValid, Requests: []message.PegLog{{Index: 3, Data: large}}},
		{BlockHash: common.Hash{3}, Status: engine.StatusValid, Requests: []message.PegLog{{Index: 4, Data: large}}},
		{BlockHash: common.Hash{4}, Status: engine.StatusInvalid, Err: "no"},
	}
	m, whole := executions(list)
	if whole || len(m.Results) != 2 || !m.Results[0].Receipts.None() {
		t.Fatalf("%d results, whole %v", len(m.Results), whole)
	}
	var receipts message.PegReceipts
	if err := record.Decode(m.Results[1].Receipts.Data, &receipts, nil); err != nil || len(receipts.Logs) != 1 || receipts.Logs[0].Index != 3 {
		t.Fatalf("receipts: %v, %v", receipts.Logs, err)
	}
	if m, whole = executions(list[2:]); !whole || len(m.Results) != 2 || m.Results[1].Status != message.ExecutionInvalid {
		t.Fatalf("the rest: %d results, whole %v", len(m.Results), whole)
	}
	tooLarge := engine.Executed{Status: engine.StatusValid, Requests: []message.PegLog{{Data: make([]byte, 2*maxReceipts)}}}
	if m, whole = executions([]engine.Executed{tooLarge, tooLarge}); whole || len(m.Results) != 1 {
		t.Fatalf("a large one: %d results, whole %v", len(m.Results), whole)
	}
}
