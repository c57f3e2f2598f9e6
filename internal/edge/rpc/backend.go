package rpc

import (
	"context"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/projections/peers"
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
	// Finalized is the last final block.
	Finalized(ctx context.Context) (*Block, error)
	// ChainID is the merge-mining chain id of the chain specification.
	ChainID() uint32
	// QueuedWork is the proof that waits to be carried.
	QueuedWork(ctx context.Context) (*block.AuxPowHeader, error)

	// Revision changes whenever the answer to CreateAuxBlock may have: with the
	// head, the finalised block and the queued proof. It is read without waiting.
	Revision() uint64
	// CreateAuxBlock asks the miner actor for work: a turn.
	CreateAuxBlock(ctx context.Context, recipient common.Address) (*message.AuxBlock, error)
	// SubmitAuxBlock hands a proof to the miner actor: a turn.
	SubmitAuxBlock(ctx context.Context, m *message.SubmitAuxBlock) (*message.AuxBlockJudged, error)
	// HandedOut is the work that the miner actor knew when the node was opened. Work
	// that is stale has no range.
	HandedOut() []Work

	// JournalHead, JournalEvent and JournalFind read what is on disk. An event that
	// is not there is nil. A page ends early when it reaches maxBytes.
	JournalHead() JournalHead
	JournalEvent(ctx context.Context, sequence uint64) (json.RawMessage, error)
	JournalFind(ctx context.Context, q EventQuery, maxBytes int) (*EventPage, error)

	PegBackend

	// Peers and Bans read the record of peers.
	Peers(q peers.Query) (*peers.List, error)
	Bans() (*peers.Bans, error)

	// Status is what alys status --json shows, and Health what /readyz does.
	Status(ctx context.Context) (json.RawMessage, error)
	Health() Health
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
	Bits       uint32 // when it was handed out; 0 when that is not known any more
}
