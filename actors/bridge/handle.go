package bridge

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Bridge is the core. Create it with [New].
type Bridge struct{}

// New returns the core.
func New() *Bridge { return &Bridge{} }

// ID implements core.Core.
func (*Bridge) ID() core.ID { return ID }

// NewState implements core.Core.
func (*Bridge) NewState() core.State { return newState() }

// Messages implements core.Core.
func (*Bridge) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.FollowChain{}, &message.JudgePeg{}, &message.PlanPeg{}, &message.SignPayments{}, &message.ResumePeg{},
		&message.BitcoinFollowed{}, &message.BitcoinAway{}, &message.TransactionFetched{}, &message.TransactionMissing{}, &message.TransactionBroadcast{},
		&message.PayoutSigned{}, &message.PayoutRefused{}, &message.SignaturesReceived{},
		&message.TimerFired{}, &core.Expired{},
	}
}

// turn is one turn of the bridge actor: its state and what the turn may use.
type turn struct {
	*State
	core.Turn
	out *core.Out
}

// Handle implements core.Core.
func (*Bridge) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	x := &turn{State: state.(*State), Turn: t, out: out}
	if c, ok := m.(*message.NodeConfigured); ok {
		x.nodeConfigured(c)
	} else if x.rules != nil { // nothing before the configuration has a meaning
		x.handle(m)
	}
	x.tellCurrent()
}

// handle takes what a configured node is told.
func (x *turn) handle(m core.Message) {
	switch m := m.(type) {
	case *message.FollowChain:
		x.followChain(m)
	case *message.JudgePeg:
		x.judgePeg(m)
	case *message.PlanPeg:
		x.planPeg(m)
	case *message.ResumePeg:
		x.resumePeg(m)
	case *message.BitcoinFollowed:
		x.bitcoinFollowed(m)
	case *message.BitcoinAway:
		x.bitcoinAway(m)
	case *message.TransactionFetched:
		x.transactionFetched(m)
	case *message.TransactionMissing:
		x.transactionMissing()
	case *message.TransactionBroadcast:
		x.transactionBroadcast(m)
	case *message.SignPayments:
		x.signPayments(m)
	case *message.PayoutSigned:
		x.payoutSigned(m)
	case *message.PayoutRefused:
		x.payoutRefused(m)
	case *message.SignaturesReceived:
		x.signaturesReceived(m)
	case *message.TimerFired, *core.Expired:
		x.awake()
	}
}

func parseRules(m *message.NodeConfigured) (*ruleset, error) {
	c, _, err := spec.Parse(m.ChainSpec.Data)
	if err != nil {
		return nil, err
	}
	f, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		return nil, err
	}
	return &ruleset{spec: c, federation: f}, nil
}

// nodeConfigured takes the configuration of a run. The chain actor refuses one of
// another chain.
func (x *turn) nodeConfigured(m *message.NodeConfigured) {
	r, err := parseRules(m)
	if err != nil {
		panic("chain spec: " + err.Error())
	}
	x.Config, x.rules = m, r
	x.reconsider()
	x.Following.Fresh, x.Following.Said = false, nil
	x.followBitcoin()
	x.fetchUnknown()
}

// awake goes on after a pause, and after a request that got no answer: the process was
// started again.
func (x *turn) awake() {
	switch {
	case x.Cause.None():
	case x.Cause == x.Following.Pause:
		x.Following.Pause = core.Ref{}
		x.followBitcoin()
	case x.Cause == x.Following.Asked:
		x.Following.Asked = core.Ref{}
		x.pause()
	case x.Cause == x.FetchAt:
		x.FetchAt = core.Ref{}
		x.fetchUnknown()
	case x.Cause == x.Retry:
		x.retry()
	}
}

// next is the ref of the output that is emitted next.
func (x *turn) next() core.Ref {
	return core.Ref{Sequence: x.Sequence, Index: uint32(len(x.out.List()))}
}

// alarm tells of something that should not be, and goes on.
func (x *turn) alarm(rule, reason string, root common.Hash) {
	x.out.Fact(&message.PegAlarm{Rule: rule, Reason: reason, Root: root})
}
