package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Blocks hands blocks of a legacy store to the chain actor; it waits while the
// node is busy. It implements migration.Target.
func (n *Node) Blocks(ctx context.Context, m *message.BlocksReceived) error {
	n.memo.Prepare(m)
	n.opt.Telemetry.Metrics.Received(m)
	return n.runtime.Submit(ctx, chain.ID, m, actors.Normal, actors.Block)
}

// settleLimit is how long the end of an import waits for the execution layer.
const settleLimit = 30 * time.Second

// LegacyHead hands over what the legacy store says of its head, once the execution
// layer has followed to it: the directory is whole when the import ends, and one
// store gives one journal.
func (n *Node) LegacyHead(ctx context.Context, m *message.LegacyHead) error {
	for limit := time.Now().Add(settleLimit); n.runtime.Counts().Pending > 0; {
		if time.Now().After(limit) {
			n.log.Warn("the execution layer does not follow the imported head yet; it will at the next start")
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return n.runtime.Submit(ctx, chain.ID, m, actors.Normal, actors.Block)
}

// CreateAuxBlock asks the miner actor for work. It implements mergeminer.Client.
func (n *Node) CreateAuxBlock(ctx context.Context, recipient common.Address) (mergeminer.Template, error) {
	answer, err := n.ask(ctx, miner.ID, func(request uint64) core.Message {
		return &message.CreateAuxBlock{Request: request, FeeRecipient: recipient}
	})
	if err != nil {
		return mergeminer.Template{}, err
	}
	work, ok := answer.(*message.AuxBlock)
	if !ok || work.Error != "" {
		return mergeminer.Template{}, fmt.Errorf("%w: %s", mergeminer.ErrNothingToMine, work.Error)
	}
	return mergeminer.Template{Hash: chainhash.Hash(work.Hash), ChainID: work.ChainID, Bits: work.Bits, Height: work.Height}, nil
}

// SubmitAuxBlock hands in a proof. It implements mergeminer.Client.
func (n *Node) SubmitAuxBlock(ctx context.Context, hash chainhash.Hash, proof *auxpow.AuxPow) error {
	answer, err := n.ask(ctx, miner.ID, func(request uint64) core.Message {
		return &message.SubmitAuxBlock{Request: request, Hash: hash, AuxPow: proof.Namecoin()}
	})
	if err != nil {
		return err
	}
	if judged, ok := answer.(*message.AuxBlockJudged); !ok || !judged.Accepted {
		return fault.New(fault.Invalid, "proof refused: %s", judged.Reason)
	}
	return nil
}

// ask puts a request before an actor and waits for its answer.
func (n *Node) ask(ctx context.Context, to core.ID, m func(request uint64) core.Message) (core.Message, error) {
	request, answer, done := n.answers.open()
	defer done()
	asked := m(request)
	n.opt.Telemetry.Metrics.Received(asked)
	if err := n.runtime.Submit(ctx, to, asked, actors.Low, actors.Reject); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Temporary, ctx.Err(), "waiting for the "+string(to)+" actor")
	}
}
