package node

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	ledger "github.com/AnduroProject/alys-go/projections/peg"
)

// LedgerDir returns where the ledger of the peg is. It may be deleted at any time.
func LedgerDir(dataDir string) string { return filepath.Join(dataDir, "ledger") }

// openLedger opens the ledger of the peg. The node works without one: what keeps it from
// being used is a warning.
func (n *Node) openLedger() {
	var job *progress.Job
	l, err := ledger.Open(n.journal, ledger.Options{
		Dir: LedgerDir(n.opt.DataDir), Logger: n.log,
		Progress: func(position, durable uint64) {
			switch {
			case job == nil && durable-min(position, durable) > longBuild:
				job = progress.Start("peg ledger", progress.Options{Logger: n.log, Unit: "events", From: position})
			case job != nil && position >= durable:
				job.Stop()
				job = nil
			}
			if job != nil {
				job.Set(progress.Update{Done: position, Total: durable})
			}
		},
	})
	if err != nil {
		n.log.Warn("there is no ledger of the peg in this run", "error", err)
		return
	}
	n.ledger = l
}

// pegLedger is the ledger, or why there is none.
func (n *Node) pegLedger() (*ledger.Ledger, error) {
	if n.ledger == nil {
		return nil, fault.New(fault.Temporary, "there is no ledger of the peg in this run; the log of the start says why")
	}
	return n.ledger, nil
}

// PegGet implements rpc.PegBackend.
func (b *rpcBackend) PegGet(q ledger.Question) (*ledger.Found, error) {
	l, err := b.n.pegLedger()
	if err != nil {
		return nil, err
	}
	return l.Get(q)
}

// PegList implements rpc.PegBackend.
func (b *rpcBackend) PegList(q ledger.Query) (*ledger.Page, error) {
	l, err := b.n.pegLedger()
	if err != nil {
		return nil, err
	}
	return l.List(q)
}

// PegStatus implements rpc.PegBackend.
func (b *rpcBackend) PegStatus(asOf uint64) (*ledger.Summary, error) {
	l, err := b.n.pegLedger()
	if err != nil {
		return nil, err
	}
	return l.Summary(asOf)
}

// PegReserves implements rpc.PegBackend.
func (b *rpcBackend) PegReserves(ctx context.Context, q rpc.ReservesQuery) (*rpc.Reserves, error) {
	return b.n.reserves(ctx, q)
}

// PegAddress implements rpc.PegBackend.
func (b *rpcBackend) PegAddress(context.Context) (*rpc.PegAddress, []string, error) {
	c, _, err := b.n.Rules()
	if err != nil {
		return nil, nil, err
	}
	l, err := b.n.pegLedger()
	if err != nil {
		return nil, nil, err
	}
	s, err := l.Summary(0)
	if err != nil {
		return nil, nil, err
	}
	missing := b.n.awaited(s)
	if len(missing) > 0 {
		return nil, missing, nil
	}
	return &rpc.PegAddress{
		Address: b.deposit, Network: b.n.bitcoinNetwork().Name, Members: len(c.FederationKeys), Threshold: c.Threshold(), Confirmations: uint64(c.Confirmations),
		Height: b.n.Head().Number, BitcoinHeight: s.Bitcoin.Height,
	}, nil, nil
}

// bitcoinLag is how many blocks a followed Bitcoin may be behind its node.
const bitcoinLag = 1

// awaited is why a deposit that is made now may wait long: what the node is behind with.
func (n *Node) awaited(s *ledger.Summary) (missing []string) {
	add := func(is bool, format string, args ...any) {
		if is {
			missing = append(missing, fmt.Sprintf(format, args...))
		}
	}
	age, old := n.headAge(n.view.snapshot(), time.Now())
	add(n.config.Importing, "blocks are being imported from a legacy store")
	add(old, "the head, block %d, is %s behind the clock", n.Head().Number, age.Round(time.Second))
	add(!n.config.Bitcoin, "this node has no Bitcoin node to ask")
	if n.config.Bitcoin {
		add(s.Bitcoin.Lost != "", "the Bitcoin node cannot be asked: %s", s.Bitcoin.Lost)
		add(s.Bitcoin.Hash == "", "no Bitcoin block has been followed yet")
		add(s.Bitcoin.Height+bitcoinLag < s.Bitcoin.NodeHeight, "Bitcoin is followed to %d of %d", s.Bitcoin.Height, s.Bitcoin.NodeHeight)
	}
	if s.Halted != nil {
		add(true, "the peg is halted: %s", s.Halted.Reason)
	}
	return missing
}

