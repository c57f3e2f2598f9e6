package chain

import (
	"bytes"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Work is the slow pure work of this core: decoding, and everything that touches
// a signature. The node's looks results up that workers computed ahead and answers
// what the functions of block and aura answer; a simulator's may have signatures
// of its own.
type Work interface {
	// Decode is block.Decode, with the block's root.
	Decode(signed []byte) (*block.Signed, common.Hash, error)
	// Verify is Committee.Verify.
	Verify(c *aura.Committee, a aura.Approvals, root common.Hash) error
	// VerifyApproval is Committee.VerifyApproval.
	VerifyApproval(c *aura.Committee, a aura.Approval, root common.Hash) error
	// Add is Approvals.Add.
	Add(a *aura.Approvals, approval aura.Approval) error
}

// Chain is the core. Create it with [New].
type Chain struct{ work Work }

// New returns the core.
func New(work Work) *Chain { return &Chain{work: work} }

// ID implements core.Core.
func (*Chain) ID() core.ID { return ID }

// NewState implements core.Core.
func (*Chain) NewState() core.State { return newState() }

// Messages implements core.Core.
func (*Chain) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.TimerFired{}, &message.PayloadReady{}, &message.BuildFailed{},
		&message.BlockSigned{}, &message.SignRefused{}, &message.BlocksReceived{}, &message.ApprovalReceived{},
		&message.BlocksExecuted{}, &message.QueueWork{}, &message.LegacyHead{}, &core.Expired{},
		&message.JournalIncident{}, &message.AllowSigning{}, &message.DecideBranch{},
		&message.ApprovalSigned{}, &message.NeverApprove{}, &message.StatementSigned{}, &message.ReleaseLock{},
		&message.PegJudged{}, &message.PegPlanned{},
		&message.MemberHeads{}, &message.BitcoinCurrent{}, &message.AssumeSynced{},
	}
}

// turn is one turn of the chain actor: its state, what the turn may use, and what
// it found out so far.
type turn struct {
	*State
	core.Turn
	out  *core.Out
	work Work

	learnt   []common.Hash                 // blocks that reached their quorum, or were executed with it
	bodies   map[common.Hash]*block.Signed // blocks executed in this turn; looked up only
	faulty   map[common.Hash]bool          // blocks refused in this turn for what their root covers; looked up only
	atFault  common.Hash                   // the last of them
	followed []message.PegBlock            // blocks executed in this turn, for the bridge actor
	asked    int                           // blocks asked for again in this turn
}

// Handle implements core.Core.
func (c *Chain) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	x := &turn{State: state.(*State), Turn: t, out: out, work: c.work, bodies: make(map[common.Hash]*block.Signed), faulty: make(map[common.Hash]bool)}
	switch m := m.(type) {
	case *message.NodeConfigured:
		x.nodeConfigured(m)
	case *message.JournalIncident:
		x.journalIncident(m) // also before the first configuration
	default:
		switch {
		case x.rules == nil: // nothing before the configuration has a meaning
		case x.Conflict != nil:
			x.answerInConflict(m)
		default:
			x.handle(m)
		}
	}
	x.judgeSynced()
	_, started := m.(*message.NodeConfigured)
	x.tellSync(started)
}

// handle takes what a configured node is told.
func (x *turn) handle(m core.Message) {
	switch m := m.(type) {
	case *message.TimerFired:
		x.timerFired(m)
	case *message.PayloadReady:
		x.payloadReady(m)
	case *message.BuildFailed:
		x.buildFailed(m.Slot, m.Reason)
	case *message.BlockSigned:
		x.blockSigned(m)
	case *message.SignRefused:
		x.signRefused(m)
	case *message.BlocksReceived:
		x.blocksReceived(m)
	case *message.ApprovalReceived:
		x.approvalReceived(m)
	case *message.BlocksExecuted:
		x.blocksExecuted(m)
	case *message.QueueWork:
		x.queueWork(m)
	case *message.LegacyHead:
		x.legacyHead(m)
	case *message.AllowSigning:
		x.allowSigning(m)
	case *message.DecideBranch:
		x.decideBranch(m)
	case *message.ApprovalSigned:
		x.approvalSigned(m)
	case *message.NeverApprove:
		x.neverApprove(m)
	case *message.StatementSigned:
		x.statementSigned(m)
	case *message.ReleaseLock:
		x.releaseLock(m)
	case *message.PegJudged:
		x.pegJudged(m)
	case *message.PegPlanned:
		x.pegPlanned(m)
	case *message.MemberHeads:
		x.memberHeads(m)
	case *message.BitcoinCurrent:
		x.bitcoinCurrent(m)
	case *message.AssumeSynced:
		x.assumeSynced(m)
	case *core.Expired: // a slot timer of an earlier run; the configuration armed another
	}
}

func parseRules(m *message.NodeConfigured) (*ruleset, error) {
	c, _, err := spec.Parse(m.ChainSpec.Data)
	if err != nil {
		return nil, err
	}
	committee, err := aura.NewCommittee(c.Authorities)
	if err != nil {
		return nil, err
	}
	return &ruleset{spec: c, committee: committee}, nil
}

