package engine_test

import (
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// client is an execution layer that answers at random, and the chain actor before it.
type client struct {
	*actor
	t       *rapid.T
	pending []request // effects without an answer, oldest first
	timers  []core.Ref
	asked   int               // blocks asked to be executed
	batches [][]int           // of them, those without a verdict: batches by the number of their blocks
	told    message.MoveHead  // the newest move
	known   *message.MoveHead // what the client acknowledged last; nil when that is not known
}

type request struct {
	ref core.Ref
	m   core.Message
}

func number(b message.Block) (n int) {
	_, _ = fmt.Sscan(string(b.Signed.Data), &n)
	return n
}

// take keeps the effects of a turn and judges what they ask.
func (c *client) take(out []core.Output) {
	for i, o := range out {
		ref := c.ref(uint32(i))
		switch m := o.Message.(type) {
		case *message.ImportPayloads:
			for j, b := range m.Blocks {
				if number(b) != c.batches[0][j] {
					c.t.Fatalf("block %d is executed, %d is next", number(b), c.batches[0][j])
				}
			}
			if len(m.Blocks) != len(c.batches[0]) {
				c.t.Fatalf("%d blocks of %d", len(m.Blocks), len(c.batches[0]))
			}
		case *message.UpdateForkchoice:
			if c.known != nil && m.Head == c.known.Head && m.Finalized == c.known.Finalized {
				c.t.Fatalf("told what it knows: %+v", m)
			}
			if m.Head != c.told.Head || m.Finalized != c.told.Finalized {
				c.t.Fatalf("told %+v, the newest is %+v", m, c.told)
			}
		case *message.StartTimer:
			c.timers = append(c.timers, ref)
			continue
		default:
			continue
		}
		for _, r := range c.pending {
			if r.m.Type() == o.Message.Type() {
				c.t.Fatalf("two of %s at once", r.m.Type())
			}
		}
		c.pending = append(c.pending, request{ref, o.Message})
	}
}

func (c *client) execute(t *rapid.T) {
	m := &message.ExecuteBlocks{}
	var batch []int
	for range rapid.IntRange(1, 4).Draw(t, "blocks") {
		c.asked++
		batch = append(batch, c.asked)
		m.Blocks = append(m.Blocks, message.Block{Signed: record.NewContent(fmt.Append(nil, c.asked))})
	}
	c.batches = append(c.batches, batch)
	c.take(c.handle(m, core.Ref{}))
}

func (c *client) move(t *rapid.T) {
	c.told = *move(byte(rapid.IntRange(1, 5).Draw(t, "head")), byte(rapid.IntRange(0, 2).Draw(t, "final")))
	c.take(c.handle(&c.told, core.Ref{}))
}

// answer answers the oldest effect.
func (c *client) answer(t *rapid.T) {
	if len(c.pending) == 0 {
		return
	}
	r := c.pending[0]
	c.pending = c.pending[1:]
	status := rapid.SampledFrom([]uint8{message.ExecutionValid, message.ExecutionInvalid, message.ExecutionUnknown, 7}).Draw(t, "status")
	switch m := r.m.(type) {
	case *message.UpdateForkchoice:
		c.known = nil
		if status == message.ExecutionValid {
			c.known = &message.MoveHead{Head: m.Head, Finalized: m.Finalized}
		}
		c.take(c.handle(&message.ForkchoiceUpdated{Status: status}, r.ref))
	case *message.ImportPayloads:
		valid := rapid.IntRange(0, len(m.Blocks)).Draw(t, "valid")
		result := &message.PayloadsImported{}
		for range valid {
			result.Results = append(result.Results, message.Execution{Status: message.ExecutionValid})
		}
		if rest := len(m.Blocks) - valid; rest > 0 && status != message.ExecutionValid {
			result.Results = append(result.Results, message.Execution{Status: status, PayloadHash: common.Hash{9}})
		} else {
			status = message.ExecutionUnknown // no result for the next one
		}
		if valid < len(m.Blocks) && status != message.ExecutionInvalid {
			c.batches[0] = c.batches[0][valid:]
		} else {
			c.batches = c.batches[1:]
		}
		c.take(c.handle(result, r.ref))
	}
}

// fire lets any timer fire, also one that means nothing any more.
func (c *client) fire(t *rapid.T) {
	if len(c.timers) == 0 {
		return
	}
	i := rapid.IntRange(0, len(c.timers)-1).Draw(t, "timer")
	ref := c.timers[i]
	c.timers = append(c.timers[:i:i], c.timers[i+1:]...)
	var m core.Message = &message.TimerFired{}
	if rapid.Bool().Draw(t, "expired") {
		m = &core.Expired{Reason: "restart"}
	}
	c.take(c.handle(m, ref))
}

// restart is a new run: effects that are until-done stay pending, the client may have
// forgotten its head.
func (c *client) restart(*rapid.T) {
	c.known = nil
	c.take(c.handle(&message.NodeConfigured{}, core.Ref{}))
}

// TestRandomAnswers: whatever the execution layer answers and when, blocks are executed in
// the order they were asked, none is lost, the head that is told is the newest, and nothing
// is told that is known. Once the layer answers well, everything is done.
func TestRandomAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &client{actor: newActor(), t: t}
		t.Repeat(map[string]func(*rapid.T){"execute": c.execute, "move": c.move, "answer": c.answer, "fire": c.fire, "restart": c.restart})
		for range 1000 {
			switch {
			case len(c.pending) > 0:
				r := c.pending[0]
				c.pending = c.pending[1:]
				if m, ok := r.m.(*message.ImportPayloads); ok {
					result := &message.PayloadsImported{}
					for range m.Blocks {
						result.Results = append(result.Results, message.Execution{Status: message.ExecutionValid})
					}
					c.batches = c.batches[1:]
					c.take(c.handle(result, r.ref))
					continue
				}
				m := r.m.(*message.UpdateForkchoice)
				c.known = &message.MoveHead{Head: m.Head, Finalized: m.Finalized}
				c.take(c.handle(&message.ForkchoiceUpdated{Status: message.ExecutionValid}, r.ref))
			case len(c.timers) > 0:
				ref := c.timers[0]
				c.timers = c.timers[1:]
				c.take(c.handle(&message.TimerFired{}, ref))
			}
		}
		s := c.state.(*engine.State)
		if len(c.batches) > 0 || len(s.Batches) > 0 {
			t.Fatalf("%d batches are never executed", len(c.batches))
		}
		if c.told.Head != (common.Hash{}) && (c.known == nil || *c.known != c.told) {
			t.Fatalf("the head is never told: %+v, not %+v", c.known, c.told)
		}
	})
}
