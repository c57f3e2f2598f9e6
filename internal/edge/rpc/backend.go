package rpc

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Backend is what a node offers. Its methods may be called from any goroutine;
// those that only read never wait for the sequencer. A nil block or header means
// that there is none. Errors are graded; their text may be shown to clients.
type Backend interface {
	// DepositAddress is the federation's Bitcoin address.
	DepositAddress() string
	// Head, BlockByHeight and BlockByHash read blocks that are on disk. A height
	// is one of the head's branch; a hash may be of a side block.
	Head(ctx context.Context) (*Block, error)
	BlockByHeight(ctx context.Context, height uint64) (*Block, error)
	BlockByHash(ctx context.Context, root common.Hash) (*Block, error)
	// QueuedWork is the proof that waits to be carried.
	QueuedWork(ctx context.Context) (*block.AuxPowHeader, error)

	// Revision changes whenever the answer to CreateAuxBlock may have: with the
	// head, the finalised block and the queued proof. It is read without waiting.
	Revision() uint64
	// CreateAuxBlock asks the miner actor for work: a turn.
	CreateAuxBlock(ctx context.Context, recipient common.Address) (*message.AuxBlock, error)
	// SubmitAuxBlock hands a proof to the miner actor: a turn.
	SubmitAuxBlock(ctx context.Context, m *message.SubmitAuxBlock) (*message.AuxBlockJudged, error)
	// HandedOut is the work that the miner actor knew when the node was opened.
	HandedOut() []Work
}

// Block is a signed block and what the node knows of it.
type Block struct {
	Root      common.Hash
	Signed    *block.Signed
	Connected bool // on the head's branch
	Finalized bool // at or below the finalised block of that branch
}

// Work is what was handed out for one range of blocks. It does not depend on who
// gets the fees. (consensus.md C13)
type Work struct {
	Hash       [32]byte // commitment, internal order
	ChainID    uint32
	RangeStart common.Hash
	RangeEnd   common.Hash
	Height     uint64
}