// PegAnswer answers a question about the peg of the control socket, by its name there.
func (n *Node) PegAnswer(ctx context.Context, question string, params json.RawMessage) (any, error) {
	b := n.backend
	switch question {
	case "get":
		return answerTo(params, b.PegGet)
	case "list":
		return answerTo(params, b.PegList)
	case "status":
		return answerTo(params, b.PegStatus)
	case "reserves":
		return answerTo(params, func(q rpc.ReservesQuery) (*rpc.Reserves, error) {
			r, err := b.PegReserves(ctx, q)
			if err == nil && r == nil {
				err = fault.New(fault.CannotJudge, "block %s is not on the head's branch, or its coins are not kept any more", clip(q.Block))
			}
			return r, err
		})
	case "address":
		address, missing, err := b.PegAddress(ctx)
		return PegAddress{PegAddress: address, Deposit: b.deposit, Missing: missing}, err
	case "rebuild":
		l, err := n.pegLedger()
		if err == nil {
			l.Rebuild()
		}
		return struct{}{}, err
	}
	return nil, fault.New(fault.Invalid, "there is no question %q about the peg", clip(question))
}

// PegAddress is the federation's address with whether it is safe to use now.
type PegAddress struct {
	*rpc.PegAddress
	Deposit string   `json:"deposit"`           // the address as legacy gives it, whatever the node's state
	Missing []string `json:"missing,omitempty"` // why no deposit is safe now
}

// answerTo calls f with parameters that were JSON.
func answerTo[Q, A any](params json.RawMessage, f func(Q) (A, error)) (any, error) {
	var q Q
	if len(params) > 0 {
		if err := json.Unmarshal(params, &q); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "question about the peg")
		}
	}
	return f(q)
}

// ResumePeg has the peg go on after a halt by an operator's decision, which becomes a
// turn of the journal with the reason given. ErrRefused: the peg is not halted.
func (n *Node) ResumePeg(ctx context.Context, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	l, err := n.pegLedger()
	if err != nil {
		return err
	}
	s, err := l.Summary(0)
	if err != nil {
		return err
	}
	if s.Halted == nil { // what changes nothing becomes no turn
		return refused("the peg is not halted: there is nothing to resume")
	}
	answer, err := n.ask(ctx, bridge.ID, func(request uint64) core.Message {
		return &message.ResumePeg{Request: request, Reason: reason}
	})
	if err != nil {
		return err
	}
	judged, err := expected[*message.OperatorAnswer](answer)
	switch {
	case err != nil:
		return err
	case !judged.Done:
		return refused("the peg stays as it is: %s", judged.Reason)
	}
	n.log.Warn("the peg goes on by an operator's decision", "reason", reason)
	return nil
}

// pegProblems adds what is wrong with the peg. Bitcoin that is away is the edge's to say.
func (n *Node) pegProblems(p map[health.Code]string) {
	s := n.glance()
	if s == nil {
		return
	}
	if s.Halted != nil {
		p[health.PegHalted] = "the peg is halted since " + s.Halted.Since + ": " + clip(s.Halted.Reason)
	}
	if !s.Wallet.Totals.Exact() {
		p[health.PegUnbalanced] = fmt.Sprintf("the sums of the peg's wallet at block %d do not balance", s.Wallet.Height)
	}
	if b := &s.Bitcoin; n.config.Bitcoin && b.Lost == "" && b.Height+bitcoinLag < b.NodeHeight {
		p[health.BitcoinBehind] = fmt.Sprintf("Bitcoin is followed to %d of %d", b.Height, b.NodeHeight)
	}
}