// nodeConfigured takes the configuration of a run. The first one makes genesis;
// later ones must keep chain spec and genesis, which the node checks before it
// sends them: a difference here fails the turn.
func (x *turn) nodeConfigured(m *message.NodeConfigured) {
	r, err := parseRules(m)
	if err != nil {
		panic("chain spec: " + err.Error())
	}
	first := x.Config == nil
	if !first && (m.ChainSpec.Hash != x.Config.ChainSpec.Hash || m.GenesisPayload.Hash != x.Config.GenesisPayload.Hash) {
		panic("chain spec or genesis differs from the one this journal began with")
	}
	if b := x.Building; b != nil && (len(b.Unsigned) == 0 || b.Judging || m.Authority != x.Config.Authority || m.Peers) {
		// A build request expires now; the slot is not the new authority's; beside others
		// it is over, and they are listened to first.
		x.Building = nil
		x.skip(b.Slot, "the node was restarted while the block was being made")
	}
	x.Config, x.rules = m, r
	x.dateHold()
	x.Clock = clock{}
	x.beginGate()
	if x.Conflict != nil {
		x.stopInConflict()
		return
	}
	if d := x.Deciding; d != nil {
		x.Deciding = &Decision{Root: d.Root, Reason: d.Reason} // its operator's connection is gone
	}
	x.forgetRequests()
	if first {
		x.importGenesis(m)
	} else {
		x.tellBare()
		x.moveHead()
	}
	x.tellMiner(true, nil)
	x.orderPayments()
	x.readClock()
	x.fetchAgain(true)
}

func (x *turn) importGenesis(m *message.NodeConfigured) {
	payload, err := block.DecodePayload(m.GenesisPayload.Data)
	if err != nil {
		panic("genesis payload: " + err.Error())
	}
	g := block.Genesis(x.rules.spec, *payload)
	root := g.Block.Root()
	e := x.newEntry(&g.Block, g.Approvals, root, nil)
	e.Status = Connected
	e.StateRoot = payload.StateRoot
	x.put(e)
	x.Genesis = root
	x.Head, x.Finalized, x.LatestPow = e.id(), e.id(), e.id()
	x.factConnected(e, record.Content{}, len(payload.Transactions))
	x.factHead(new(movement))
	x.follow(&g.Block, e, record.Content{})
	x.tellBridge(true)
}

// blocksReceived judges blocks in order and draws the conclusions.
func (x *turn) blocksReceived(m *message.BlocksReceived) {
	var fault common.Hash
	for _, b := range m.Blocks {
		if m.Origin == Sync && x.standsOnFaulty(b.Signed.Data) {
			continue
		}
		x.atFault = common.Hash{}
		ok := x.accept(Executing{Signed: b.Signed, HasFees: b.HasFees, Fees: b.Fees}, m.Origin)
		if fault == (common.Hash{}) && !ok {
			fault = x.atFault
		}
		if !ok && m.Origin == Legacy {
			break // each block stands on the one before it
		}
	}
	x.blame(m, fault)
	x.settle()
}

// standsOnFaulty reports whether a block stands on one that this turn found to be
// at fault, and counts it among them: what a peer sends in one answer is one
// branch most of the time.
func (x *turn) standsOnFaulty(signed []byte) bool {
	if len(x.faulty) == 0 {
		return false
	}
	b, root, err := x.work.Decode(signed)
	if err != nil || !x.faulty[b.Block.ParentHash] {
		return false
	}
	x.faulty[root] = true
	return true
}

// queueWork takes a proof that the miner actor has checked, checks it again
// against the head of now, and keeps it for the next block. The last valid one
// wins, except over the same range: the proof does not commit to the fee
// recipient, so a copy with another one would take the fees. (C13, C17)
func (x *turn) queueWork(m *message.QueueWork) {
	h, err := block.DecodeAuxPowHeader(m.Header)
	if err != nil {
		x.workJudged(m, auxpow.MalformedProof, err.Error())
		return
	}
	refuse := func(check auxpow.Reject, reason string) {
		x.out.Fact(&message.WorkDropped{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd, Reason: reason, Refused: true})
		x.workJudged(m, check, reason)
	}
	head := x.Entry(x.Head.Root)
	if _, v := x.judge().CheckProof(h, &head.Ancestor, x); !v.Valid() {
		refuse(auxpow.RefusedByChain, v.Reason)
		return
	}
	if waiting := x.usableWork(head); waiting != nil && waiting.RangeStart == h.RangeStart && waiting.RangeEnd == h.RangeEnd {
		refuse(auxpow.DuplicateWork, "a proof for this range waits already")
		return
	}
	x.notice(h)
	if first, _ := x.recipient(h); first != h.FeeRecipient {
		refuse(auxpow.DuplicateWork, fmt.Sprintf("the proof for this range named %s when it was seen first", first))
		return
	}
	x.Work = bytes.Clone(m.Header)
	if !x.Cause.None() { // from our miner actor, not from a peer
		x.out.Effect(PeersEdge, core.FireAndForget, &message.PublishWork{Header: x.Work})
	}
	x.out.Fact(&message.WorkQueued{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd, Height: h.Height})
	x.tellMiner(false, nil)
	x.workJudged(m, "", "")
	x.orderPayments()
}

// workJudged answers the miner actor when somebody waits for the verdict; the empty
// check says that the proof is queued.
func (x *turn) workJudged(m *message.QueueWork, check auxpow.Reject, reason string) {
	if m.Request != 0 {
		x.out.Send(miner, &message.WorkJudged{Request: m.Request, Accepted: check == "", Check: string(check), Reason: reason})
	}
}
