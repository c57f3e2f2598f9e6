package bridge

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// told is a Bitcoin block that the edge told, read.
type told struct {
	*message.BitcoinBlock
	previous chainhash.Hash
	txs      []*wire.MsgTx
	txids    []chainhash.Hash
}

func (b *told) id() message.BitcoinID {
	return message.BitcoinID{Height: b.Height, Hash: b.Hash}
}

// readBlocks reads blocks and checks that each header has its hash, each stands on the
// one before it, and each transaction is in its block.
func readBlocks(list []message.BitcoinBlock) ([]told, error) {
	blocks := make([]told, len(list))
	for i := range list {
		b := told{BitcoinBlock: &list[i]}
		var header wire.BlockHeader
		if err := header.Deserialize(bytes.NewReader(b.Header[:])); err != nil {
			return nil, fault.Wrap(fault.Temporary, err, fmt.Sprintf("header of Bitcoin block %s at %d", b.Hash, b.Height))
		}
		if hash := header.BlockHash(); hash != b.Hash {
			return nil, fault.New(fault.Temporary, "the header of Bitcoin block %s at %d is that of %s", b.Hash, b.Height, hash)
		}
		b.previous = header.PrevBlock
		if i > 0 && (b.previous != blocks[i-1].Hash || b.Height != blocks[i-1].Height+1) {
			return nil, fault.New(fault.Temporary, "Bitcoin block %s at %d does not follow block %s at %d", b.Hash, b.Height, blocks[i-1].Hash, blocks[i-1].Height)
		}
		for k := range b.Transactions {
			t := &b.Transactions[k]
			tx, err := readTransaction(t.Raw.Data)
			if err != nil {
				return nil, fault.Wrap(fault.Temporary, err, fmt.Sprintf("transaction %d of Bitcoin block %s at %d", t.Index, b.Hash, b.Height))
			}
			if !possible(tx) {
				return nil, fault.New(fault.Temporary, "transaction %d of Bitcoin block %s at %d pays amounts that do not exist", t.Index, b.Hash, b.Height)
			}
			txid := tx.TxHash()
			branch := make([]chainhash.Hash, len(t.Branch))
			for l := range t.Branch {
				branch[l] = t.Branch[l].Value
			}
			if err := peg.CheckBranch(txid, tx.SerializeSizeStripped(), t.Index, branch, header.MerkleRoot); err != nil {
				return nil, fault.Wrap(fault.Temporary, err, fmt.Sprintf("transaction %s of Bitcoin block %s at %d", txid, b.Hash, b.Height))
			}
			b.txs, b.txids = append(b.txs, tx), append(b.txids, txid)
		}
		blocks[i] = b
	}
	return blocks, nil
}

// take checks an answer against what was followed and takes it, or returns why not.
func (x *turn) take(m *message.BitcoinFollowed) error {
	b := &x.Following
	switch {
	case m.Tip == nil:
		return fault.New(fault.Temporary, "the Bitcoin node tells no tip")
	case b.Network != "" && m.Network != b.Network:
		return fault.New(fault.Invalid, "the Bitcoin node is of network %q, followed was %q: configure a node of that network", m.Network, b.Network)
	}
	blocks, err := readBlocks(m.Blocks)
	if err != nil {
		return err
	}
	if !b.HasTop {
		return x.takeFirst(m, blocks)
	}
	if m.Ancestor == nil {
		return x.takeOther(m)
	}
	if hash, ok := x.bitcoin.Get(m.Ancestor.Height); !ok || hash != m.Ancestor.Hash {
		return fault.New(fault.Temporary, "the Bitcoin node names block %s at %d, which was not followed", m.Ancestor.Hash, m.Ancestor.Height)
	}
	if len(blocks) > 0 && (blocks[0].previous != m.Ancestor.Hash || blocks[0].Height != m.Ancestor.Height+1) {
		return fault.New(fault.Temporary, "Bitcoin block %s at %d does not follow block %s at %d", blocks[0].Hash, blocks[0].Height, m.Ancestor.Hash, m.Ancestor.Height)
	}
	fork := *m.Ancestor
	for len(blocks) > 0 {
		if hash, ok := x.bitcoin.Get(blocks[0].Height); !ok || hash != blocks[0].Hash {
			break
		}
		fork, blocks = blocks[0].id(), blocks[1:]
	}
	if fork.Height < b.Top.Height && len(blocks) == 0 {
		if m.Tip.Height > fork.Height && fork.Height > b.Match {
			b.Match = fork.Height // the answer ends before it parts from what was followed
			return nil
		}
		return fault.New(fault.Temporary, "the Bitcoin node is at %d, Bitcoin was followed to %d: it is behind", m.Tip.Height, b.Top.Height)
	}
	x.advance(m, fork, blocks)
	return nil
}

