package chain_test

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// paper stands in for the bridge actor. It checks what every bridge relies on: parents
// are told before children, and nothing is asked about a block whose parent was not told.
// What it answers is what a test wrote down.
type paper struct {
	verdicts map[common.Hash]message.PegJudged // by payload hash or root; else valid
	plan     message.PegPlanned

	refuseAll bool // verdicts are "invalid"

	told    map[common.Hash]message.PegBlock
	follows []message.FollowChain
	judged  []message.PegBlock
	plans   []message.PlanPeg
	orders  []message.SignPayments
	wrong   []string
}

func newPaper() *paper {
	return &paper{verdicts: map[common.Hash]message.PegJudged{}, told: map[common.Hash]message.PegBlock{}}
}

// open has a block wait: the verdict on it is "cannot judge yet".
func (p *paper) open(payload common.Hash) {
	p.verdicts[payload] = message.PegJudged{Grade: uint8(fault.CannotJudge), Rule: "C7", Reason: "Bitcoin is behind"}
}

func (p *paper) refuse(payload common.Hash) {
	p.verdicts[payload] = message.PegJudged{Grade: uint8(fault.Invalid), Rule: "deposit", Reason: "no such deposit"}
}

type paperBridge struct{ *paper }

// ID implements core.Core.
func (paperBridge) ID() core.ID { return "bridge" }

// NewState implements core.Core.
func (paperBridge) NewState() core.State { return paperState{} }

// Messages implements core.Core.
func (paperBridge) Messages() []core.Message {
	return []core.Message{&message.NodeConfigured{}, &message.FollowChain{}, &message.JudgePeg{}, &message.PlanPeg{}, &message.SignPayments{}}
}

// Handle implements core.Core.
func (b paperBridge) Handle(_ core.State, m core.Message, _ core.Turn, out *core.Out) {
	switch m := m.(type) {
	case *message.FollowChain:
		b.follows = append(b.follows, *m)
		for _, x := range m.Blocks {
			if _, ok := b.told[x.Parent]; !ok && x.Number > 0 {
				b.wrong = append(b.wrong, "a child before its parent")
			}
			b.told[x.Root] = x
		}
		if _, ok := b.told[m.Head.Root]; !ok {
			b.wrong = append(b.wrong, "a head that was not told")
		}
		if _, ok := b.told[m.Finalized.Root]; !ok {
			b.wrong = append(b.wrong, "a finalised block that was not told")
		}
	case *message.JudgePeg:
		if _, ok := b.told[m.Block.Parent]; !ok {
			b.wrong = append(b.wrong, "judged on a parent that was not told")
		}
		b.judged = append(b.judged, *m.Block)
		if b.refuseAll {
			b.refuse(m.Block.PayloadHash)
		}
		v := b.verdicts[m.Block.PayloadHash]
		v.Root = m.Block.Root
		out.Send("chain", &v)
	case *message.PlanPeg:
		b.plans = append(b.plans, *m)
		plan := b.plan
		plan.Slot, plan.Parent = m.Slot, m.Parent
		out.Send("chain", &plan)
	case *message.SignPayments:
		b.orders = append(b.orders, *m)
	}
}

// paperState is empty: what the stand-in remembers is the test's.
type paperState struct{}

// Clone implements core.State.
func (s paperState) Clone() core.State { return s }

// Walk implements core.State.
func (paperState) Walk(func(key, value []byte) error) error { return nil }

// Load implements core.State.
func (paperState) Load([]byte, []byte, record.Resolver) error { return nil }
