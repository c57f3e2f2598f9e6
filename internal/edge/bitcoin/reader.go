package bitcoin

import (
	"bytes"
	"context"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of one answer: blocks, bytes read from the node, and bytes of transactions in it,
// of which the last block may bring 4,000,000 more.
const (
	maxBlocks = 256
	maxRead   = 64 << 20
	maxKept   = 4 << 20

	// movedAgain is how often a chain may move while it is read before the answer waits.
	movedAgain = 3
)

// Reader answers the bridge actor's effects on the Bitcoin chain. It may be used from any
// goroutine.
type Reader struct {
	node       Node
	federation *peg.Federation
	network    string
}

// NewReader returns a reader of a node of a network: main, test, signet or regtest.
func NewReader(node Node, federation *peg.Federation, network string) *Reader {
	return &Reader{node: node, federation: federation, network: network}
}

// Info asks the node what it is, and refuses one of another network.
func (r *Reader) Info(ctx context.Context) (Info, error) {
	info, err := r.node.Info(ctx)
	if err != nil {
		return info, err
	}
	if info.Network != r.network {
		return info, fault.New(fault.Invalid, "the Bitcoin node is of network %s, this node of %s: check bitcoin-rpc-url and bitcoin.network", printable(info.Network), r.network)
	}
	return info, nil
}

// Follow answers a FollowBitcoin: the blocks after the highest known one that is on the
// best chain, lowest first, not all of them at once. It is nil while there is nothing new.
// Errors: Temporary when the node is away, is behind what was followed, or its chain moves
// on and on; Invalid when it is of another network or has pruned what is next.
func (r *Reader) Follow(ctx context.Context, m *message.FollowBitcoin) (*message.BitcoinFollowed, error) {
	for range movedAgain {
		info, err := r.Info(ctx)
		if err != nil {
			return nil, err
		}
		followed, err := r.follow(ctx, m, &info)
		if err == nil || !fault.Is(err, fault.CannotJudge) {
			return followed, err
		}
		// The chain moved: what was there a moment ago is not any more.
	}
	return nil, fault.New(fault.Temporary, "the Bitcoin node's chain moved %d times while it was read", movedAgain)
}

// follow answers for the chain with the tip of info. CannotJudge is a chain that moved.
func (r *Reader) follow(ctx context.Context, m *message.FollowBitcoin, info *Info) (*message.BitcoinFollowed, error) {
	news := m.Tip == nil || m.Tip.Hash != info.Tip
	if !news && len(m.Known) > 0 && m.Known[0].Hash == info.Tip {
		return nil, nil
	}
	if len(m.Known) > 0 && info.Height < m.Known[0].Height {
		// A node prefers more work, so a shorter chain is an unfinished one.
		return nil, fault.New(fault.Temporary, "the Bitcoin node is at height %d, below block %d that was followed: it is synchronising anew", info.Height, m.Known[0].Height)
	}
	ancestor, err := r.ancestor(ctx, m.Known)
	if err != nil {
		return nil, err
	}
	answer := &message.BitcoinFollowed{Ancestor: ancestor, Tip: &message.BitcoinID{Height: info.Height, Hash: info.Tip}, Network: info.Network, Syncing: info.Syncing}
	next := m.From
	if ancestor != nil {
		next = ancestor.Height + 1
	}
	if info.Pruned && next < info.PruneHeight {
		return nil, fault.New(fault.Invalid, "the Bitcoin node has pruned blocks below height %d and block %d is next to be read: use a node that has it, or raise bitcoinStartHeight of a new chain", info.PruneHeight, next)
	}
	if answer.Blocks, err = r.blocks(ctx, ancestor, next, info); err != nil {
		return nil, err
	}
	if !news && len(answer.Blocks) == 0 {
		return nil, nil
	}
	answer.FeeRate, err = r.node.FeeRate(ctx)
	return answer, err
}

// ancestor returns the highest known block on the best chain; nil when there is none.
// known is highest first.
func (r *Reader) ancestor(ctx context.Context, known []message.BitcoinID) (*message.BitcoinID, error) {
	for i := range known {
		hash, err := r.node.BlockHash(ctx, known[i].Height)
		if err != nil {
			return nil, err
		}
		if hash == known[i].Hash {
			return &known[i], nil
		}
	}
	return nil, nil
}

// blocks reads blocks from a height on, at most to the tip of info.
func (r *Reader) blocks(ctx context.Context, ancestor *message.BitcoinID, next uint64, info *Info) (blocks []message.BitcoinBlock, err error) {
	var before *chainhash.Hash
	if ancestor != nil {
		before = &ancestor.Hash
	}
	for read, kept := 0, 0; next <= info.Height && len(blocks) < maxBlocks && read < maxRead && kept < maxKept; next++ {
		hash, err := r.node.BlockHash(ctx, next)
		if err != nil {
			return nil, err
		}
		raw, err := r.node.Block(ctx, hash)
		if err != nil {
			return nil, r.unreadable(err, next)
		}
		b, err := r.read(raw, next, hash)
		if err != nil {
			return nil, err
		}
		if before != nil && chainhash.Hash(b.Header[4:36]) != *before || next == info.Height && hash != info.Tip {
			return nil, fault.New(fault.CannotJudge, "Bitcoin block %d %s does not follow %v", next, hash, before)
		}
		read += len(raw)
		for i := range b.Transactions {
			kept += len(b.Transactions[i].Raw.Data)
		}
		before = &hash
		blocks = append(blocks, *b)
	}
	return blocks, nil
}

// unreadable is the error of a block that the node names and does not give. A chain that
// moved is no reason: nodes keep side blocks.
func (r *Reader) unreadable(err error, height uint64) error {
	if !fault.Is(err, fault.CannotJudge) {
		return err
	}
	return fault.New(fault.Temporary, "Bitcoin block %d: %w; a node that has pruned it cannot serve", height, err)
}

// read checks a block against its header and takes out what concerns the federation.
func (r *Reader) read(raw []byte, height uint64, hash chainhash.Hash) (*message.BitcoinBlock, error) {
	s, err := r.federation.ScanBlock(raw)
	if err != nil {
		return nil, fault.New(fault.Temporary, "the Bitcoin node's block at height %d: %w", height, err)
	}
	if s.Hash != hash {
		return nil, fault.New(fault.Temporary, "the Bitcoin node gives block %s for %s at height %d", s.Hash, hash, height)
	}
	b := &message.BitcoinBlock{Height: height, Hash: hash, Header: s.Header}
	for _, found := range s.Found {
		branch, err := peg.MerkleBranch(s.Txids, int(found.Index))
		if err != nil {
			return nil, err
		}
		tx := message.BitcoinTransaction{Raw: record.NewContent(bytes.Clone(found.Raw)), Index: found.Index}
		for _, sibling := range branch {
			tx.Branch = append(tx.Branch, message.SigHash{Value: sibling})
		}
		b.Transactions = append(b.Transactions, tx)
	}
	return b, nil
}

// Fetch answers a FetchTransaction. The height is 0 when the node does not know the block
// or its height. Errors: Temporary when the node is away, CannotJudge when it does not have
// the transaction.
func (r *Reader) Fetch(ctx context.Context, m *message.FetchTransaction) (*message.TransactionFetched, error) {
	if _, err := r.Info(ctx); err != nil {
		return nil, err
	}
	raw, err := r.node.Transaction(ctx, m.Txid, m.Block)
	if err != nil {
		return nil, err
	}
	answer := &message.TransactionFetched{Txid: m.Txid, Block: m.Block, Raw: record.NewContent(raw)}
	switch header, err := r.node.Header(ctx, m.Block); {
	case err == nil:
		answer.Height = header.Height
	case !fault.Is(err, fault.CannotJudge):
		return nil, err
	}
	return answer, nil
}

// Broadcast answers a BroadcastTransaction, whose transaction is raw.
func (r *Reader) Broadcast(ctx context.Context, txid chainhash.Hash, raw []byte) *message.TransactionBroadcast {
	answer := &message.TransactionBroadcast{Txid: txid}
	_, err := r.Info(ctx)
	if err == nil {
		answer.Outcome, answer.Reason, err = r.node.Send(ctx, raw)
	}
	if err != nil {
		answer.Outcome, answer.Reason = message.BroadcastAway, err.Error()
	}
	return answer
}

// NetworkName is what nodes call a network.
func NetworkName(p *chaincfg.Params) string { return networkName(p.Name) }