// takeFirst takes the first blocks that are followed.
func (x *turn) takeFirst(m *message.BitcoinFollowed, blocks []told) error {
	from := uint64(x.rules.spec.BitcoinStartHeight)
	switch {
	case len(blocks) > 0 && blocks[0].Height != from:
		return fault.New(fault.Temporary, "the Bitcoin node tells block %s at %d, asked for was height %d", blocks[0].Hash, blocks[0].Height, from)
	case len(blocks) == 0 && m.Tip.Height < from:
		return fault.New(fault.Temporary, "the Bitcoin node is at %d, deposits are looked for from %d on: it is behind", m.Tip.Height, from)
	}
	x.advance(m, message.BitcoinID{}, blocks)
	return nil
}

// takeOther judges an answer that knows none of the followed blocks. They are left if
// they are too few to have been relied upon, else the peg halts.
func (x *turn) takeOther(m *message.BitcoinFollowed) error {
	lowest, _, _ := x.bitcoin.Min()
	if followed := x.Following.Top.Height - lowest + 1; followed < x.required() {
		x.forgetBitcoin()
		return nil
	}
	x.Following.Left = true
	x.halt("the Bitcoin node's chain has none of the blocks that were followed, %d to %d %s: it is another chain, or all of them were replaced",
		lowest, x.Following.Top.Height, x.Following.Top.Hash)
	return fault.New(fault.Invalid, "the Bitcoin node at %d knows none of the blocks that were followed: configure the right node, or resume the peg to follow this one from the start", m.Tip.Height)
}

// forgetBitcoin has Bitcoin followed from the start again.
func (x *turn) forgetBitcoin() {
	b := &x.Following
	x.restage(x.leave(0))
	b.HasTop, b.Top, b.Match, b.Peak, b.Left, b.Network = false, message.BitcoinID{}, 0, 0, false, ""
}

// advance follows Bitcoin from a fork to the last of blocks.
func (x *turn) advance(m *message.BitcoinFollowed, fork message.BitcoinID, blocks []told) {
	b := &x.Following
	before := *b
	reverted, deepest, left := uint64(0), uint64(0), []chainhash.Hash(nil)
	if b.HasTop && fork.Height < b.Top.Height {
		reverted, deepest = b.Top.Height-fork.Height, max(b.Peak, b.Top.Height)-fork.Height
		left = x.leave(fork.Height + 1)
		b.Top = fork
	}
	b.Network, b.Tip, b.FeeRate, b.Lost, b.Match, b.Left = m.Network, *m.Tip, m.FeeRate, nil, 0, false
	touched, arrived := left, []*Deposit(nil)
	for i := range blocks {
		b.Top, b.HasTop = blocks[i].id(), true
		x.bitcoin.Set(b.Top.Height, b.Top.Hash)
		told, fresh := x.takeTransactions(&blocks[i])
		touched, arrived = append(touched, told...), append(arrived, fresh...)
	}
	b.Peak = max(b.Peak, b.Top.Height)
	x.shiftWindow()
	if len(blocks) > 0 || before.Tip != b.Tip || before.FeeRate != b.FeeRate || before.Lost != nil {
		x.out.Fact(&message.BitcoinTipChanged{Height: b.Top.Height, Hash: b.Top.Hash, NodeHeight: b.Tip.Height, FeeRate: b.FeeRate, Reverted: reverted})
	}
	if deepest >= x.required() {
		x.halt("Bitcoin replaced %d blocks up to height %d, deposits are credited after %d: what was minted may not be in Bitcoin any more", deepest, fork.Height+deepest, x.required())
		b.Peak = b.Top.Height
	}
	x.alarmLeft(left)
	x.learn(arrived)
	x.restage(append(touched, x.ripe(before.Top.Height)...))
	x.fetchUnknown()
	x.judgeAgain()
	x.bitcoinMoved()
}

