package bitcoin

import (
	"context"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// Node is a Bitcoin node: Bitcoin Core or btcd over JSON-RPC, or the chain in this
// process. Hashes are in internal byte order. Errors are graded: Temporary when the
// node is away or warming up, CannotJudge when it does not have what was asked for
// (not yet, pruned, stale, no index), Invalid when it is the wrong node or refuses us.
type Node interface {
	// Info says what the node is and how far it is.
	Info(ctx context.Context) (Info, error)
	// BlockHash returns the hash of the best chain's block at a height.
	BlockHash(ctx context.Context, height uint64) (chainhash.Hash, error)
	// Header returns a block's header; of one off the best chain too.
	Header(ctx context.Context, block chainhash.Hash) (Header, error)
	// Block returns a block in Bitcoin's serialization, witnesses included.
	Block(ctx context.Context, block chainhash.Hash) ([]byte, error)
	// Transaction returns a transaction of a block, with witnesses; when the node lacks
	// the block and finds the transaction otherwise, that.
	Transaction(ctx context.Context, txid, block chainhash.Hash) ([]byte, error)
	// Send gives a transaction to the network. The outcome is one of
	// message.Broadcast…; the error is nil unless the node is away.
	Send(ctx context.Context, tx []byte) (outcome uint8, reason string, err error)
	// FeeRate estimates what the next block takes, in satoshi per 1000 vbytes; zero
	// when the node has no estimate.
	FeeRate(ctx context.Context) (uint64, error)
	// Close ends the connection.
	Close() error
}

// Info is the state of a node.
type Info struct {
	Network  string // main, test, signet, regtest, simnet
	Software string
	Height   uint64
	Tip      chainhash.Hash
	Headers  uint64 // how far the node knows headers
	Syncing  bool   // it is in its initial download
	// Pruned: blocks below PruneHeight are gone.
	Pruned      bool
	PruneHeight uint64
	TxIndex     bool
}

// Header is a block header with its place.
type Header struct {
	Raw    [80]byte
	Height uint64
	// Confirmations counts the block itself; -1 is off the best chain. (peg.md A4)
	Confirmations int64
}
