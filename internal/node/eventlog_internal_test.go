package node

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/logging"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/projections/heads"
)

// logRig folds facts and writes them, as a node does.
type logRig struct {
	log *eventLog
	out bytes.Buffer
	now time.Time
	seq uint64

	fact func(Fact)
}

func newLogRig(level slog.Level) *logRig {
	r := &logRig{now: time.UnixMilli(1_700_000_000_000)}
	v := &view{now: heads.View{Head: message.BlockID{Number: 5}}}
	levels := logging.NewLevels(level)
	r.log = newEventLog(slog.New(logging.New(slog.NewJSONHandler(&r.out, &slog.HandlerOptions{Level: slog.LevelDebug}), levels)), v.snapshot)
	r.log.now = func() time.Time { return r.now }
	v.onFact = []func(Fact){r.log.fact}
	r.fact = v.fact
	return r
}

func (r *logRig) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(r.out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, m)
	}
	r.out.Reset()
	return lines
}

func (r *logRig) turn(facts ...core.Message) {
	r.seq++
	for i, m := range facts {
		r.fact(actors.Fact{Ref: core.Ref{Sequence: r.seq, Index: uint32(i)}, Cause: core.Ref{Sequence: r.seq - 1}, Actor: "chain", Message: m})
	}
}

// A synced node writes one line a block, and two a second while blocks come fast.
func TestLogIsQuiet(t *testing.T) {
	r := newLogRig(slog.LevelInfo)
	for n := range uint64(5) {
		r.now = r.now.Add(5 * time.Second)
		r.turn(&message.BlockProduced{Number: n + 6}, &message.BlockConnected{Number: n + 6, Transactions: 2}, &message.BlockFinalized{Number: n}, &message.HeadChanged{Number: n + 6})
	}
	lines := r.lines(t)
	if len(lines) != 5 || lines[4]["msg"] != "head" || lines[4]["height"] != 10.0 || lines[4]["blocks"] != 1.0 || lines[4]["finalized"] != 4.0 {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
	for n := range uint64(10_000) { // ten seconds
		r.now = r.now.Add(time.Millisecond)
		r.turn(&message.BlockConnected{Number: 11 + n}, &message.HeadChanged{Number: 11 + n})
	}
	lines = r.lines(t)
	var blocks float64
	for _, l := range lines {
		blocks += l["blocks"].(float64)
	}
	if len(lines) != 20 || blocks < 9_000 {
		t.Errorf("%d lines for %v blocks in ten seconds", len(lines), blocks)
	}
}

// Whatever others cause, each kind has ten lines a minute, and says what was left out.
func TestLogIsBounded(t *testing.T) {
	r := newLogRig(slog.LevelInfo)
	for range 2 {
		for i := range 1000 {
			r.turn(&message.BlockRefused{Number: 9, Grade: uint8(fault.Invalid), Field: "slot", Reason: strings.Repeat("x", 100_000)},
				&message.ApprovalWithheld{Number: uint64(i), Grade: uint8(fault.Invalid), Rule: "one_per_slot"})
		}
		r.now = r.now.Add(time.Minute)
	}
	size := r.out.Len()
	lines := r.lines(t)
	if len(lines) != 40 || size > 40*3*logging.MaxText {
		t.Errorf("%d lines, %d bytes", len(lines), size)
	}
	if lines[20]["left_out"] != 990.0 {
		t.Errorf("the second minute begins with %v", lines[20])
	}
}

// What needs somebody's attention is loud, and says where.
func TestLogIsLoud(t *testing.T) {
	r := newLogRig(slog.LevelWarn)
	a, b := common.Hash{0xa}, common.Hash{0xb}
	r.turn(&message.BlockReverted{Root: a, Number: 5}, &message.BlockReverted{Root: b, Number: 4},
		&message.BlockConnected{Number: 4, Parent: common.Hash{3}}, &message.BlockConnected{Number: 5}, &message.BlockConnected{Number: 6}, &message.HeadChanged{Number: 6})
	r.turn(&message.BranchExcluded{Root: a, Number: 9, Finalized: &message.BlockID{Root: b, Number: 4}, Ancestor: &message.BlockID{Number: 2}})
	r.turn(&message.FinalityConflict{Ours: &message.BlockID{Root: a, Number: 4}, Other: &message.BlockID{Root: b, Number: 4}, OurCarrier: a, OtherCarrier: b})
	r.turn(&message.ApprovalWithheld{Root: a, Number: 7, Grade: uint8(fault.Invalid), Rule: "approval_lock", Reason: "excludes"})
	r.turn(&message.BlockReverted{Root: a, Number: 6}, &message.BlockConnected{Number: 6}, &message.BlockConnected{Number: 7}, &message.HeadChanged{Number: 7}) // depth 1 is no warning
	lines := r.lines(t)
	if len(lines) != 4 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	if l := lines[0]; l["level"] != "WARN" || l["depth"] != 2.0 || l["ancestor_height"] != 3.0 || l["ancestor"] != (common.Hash{3}).Hex() || l["from_height"] != 5.0 {
		t.Errorf("reorganisation: %v", l)
	}
	if l := lines[1]; l["level"] != "ERROR" || l["finalized_height"] != 4.0 || l["ancestor_height"] != 2.0 {
		t.Errorf("excluded: %v", l)
	}
	if l := lines[2]; l["level"] != "ERROR" || l["our_carrier"] != a.Hex() || l["other_carrier"] != b.Hex() {
		t.Errorf("conflict: %v", l)
	}
	if l := lines[3]; l["level"] != "WARN" || l["rule"] != "approval_lock" || l["grade"] != "invalid" {
		t.Errorf("withheld: %v", l)
	}
}

// Every line of every fact has actor, sequence, height and cause, and no payload
// and no signature gets into the log at any level.
func TestLogLines(t *testing.T) {
	r := newLogRig(slog.LevelDebug)
	var secret [96]byte
	for i := range secret {
		secret[i] = 0xC5
	}
	for _, m := range everyFact() {
		if s, ok := m.(*message.StatementMade); ok {
			s.Signature = secret
		}
		r.turn(m)
	}
	text := r.out.String()
	for _, l := range r.lines(t) {
		for _, key := range []string{"actor", "seq", "height", "cause"} {
			if l[key] == nil {
				t.Errorf("%v has no %s", l, key)
			}
		}
	}
	if strings.Contains(strings.ToLower(text), hex.EncodeToString(secret[:8])) || strings.Contains(text, "197,197") || strings.Contains(text, "197 197") {
		t.Error("a signature is in the log")
	}
}

// everyFact are one of each fact.
func everyFact() []core.Message {
	return []core.Message{
		&message.BlockConnected{Number: 6}, &message.BlockReverted{Number: 6}, &message.HeadChanged{Number: 6}, &message.BlockFinalized{Number: 6},
		&message.BlockRefused{Number: 6}, &message.BlockProduced{Number: 6}, &message.SlotSkipped{}, &message.ClockStepped{}, &message.ClockStepped{Agreeing: true},
		&message.WorkQueued{}, &message.WorkDropped{}, &message.LegacyImported{}, &message.LegacyDiffers{}, &message.SigningHeld{}, &message.SigningReleased{},
		&message.BranchExcluded{}, &message.BranchDecided{}, &message.BranchKept{}, &message.FinalityConflict{}, &message.ApprovalMade{}, &message.ApprovalWithheld{},
		&message.LockEnded{}, &message.StatementMade{},
	}
}
