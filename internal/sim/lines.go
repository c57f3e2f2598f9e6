package sim

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
)

// recentTurns keeps a member's last turns for the lines of a violation.
type recentTurns struct {
	turns [turnLines]recentTurn
	next  int
}

type recentTurn struct {
	at       int64
	sequence uint64
	by       core.ID
	message  core.Message
	outcome  journal.Outcome
	outputs  []core.Output
}

func (r *recentTurns) add(at int64, sequence uint64, by core.ID, m core.Message, outcome journal.Outcome, outputs []core.Output) {
	r.turns[r.next%turnLines] = recentTurn{at, sequence, by, m, outcome, outputs}
	r.next++
}

// lastTurns are a member's last turns in lines, oldest first.
func (m *member) lastTurns() []string {
	lines := []string{fmt.Sprintf("member %d, life %d:", m.index, m.lives)}
	for i := max(m.recent.next-turnLines, 0); i < m.recent.next; i++ {
		t := m.recent.turns[i%turnLines]
		line := fmt.Sprintf("%8.3f  m%d #%d %s %s", since(t.at), m.index, t.sequence, t.by, describe(t.message))
		if t.outcome == journal.OutcomeFailed {
			line += " FAILED"
		}
		lines = append(lines, line)
		for _, o := range t.outputs {
			if o.Kind != core.Send {
				lines = append(lines, "            > "+describe(o.Message))
			}
		}
	}
	return lines
}

// describe is a message in one line: its type and what its fields hold, shortened.
func describe(m core.Message) string {
	if m == nil {
		return "nothing"
	}
	parts := []string{m.Type()}
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if text := describeField(v.Field(i).Interface()); text != "" {
			parts = append(parts, strings.ToLower(v.Type().Field(i).Name)+"="+text)
		}
	}
	return strings.Join(parts, " ")
}

func describeField(x any) string {
	switch x := x.(type) {
	case common.Hash:
		if x == (common.Hash{}) {
			return ""
		}
		return name(x)
	case *message.BlockID:
		if x == nil {
			return ""
		}
		return fmt.Sprintf("%s@%d", name(x.Root), x.Number)
	case record.Content:
		return ""
	case []message.Block:
		return fmt.Sprint(len(x))
	case []message.Execution:
		var list []string
		for _, r := range x {
			list = append(list, fmt.Sprintf("%s:%d%s", name(r.PayloadHash), r.Status, r.Reason))
		}
		return strings.Join(list, ",")
	case string, bool, uint8, uint32, uint64, int64:
		return fmt.Sprint(x)
	}
	return ""
}