// alarmLeft tells which minted deposits a reorganisation has left without their Bitcoin
// block: the coins of the wallet that may not exist.
func (x *turn) alarmLeft(txids []chainhash.Hash) {
	head := x.Block(x.Head.Root)
	for _, txid := range txids {
		if d := x.Deposit(txid); head != nil && d != nil && !d.Followed && head.Wallet.Minted(txid) {
			x.alarmPayment("minted-left", fmt.Sprintf("deposit %s of %d satoshi is minted, and its Bitcoin block %s at %d left the best chain: its coins may not exist; see that it is mined again before the peg goes on",
				txid, x.received(d), d.Block, d.Height), d.Root, txid)
		}
	}
}

// leave forgets the followed blocks from a height on, and returns the deposits that
// were in them.
func (x *turn) leave(from uint64) (left []chainhash.Hash) {
	for {
		height, _, ok := x.bitcoin.Max()
		if !ok || height < from {
			break
		}
		x.bitcoin.Delete(height)
	}
	x.placed.Ascend(place{height: from}, func(p place) bool {
		left = append(left, p.txid)
		return true
	})
	for _, txid := range left {
		d := *x.Deposit(txid)
		d.Followed = false
		x.putDeposit(&d)
	}
	x.bitcoinLeft(from)
	return left
}

// shiftWindow forgets ids of blocks that no reorganisation is followed to.
func (x *turn) shiftWindow() {
	size := max(leastWindow, 2*x.required())
	for {
		lowest, _, ok := x.bitcoin.Min()
		if !ok || lowest+size > x.Following.Top.Height {
			return
		}
		x.bitcoin.Delete(lowest)
	}
}

// takeTransactions notes the deposits of a followed block. It returns their txids, and
// those whose transactions were not here before.
func (x *turn) takeTransactions(b *told) (txids []chainhash.Hash, fresh []*Deposit) {
	for i, tx := range b.txs {
		t, txid := &b.Transactions[i], b.txids[i]
		x.bitcoinSpends(b.id(), tx, txid)
		old := x.Deposit(txid)
		if old == nil && (!x.isDeposit(tx) || x.settled(txid)) {
			continue
		}
		d := &Deposit{Txid: txid}
		if old != nil {
			*d = *old
		}
		d.Raw, d.tx, d.Block, d.Height, d.Index, d.Branch, d.Followed = t.Raw, tx, b.Hash, b.Height, t.Index, t.Branch, true
		x.putDeposit(d)
		txids = append(txids, txid)
		if old == nil {
			fresh = append(fresh, d)
		}
	}
	return txids, fresh
}

// isDeposit reports whether a transaction pays the federation, by legacy's loose rule,
// and is no payment of the federation, which pays it change. (peg.md A3)
func (s *State) isDeposit(tx *wire.MsgTx) bool {
	f := s.rules.federation
	paid := false
	for _, out := range tx.TxOut {
		paid = paid || f.Owns(out.PkScript)
	}
	if !paid {
		return false
	}
	if _, credits := f.PegIn(tx); credits {
		return true
	}
	for _, in := range tx.TxIn {
		if s.spends(in.Witness) {
			return false
		}
	}
	return true
}

// spends reports whether a witness is that of a spend by the federation's script.
// (BIP 341)
func (s *State) spends(witness wire.TxWitness) bool {
	if n := len(witness); n >= 3 && len(witness[n-1]) > 0 && witness[n-1][0] == txscript.TaprootAnnexTag {
		witness = witness[:n-1]
	}
	n, f := len(witness), s.rules.federation
	return n >= 2 && bytes.Equal(witness[n-1], f.ControlBlock) && bytes.Equal(witness[n-2], f.Script)
}

// halt stops the peg until an operator resumes it.
func (x *turn) halt(format string, args ...any) {
	if x.Halted != "" {
		return
	}
	x.Halted = fmt.Sprintf(format, args...)
	x.out.Fact(&message.PegHalted{Reason: x.Halted})
}

// resumePeg ends a halt by an operator's order.
func (x *turn) resumePeg(m *message.ResumePeg) {
	answer := &message.OperatorAnswer{Request: m.Request, Done: x.Halted != ""}
	if !answer.Done {
		answer.Reason = "the peg is not halted"
	}
	x.out.Effect(AnswerEdge, core.ConnectionBound, answer)
	if !answer.Done {
		return
	}
	x.Halted = ""
	x.out.Fact(&message.PegResumed{Reason: m.Reason})
	if x.Following.Left {
		x.forgetBitcoin()
	}
	x.followBitcoin()
	x.judgeAgain()
	x.bitcoinMoved()
}
