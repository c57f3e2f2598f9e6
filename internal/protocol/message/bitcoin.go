package message

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// What the Bitcoin network made of a transaction.
const (
	BroadcastAccepted  uint8 = 1 // in the mempool, or was already
	BroadcastConfirmed uint8 = 2 // in a block already
	BroadcastConflict  uint8 = 3 // an input is spent or missing
	BroadcastRefused   uint8 = 4 // by policy or as invalid
	BroadcastAway      uint8 = 5 // the node cannot be asked now
)

// BitcoinID names a Bitcoin block by height and hash, in internal byte order.
type BitcoinID struct {
	Height uint64
	Hash   chainhash.Hash
}

// Fields implements record.Record.
func (m *BitcoinID) Fields(f *record.Fields) {
	f.Uint64(1, &m.Height)
	f.Fixed(2, m.Hash[:])
}

// FollowBitcoin is an expiring effect: answer with BitcoinFollowed when the Bitcoin node's
// best chain has blocks beyond the first of Known that is on it, when it left Known, when
// its tip is another than Tip, or when Bitcoin transactions were asked about; with
// BitcoinAway when that cannot be told.
type FollowBitcoin struct {
	Known []BitcoinID // blocks that were followed, highest first; empty at the beginning
	From  uint64      // the first height to be read when Known is empty
	Tip   *BitcoinID  // the last tip that was told
}

// Type implements core.Message.
func (*FollowBitcoin) Type() string { return "follow_bitcoin" }

// Schema implements core.Message.
func (*FollowBitcoin) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FollowBitcoin) Fields(f *record.Fields) {
	record.List(f, 1, &m.Known)
	f.Uint64(2, &m.From)
	record.Optional(f, 3, &m.Tip)
}

// BitcoinFollowed answers FollowBitcoin.
type BitcoinFollowed struct {
	Ancestor *BitcoinID     // the highest of Known on the best chain; nil when there is none
	Blocks   []BitcoinBlock // those after it, lowest first, without a gap; not all of them at once
	Tip      *BitcoinID     // of the best chain
	FeeRate  uint64         // estimate for the next block in satoshi per 1000 vbytes; zero when the node has none
	Network  string         // the node's chain: main, test, signet, regtest
	Syncing  bool           // the node is in its initial download
}

// Type implements core.Message.
func (*BitcoinFollowed) Type() string { return "bitcoin_followed" }

// Schema implements core.Message.
func (*BitcoinFollowed) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *BitcoinFollowed) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Ancestor)
	record.List(f, 2, &m.Blocks)
	record.Optional(f, 3, &m.Tip)
	f.Uint64(4, &m.FeeRate)
	f.String(5, &m.Network)
	f.Bool(6, &m.Syncing)
}

// BitcoinBlock is a Bitcoin block with those of its transactions that pay the federation or
// spend its coins.
type BitcoinBlock struct {
	Height       uint64
	Hash         chainhash.Hash
	Header       [80]byte // 80 bytes
	Transactions []BitcoinTransaction
}

// Fields implements record.Record.
func (m *BitcoinBlock) Fields(f *record.Fields) {
	f.Uint64(1, &m.Height)
	f.Fixed(2, m.Hash[:])
	f.Fixed(3, m.Header[:])
	record.List(f, 4, &m.Transactions)
}

// BitcoinTransaction is a transaction with its place in its block.
type BitcoinTransaction struct {
	Raw    record.Content // with witnesses
	Index  uint32         // in the block
	Branch []SigHash      // Merkle branch from the txid to the header's root, lowest first
}

// Fields implements record.Record.
func (m *BitcoinTransaction) Fields(f *record.Fields) {
	f.Content(1, &m.Raw)
	f.Uint32(2, &m.Index)
	record.List(f, 3, &m.Branch)
}

// BitcoinAway answers FollowBitcoin when the node cannot be asked or is not what it should be.
type BitcoinAway struct {
	Grade  uint8 // Temporary: asked again; Invalid: the operator must act, for example on a node of another network
	Reason string
}

// Type implements core.Message.
func (*BitcoinAway) Type() string { return "bitcoin_away" }

// Schema implements core.Message.
func (*BitcoinAway) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BitcoinAway) Fields(f *record.Fields) {
	f.Uint8(1, &m.Grade)
	f.String(2, &m.Reason)
}

// FetchTransaction is an until-done effect: a transaction by its block.
type FetchTransaction struct {
	Txid  chainhash.Hash
	Block chainhash.Hash
}

// Type implements core.Message.
func (*FetchTransaction) Type() string { return "fetch_transaction" }

// Schema implements core.Message.
func (*FetchTransaction) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FetchTransaction) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Block[:])
}

// TransactionFetched answers FetchTransaction.
type TransactionFetched struct {
	Txid   chainhash.Hash
	Block  chainhash.Hash
	Height uint64         // of the block
	Raw    record.Content // with witnesses
}

// Type implements core.Message.
func (*TransactionFetched) Type() string { return "transaction_fetched" }

// Schema implements core.Message.
func (*TransactionFetched) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *TransactionFetched) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Block[:])
	f.Uint64(3, &m.Height)
	f.Content(4, &m.Raw)
}

// TransactionMissing answers FetchTransaction when the node does not give it now: unknown or
// pruned block, a transaction that is not in it, the node away. It is asked again later.
type TransactionMissing struct {
	Txid   chainhash.Hash
	Block  chainhash.Hash
	Reason string
}

// Type implements core.Message.
func (*TransactionMissing) Type() string { return "transaction_missing" }

// Schema implements core.Message.
func (*TransactionMissing) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *TransactionMissing) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Block[:])
	f.String(3, &m.Reason)
}

// BroadcastTransaction is an until-done effect: give a transaction to the Bitcoin network.
type BroadcastTransaction struct {
	Txid chainhash.Hash
	Raw  record.Content // with witnesses
}

// Type implements core.Message.
func (*BroadcastTransaction) Type() string { return "broadcast_transaction" }

// Schema implements core.Message.
func (*BroadcastTransaction) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BroadcastTransaction) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Content(2, &m.Raw)
}

// TransactionBroadcast answers BroadcastTransaction.
type TransactionBroadcast struct {
	Txid    chainhash.Hash
	Outcome uint8 // one of the Broadcast constants
	Reason  string
}

// Type implements core.Message.
func (*TransactionBroadcast) Type() string { return "transaction_broadcast" }

// Schema implements core.Message.
func (*TransactionBroadcast) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *TransactionBroadcast) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Uint8(2, &m.Outcome)
	f.String(3, &m.Reason)
}
