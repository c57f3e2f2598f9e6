package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/logging"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/heads"
)

// eventLog writes facts into the log: one line a block while blocks come one by
// one, two a second while they come fast, and a loud one for what somebody should
// look at. Others may cause as many facts as they like; of each kind only so many
// lines a minute are written.
type eventLog struct {
	log  *slog.Logger
	now  func() time.Time
	view func() heads.View // with the fact folded in

	mu       sync.Mutex
	headLine time.Time // of the last line about the head
	blocks   int       // connected since
	txs      uint64
	windows  map[string]*window // by type of fact
	reverted int                // blocks of the reorganisation under way
}

// Of what others can cause, linesAMinute lines of each kind are written.
const (
	linesAMinute = 10
	headEvery    = 500 * time.Millisecond
)

// window counts the lines of one kind in one minute.
type window struct {
	began   time.Time
	lines   int
	leftOut int
}

func newEventLog(log *slog.Logger, view func() heads.View) *eventLog {
	return &eventLog{log: log, now: time.Now, view: view, windows: make(map[string]*window)}
}

// event is a fact on its way into the log.
type event struct {
	Fact
	height uint64 // that the fact is about; the head's when it is about none
}

func (l *eventLog) write(level slog.Level, e event, text string, args ...any) {
	l.log.Log(context.Background(), level, text, append([]any{"actor", string(e.Actor), "seq", e.Ref.Sequence, "height", e.height, "cause", journal.Ref(e.Cause).String()}, args...)...)
}

// bounded writes a line of a kind that others can cause.
func (l *eventLog) bounded(level slog.Level, e event, text string, args ...any) {
	now, kind := l.now(), e.Message.Type()
	w := l.windows[kind]
	if w == nil || now.Sub(w.began) >= time.Minute {
		next := &window{began: now}
		if w != nil && w.leftOut > 0 {
			args = append(args, "left_out", w.leftOut)
		}
		l.windows[kind], w = next, next
	}
	if w.lines >= linesAMinute {
		w.leftOut++
		return
	}
	w.lines++
	l.write(level, e, text, args...)
}

// fact takes a durable fact. Facts come in order.
func (l *eventLog) fact(f Fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := event{Fact: f, height: l.view().Head.Number}
	switch m := f.Message.(type) {
	case *message.BlockConnected:
		e.height = m.Number
		l.blocks++
		l.txs += uint64(m.Transactions)
		l.write(slog.LevelDebug, e, "block connected", "block", m.Root, "slot", m.Slot, "txs", m.Transactions, "auxpow", m.Carrier)
	case *message.BlockReverted:
		e.height = m.Number
		l.reverted++
		l.write(slog.LevelDebug, e, "block reverted", "block", m.Root)
	case *message.HeadChanged:
		e.height = m.Number
		l.headChanged(e, m)
	case *message.BlockFinalized:
		e.height = m.Number
		l.write(slog.LevelDebug, e, "finalised", "block", m.Root, "carrier", m.Carrier, "carrier_height", m.CarrierNumber)
	case *message.BlockRefused:
		e.height = m.Number
		l.bounded(slog.LevelWarn, e, "block refused", "block", m.Root, "grade", fault.Grade(m.Grade).String(), "field", m.Field, "reason", m.Reason, "origin", m.Origin)
	case *message.BlockProduced:
		e.height = m.Number
		l.write(slog.LevelDebug, e, "block produced", "block", m.Root, "slot", m.Slot, "txs", m.Transactions)
	case *message.SlotSkipped:
		l.bounded(slog.LevelWarn, e, "a slot of ours passed without a block", "slot", m.Slot, "reason", m.Reason)
	default:
		l.rare(e)
	}
}

// headChanged writes the line about the head, and a loud one when blocks of more
// than one height were taken back.
func (l *eventLog) headChanged(e event, m *message.HeadChanged) {
	depth := l.reverted
	l.reverted = 0
	if depth > 0 {
		level := slog.LevelInfo
		if depth > 1 {
			level = slog.LevelWarn
		}
		args := []any{"depth", depth, "head", m.Root}
		if last := l.view().Reorgs.Last; last != nil {
			args = append(args, "from", last.From.Root, "from_height", last.From.Number, "ancestor", last.Ancestor.Root, "ancestor_height", last.Ancestor.Number)
		}
		l.write(level, e, "reorganisation", args...)
	}
	now := l.now()
	if l.blocks == 0 || now.Sub(l.headLine) < headEvery {
		return
	}
	l.headLine = now
	l.write(slog.LevelInfo, e, "head", "block", m.Root, "blocks", l.blocks, "txs", l.txs, "finalized", l.view().Finalized.Number)
	l.blocks, l.txs = 0, 0
}

