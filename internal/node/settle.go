package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/internal/settle"
	"github.com/AnduroProject/alys-go/snapshot"
)

// settledDir is where a data directory keeps the states that it offers to others.
const settledDir = "settled"

// settleLook is how often a node looks whether there is a state to settle.
const settleLook = 15 * time.Second

// settleStates makes the state at each settled height once a snapshot has it final, and
// states it if this node is a member. It reads the snapshot from disk: the sequencer does not wait.
func (n *Node) settleStates(ctx context.Context) error {
	ticks := time.NewTicker(n.opt.SettleLook)
	defer ticks.Stop()
	var looked uint64 // sequence of the last snapshot
	for {
		if all, err := n.snapshots.List(); err == nil && len(all) > 0 && all[0].Sequence > looked {
			looked = all[0].Sequence
			if err := n.settle(all[0]); fault.Is(err, fault.CannotJudge) {
				n.log.Debug("no state is settled", "reason", err)
			} else if err != nil {
				n.log.Warn("no state is settled", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// settle makes the state at the highest settled height that a snapshot has final.
func (n *Node) settle(m snapshot.Manifest) error {
	final := n.view.snapshot().Finalized.Number
	newest := n.settled.Newest()
	if final-final%n.opt.SettleEvery <= newest || restart.BehaviourOf(m) != Behaviour {
		return nil
	}
	resolve := func(h [32]byte) ([]byte, error) { return n.journal.Content(h) }
	c, err := chainOf(n.snapshots, m, resolve)
	if err != nil {
		return err
	}
	number := c.Finalized.Number - c.Finalized.Number%n.opt.SettleEvery
	if number <= newest {
		return nil
	}
	b, err := bridgeOf(n.snapshots, m, resolve)
	if err != nil {
		return err
	}
	started := time.Now()
	made, err := settle.Make(c, b, number, resolve)
	if err != nil {
		return err
	}
	statement := checkpoint.Statement{Claim: made.Claim}
	if n.config.HasAuthority && n.opt.AuthorityKey != nil && !n.view.snapshot().Signing.Held {
		statement = checkpoint.Sign(made.Claim, uint8(n.config.Authority), *n.opt.AuthorityKey)
	}
	if err := n.settled.Keep(made, statement); err != nil {
		return err
	}
	n.log.Info("settled the state at a final block", "height", number, "root", made.Claim.Root, "parts", len(made.Parts), "stated", !statement.Signature.None(), "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// openSettled opens the states that this node offers, and what its journal began with.
func (n *Node) openSettled() (err error) {
	if n.opt.SettleEvery > chain.SettledEvery {
		return fault.New(fault.Invalid, "states are settled every %d blocks, at most every %d: a node keeps no more below its finalised block", n.opt.SettleEvery, chain.SettledEvery)
	}
	if n.settled, err = settle.OpenStore(filepath.Join(n.opt.DataDir, settledDir)); err != nil {
		return err
	}
	n.audit, err = openAudit(n.opt.DataDir)
	return err
}

// answerCheckpoint answers a peer's request of package checkpoint. It does not wait for the
// sequencer. Invalid: it is no request.
func (n *Node) answerCheckpoint(request []byte) ([]byte, error) {
	m, err := checkpoint.Unpack(request)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *checkpoint.AskJournal:
		return checkpoint.Pack(n.answerJournal(m)), nil
	case *checkpoint.Cosigned:
		return checkpoint.Pack(n.takeCosigned(m)), nil
	}
	if answer := n.settled.Answer(m); answer != nil {
		return checkpoint.Pack(answer), nil
	}
	return nil, fault.New(fault.Invalid, "checkpoint: %T is no request", m)
}
