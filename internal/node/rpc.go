package node

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// rpcBackend is what the miners' port asks this node for. It implements rpc.Backend.
type rpcBackend struct {
	n       *Node
	deposit string
	chainID uint32
	handed  []rpc.Work
}

// openRPC opens the miners' port, unless it is off. That the default address is taken
// is a warning: several nodes may run on one machine.
func (n *Node) openRPC() error {
	n.backend = &rpcBackend{n: n} // the control socket asks it too
	if err := n.backend.prepare(); err != nil {
		return err
	}
	if n.opt.RPC.Addr == "" {
		return nil
	}
	o := n.opt.RPC
	o.Backend, o.Logger = n.backend, n.log.With("actor", "rpc")
	if o.Observe == nil {
		o.Observe = n.opt.Telemetry.Metrics.RPC
	}
	server, err := rpc.Listen(o)
	if err != nil && n.opt.RPCMayFail {
		n.log.Warn("no RPC in this run", "error", err)
		return nil
	}
	n.rpc = server
	return err
}

// prepare takes what the recovered states say.
func (b *rpcBackend) prepare() error {
	c, _, err := b.n.Rules()
	if err != nil {
		return err
	}
	federation, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		return err
	}
	if b.deposit, err = federation.Address(b.n.bitcoinNetwork()); err != nil {
		return err
	}
	b.chainID = c.ChainID
	state := b.n.recovered.Machine.State(miner.ID).(*miner.State)
	for _, t := range state.Stale {
		b.handed = append(b.handed, rpc.Work{Hash: t.Hash})
	}
	for _, t := range state.Templates {
		b.handed = append(b.handed, rpc.Work{
			Hash: t.Hash, ChainID: c.ChainID, RangeStart: t.RangeStart, RangeEnd: t.RangeEnd, Height: t.Height, Bits: t.Bits,
		})
	}
	return nil
}

// RPCAddr is where the miners' port listens; empty when it is off.
func (n *Node) RPCAddr() string {
	if n.rpc == nil {
		return ""
	}
	return n.rpc.Addr().String()
}

// DepositAddress implements rpc.Backend.
func (b *rpcBackend) DepositAddress() string { return b.deposit }

// Head implements rpc.Backend.
func (b *rpcBackend) Head(context.Context) (*rpc.Block, error) { return b.block(b.n.headBlock()) }

// BlockByHeight implements rpc.Backend.
func (b *rpcBackend) BlockByHeight(ctx context.Context, height uint64) (*rpc.Block, error) {
	return b.block(b.n.blockAt(ctx, height))
}

// BlockByHash implements rpc.Backend.
func (b *rpcBackend) BlockByHash(ctx context.Context, root common.Hash) (*rpc.Block, error) {
	f, err := b.n.blockOf(ctx, root)
	if err != nil || f == nil {
		return nil, err
	}
	number := f.block.Block.Payload.BlockNumber
	on, err := b.n.blockAt(ctx, number)
	if err != nil {
		return nil, err
	}
	connected := on != nil && on.root == root
	return &rpc.Block{Root: root, Signed: f.block, Connected: connected, Finalized: connected && number <= b.n.view.snapshot().Finalized.Number}, nil
}

func (b *rpcBackend) block(f *foundBlock, err error) (*rpc.Block, error) {
	if err != nil || f == nil {
		return nil, err
	}
	final := f.block.Block.Payload.BlockNumber <= b.n.view.snapshot().Finalized.Number
	return &rpc.Block{Root: f.root, Signed: f.block, Connected: true, Finalized: final}, nil
}

// Finalized implements rpc.Backend.
func (b *rpcBackend) Finalized(ctx context.Context) (*rpc.Block, error) {
	if b.n.view.snapshot().Head.Root == (common.Hash{}) {
		return nil, nil
	}
	return b.block(b.n.blockAt(ctx, b.n.view.snapshot().Finalized.Number))
}

// ChainID implements rpc.Backend.
func (b *rpcBackend) ChainID() uint32 { return b.chainID }

// QueuedWork implements rpc.Backend.
func (b *rpcBackend) QueuedWork(context.Context) (*block.AuxPowHeader, error) {
	return b.n.queuedHeader()
}

// Revision implements rpc.Backend.
func (b *rpcBackend) Revision() uint64 { return b.n.branch.revision.Load() }

// HandedOut implements rpc.Backend.
func (b *rpcBackend) HandedOut() []rpc.Work { return b.handed }

// CreateAuxBlock implements rpc.Backend.
func (b *rpcBackend) CreateAuxBlock(ctx context.Context, recipient common.Address) (*message.AuxBlock, error) {
	answer, err := b.n.ask(ctx, miner.ID, func(request uint64) core.Message {
		return &message.CreateAuxBlock{Request: request, FeeRecipient: recipient}
	})
	if err != nil {
		return nil, err
	}
	return expected[*message.AuxBlock](answer)
}

// SubmitAuxBlock implements rpc.Backend.
func (b *rpcBackend) SubmitAuxBlock(ctx context.Context, m *message.SubmitAuxBlock) (*message.AuxBlockJudged, error) {
	answer, err := b.n.ask(ctx, miner.ID, func(request uint64) core.Message {
		asked := *m
		asked.Request = request
		return &asked
	})
	if err != nil {
		return nil, err
	}
	return expected[*message.AuxBlockJudged](answer)
}

func expected[M core.Message](answer core.Message) (M, error) {
	m, ok := answer.(M)
	if !ok {
		return m, fault.New(fault.Fatal, "the answer is a %q", answer.Type())
	}
	return m, nil
}