// rare writes facts that a quiet node does not have.
func (l *eventLog) rare(e event) {
	switch m := e.Message.(type) {
	case *message.ClockStepped:
		if m.Agreeing {
			l.write(slog.LevelInfo, e, "the clocks agree again: production is on")
		} else {
			l.write(slog.LevelWarn, e, "the wall clock moved against the monotonic clock: production is off", "offset_ms", m.OffsetMs)
		}
	case *message.BranchExcluded:
		e.height = m.Number
		text := "a longer branch with a quorum excludes the finalised block: it is followed by an operator's decision only"
		l.write(slog.LevelError, e, text, excludedArgs(l.view().Excluded)...)
	case *message.BranchDecided:
		e.height = m.Number
		l.write(slog.LevelWarn, e, "an operator decided for another branch", "block", m.Root, "abandoned", id(m.Abandoned), "ancestor", id(m.Ancestor), "reason", m.Reason)
	case *message.BranchKept:
		e.height = m.Number
		l.write(slog.LevelWarn, e, "an operator has this member keep to a branch until finality passes its block", "block", m.Root, "reason", m.Reason)
	case *message.FinalityConflict:
		l.write(slog.LevelError, e, "two conflicting ranges are final: the node stops, keep both proofs",
			"ours", id(m.Ours), "our_carrier", m.OurCarrier, "other", id(m.Other), "other_carrier", m.OtherCarrier)
	case *message.LegacyDiffers:
		l.write(slog.LevelError, e, "the import differs from the legacy store", "field", m.Field, "legacy", m.Legacy, "ours", m.Ours)
	case *message.WorkQueued:
		l.write(slog.LevelDebug, e, "a proof waits for the next block", "range_start", m.RangeStart, "range_end", m.RangeEnd)
	case *message.WorkDropped:
		l.bounded(slog.LevelInfo, e, "a proof was dropped", "range_start", m.RangeStart, "range_end", m.RangeEnd, "reason", m.Reason)
	default:
		l.signed(e)
	}
}

// signed writes facts about what this node signs.
func (l *eventLog) signed(e event) {
	switch m := e.Message.(type) {
	case *message.ApprovalMade:
		e.height = m.Number
		l.write(slog.LevelDebug, e, "block approved", "block", m.Root, "slot", m.Slot, "locks", m.RangeEnd)
	case *message.ApprovalWithheld:
		e.height = m.Number
		level := slog.LevelWarn
		if fault.Grade(m.Grade) == fault.CannotJudge {
			level = slog.LevelInfo
		}
		l.bounded(level, e, "a valid block is not approved", "block", m.Root, "grade", fault.Grade(m.Grade).String(), "rule", m.Rule, "reason", m.Reason)
	case *message.RangeLocked:
		e.height = m.Number
		l.write(slog.LevelInfo, e, "locked on a range to sign its payments", "range_end", m.RangeEnd, "payments", m.Payments)
	case *message.LockEnded:
		l.write(slog.LevelWarn, e, "an approval lock ended", "range_end", m.RangeEnd, "by", m.By, "carrier", m.Carrier, "reason", m.Reason)
	case *message.StatementMade:
		l.write(slog.LevelWarn, e, "this node stated that it never approves a range end", "range_end", m.RangeEnd)
	case *message.SigningHeld:
		l.write(slog.LevelWarn, e, "signing is held")
	case *message.SigningReleased:
		l.write(slog.LevelWarn, e, "signing is on again", "by", m.By, "reason", m.Reason)
	default:
		l.members(e)
	}
}

// members writes facts about other members.
func (l *eventLog) members(e event) {
	switch m := e.Message.(type) {
	case *message.SyncedChanged:
		if m.Synced {
			l.bounded(slog.LevelInfo, e, "synced", "members", m.Members, "quorum", m.Quorum)
		} else {
			l.bounded(slog.LevelWarn, e, "not synced: no block is made", "needs", m.Needs)
		}
	case *message.SyncAssumed:
		l.write(slog.LevelWarn, e, "an operator says that this node is synced", "reason", m.Reason)
	case *message.Equivocation:
		l.bounded(slog.LevelError, e, "a member signed two blocks of one slot", "authority", m.Authority, "slot", m.Slot, "first", m.First, "second", m.Second)
	case *message.KeyInUse:
		l.write(slog.LevelError, e, "another process signs with this member's key", "authority", m.Authority, "slot", m.Slot, "block", m.Root)
	default:
		l.write(slog.LevelDebug, e, "fact", "type", e.Message.Type())
	}
}

func excludedArgs(x *heads.Excluded) []any {
	if x == nil {
		return nil
	}
	return []any{"block", x.Tip.Root, "finalized", x.Finalized.Root, "finalized_height", x.Finalized.Number, "ancestor", x.Ancestor.Root, "ancestor_height", x.Ancestor.Number}
}

func id(b *message.BlockID) string {
	if b == nil {
		return "none"
	}
	return fmt.Sprintf("%d %s", b.Number, b.Root)
}

// logLevels describes the levels of the log.
func (n *Node) logLevels(context.Context) (any, error) {
	if n.opt.Levels == nil {
		return nil, fault.New(fault.Invalid, "the log levels of this node cannot be changed")
	}
	return n.opt.Levels.List(), nil
}

// setLogLevel changes a level, and says so in the log, whatever the level.
func (n *Node) setLogLevel(_ context.Context, actor, text string) error {
	level, err := logging.ParseLevel(text)
	switch {
	case n.opt.Levels == nil:
		return fault.New(fault.Invalid, "the log levels of this node cannot be changed")
	case err != nil:
		return err
	case actor != "" && !logging.ValidActor(actor):
		return fault.New(fault.Invalid, "%.40q is no name of an actor", actor)
	}
	if err := n.opt.Levels.Set(actor, level); err != nil {
		return err
	}
	n.log.Warn("log level changed by an operator", "of", cmp.Or(actor, "all"), "level", text)
	return nil
}
