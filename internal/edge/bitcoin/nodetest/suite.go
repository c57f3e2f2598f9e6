// Package nodetest is the conformance test of implementations of [bitcoin.Node]: what the
// edge relies on, asked of a node whose chain the test can move.
//
//	nodetest.Run(t, node, control)
//
// It wants a regtest chain whose segwit and taproot are active, and runs against the chain
// in this process, against btcd and against Bitcoin Core alike.
package nodetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Control moves the chain behind a node.
type Control interface {
	// Mine mines n blocks of what the mempool has, and returns their hashes.
	Mine(ctx context.Context, n int) ([]chainhash.Hash, error)
	// Reorg replaces the last depth blocks by depth+1 others. Transactions of the replaced
	// blocks that the new branch does not have go back into the mempool.
	Reorg(ctx context.Context, depth int, txs ...*wire.MsgTx) ([]chainhash.Hash, error)
	// Pay signs a payment of confirmed coins with change, and sends it not.
	Pay(ctx context.Context, outputs ...*wire.TxOut) (*wire.MsgTx, error)
}

// script pays to a witness program that nobody has the key of.
var script = append([]byte{0x00, 0x14}, bytes.Repeat([]byte{0x5a}, 20)...)

type suite struct {
	*testing.T
	ctx     context.Context
	node    bitcoin.Node
	control Control
}

// Run tests a node.
func Run(t *testing.T, node bitcoin.Node, control Control) {
	for _, test := range []struct {
		name string
		run  func(suite)
	}{
		{"info follows the tip", suite.info},
		{"blocks and headers agree", suite.blocks},
		{"what is not there", suite.missing},
		{"a payment on its way", suite.payment},
		{"double spends", suite.doubleSpends},
		{"refused transactions", suite.refused},
		{"reorganisation", suite.reorganisation},
		{"a replaced payment", suite.replaced},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			test.run(suite{t, ctx, node, control})
		})
	}
}

func must[T any](v T, err error) func(s suite) T {
	return func(s suite) T {
		s.Helper()
		if err != nil {
			s.Fatal(err)
		}
		return v
	}
}

func (s suite) mine(n int) []chainhash.Hash {
	s.Helper()
	hashes := must(s.control.Mine(s.ctx, n))(s)
	if len(hashes) != n {
		s.Fatalf("mined %d blocks, asked for %d", len(hashes), n)
	}
	return hashes
}

func (s suite) tip() bitcoin.Info {
	s.Helper()
	return must(s.node.Info(s.ctx))(s)
}

func (s suite) pay(outputs ...*wire.TxOut) (*wire.MsgTx, []byte) {
	s.Helper()
	tx := must(s.control.Pay(s.ctx, outputs...))(s)
	return tx, s.encode(tx)
}

func (s suite) encode(tx *wire.MsgTx) []byte {
	s.Helper()
	var b bytes.Buffer
	if err := tx.Serialize(&b); err != nil {
		s.Fatal(err)
	}
	return b.Bytes()
}

func (s suite) send(raw []byte, want uint8) {
	s.Helper()
	outcome, reason, err := s.node.Send(s.ctx, raw)
	if err != nil || outcome != want {
		s.Fatalf("sent: outcome %d (%s), %v; want outcome %d", outcome, reason, err, want)
	}
	if ok := want == message.BroadcastAccepted || want == message.BroadcastConfirmed; !ok && reason == "" {
		s.Errorf("outcome %d without a reason", want)
	}
}

func (s suite) cannotJudge(what string, err error) {
	s.Helper()
	if !fault.Is(err, fault.CannotJudge) {
		s.Errorf("%s: %v (%v), want an error of grade %v", what, err, fault.Of(err), fault.CannotJudge)
	}
}

func (s suite) info() {
	before := s.tip()
	hashes := s.mine(3)
	after := s.tip()
	if before.Network != "regtest" || before.Software == "" || before.Syncing {
		s.Errorf("info: %+v", before)
	}
	if after.Height != before.Height+3 || after.Tip != hashes[2] || after.Headers < after.Height {
		s.Errorf("after three blocks %+v, before %+v, mined %v", after, before, hashes)
	}
	if _, err := s.node.FeeRate(s.ctx); err != nil {
		s.Errorf("fee rate: %v", err)
	}
}

func (s suite) blocks() {
	s.mine(2)
	tip := s.tip()
	next := chainhash.Hash{}
	for back := range uint64(4) {
		height := tip.Height - back
		hash := must(s.node.BlockHash(s.ctx, height))(s)
		header := must(s.node.Header(s.ctx, hash))(s)
		block := must(btcutil.NewBlockFromBytes(must(s.node.Block(s.ctx, hash))(s)))(s)
		if back > 0 && hash != next {
			s.Errorf("height %d is %s, the parent of the next is %s", height, hash, next)
		}
		if header.Height != height || header.Confirmations != int64(back)+1 {
			s.Errorf("header of %d: height %d with %d confirmations", height, header.Height, header.Confirmations)
		}
		if got := chainhash.DoubleHashH(header.Raw[:]); got != hash || *block.Hash() != hash {
			s.Errorf("height %d is %s, its header hashes to %s, its block to %s", height, hash, got, block.Hash())
		}
		if root := blockchain.CalcMerkleRoot(block.Transactions(), false); root != block.MsgBlock().Header.MerkleRoot {
			s.Errorf("block %d: transactions have root %s", height, root)
		}
		next = block.MsgBlock().Header.PrevBlock
	}
	if genesis := must(s.node.Header(s.ctx, must(s.node.BlockHash(s.ctx, 0))(s)))(s); genesis.Height != 0 || genesis.Confirmations != int64(tip.Height)+1 {
		s.Errorf("genesis: height %d with %d confirmations, the tip is %d", genesis.Height, genesis.Confirmations, tip.Height)
	}
}

func (s suite) missing() {
	tip := s.tip()
	nothing := chainhash.DoubleHashH([]byte("no block has this hash"))
	for _, height := range []uint64{tip.Height + 1, tip.Height + 1_000_000, 1 << 31, 1 << 32, 1<<64 - 1} {
		_, err := s.node.BlockHash(s.ctx, height)
		s.cannotJudge("hash beyond the tip", err)
	}
	_, err := s.node.Header(s.ctx, nothing)
	s.cannotJudge("unknown header", err)
	_, err = s.node.Block(s.ctx, nothing)
	s.cannotJudge("unknown block", err)
	_, err = s.node.Transaction(s.ctx, nothing, nothing)
	s.cannotJudge("transaction of an unknown block", err)
	_, err = s.node.Transaction(s.ctx, nothing, tip.Tip)
	s.cannotJudge("unknown transaction of a block", err)
}

func (s suite) payment() {
	tx, raw := s.pay(wire.NewTxOut(1_000_000, script), wire.NewTxOut(0, []byte{0x6a, 0x02, 0xab, 0xcd}))
	s.send(raw, message.BroadcastAccepted)
	s.send(raw, message.BroadcastAccepted) // it is in the mempool
	block := s.mine(1)[0]
	got := must(s.node.Transaction(s.ctx, tx.TxHash(), block))(s)
	if !bytes.Equal(got, raw) {
		s.Errorf("the block has %x, sent was %x", got, raw)
	}
	s.send(raw, message.BroadcastConfirmed)
	s.mine(1)
	s.send(raw, message.BroadcastConfirmed)
	_, err := s.node.Transaction(s.ctx, tx.TxHash(), s.tip().Tip)
	s.cannotJudge("transaction of another block", err)
}

// conflicting spends an input of tx, signed, with another outcome.
func (s suite) conflicting(value int64) (a, b *wire.MsgTx) {
	s.Helper()
	a, _ = s.pay(wire.NewTxOut(value, script))
	b, _ = s.pay(wire.NewTxOut(value+1, script))
	for _, x := range a.TxIn {
		for _, y := range b.TxIn {
			if x.PreviousOutPoint == y.PreviousOutPoint {
				return a, b
			}
		}
	}
	s.Fatal("Pay took other coins for the second payment: it must be stable while nothing is sent")
	return nil, nil
}

func (s suite) doubleSpends() {
	a, b := s.conflicting(2_000_000)
	s.send(s.encode(a), message.BroadcastAccepted)
	s.send(s.encode(b), message.BroadcastConflict) // of the mempool
	s.mine(1)
	s.send(s.encode(b), message.BroadcastConflict) // of the chain
}

func (s suite) refused() {
	for _, raw := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 1000), make([]byte, 100_000)} {
		s.send(raw, message.BroadcastRefused)
	}
	tx, raw := s.pay(wire.NewTxOut(3_000_000, script))
	s.send(append(bytes.Clone(raw), 0), message.BroadcastRefused)
	for _, in := range tx.TxIn {
		for i := range in.Witness {
			in.Witness[i] = bytes.Clone(in.Witness[i])
			in.Witness[i][len(in.Witness[i])/2] ^= 1
		}
	}
	s.send(s.encode(tx), message.BroadcastRefused) // a wrong signature
	missing, _ := s.pay(wire.NewTxOut(3_000_000, script))
	missing.TxIn[0].PreviousOutPoint.Hash[0] ^= 1
	s.send(s.encode(missing), message.BroadcastConflict)
	s.send(raw, message.BroadcastAccepted) // nothing of this disturbed the good one
	s.mine(1)
}

func (s suite) reorganisation() {
	tx, raw := s.pay(wire.NewTxOut(4_000_000, script))
	s.send(raw, message.BroadcastAccepted)
	for depth := 1; depth <= 5; depth++ {
		old := s.mine(depth)
		before := s.tip()
		fresh := must(s.control.Reorg(s.ctx, depth))(s)
		after := s.tip()
		if after.Height != before.Height+1 || after.Tip != fresh[len(fresh)-1] {
			s.Fatalf("depth %d: %+v after %+v", depth, after, before)
		}
		for i, hash := range old {
			height := before.Height - uint64(len(old)-1-i)
			header := must(s.node.Header(s.ctx, hash))(s)
			if header.Confirmations != -1 || header.Height != height {
				s.Errorf("depth %d: block %d off the best chain has height %d and %d confirmations", depth, height, header.Height, header.Confirmations)
			}
			if now := must(s.node.BlockHash(s.ctx, height))(s); now == hash || now != fresh[i] {
				s.Errorf("depth %d: height %d is %s, want %s", depth, height, now, fresh[i])
			}
			if _, err := s.node.Block(s.ctx, hash); err != nil && !fault.Is(err, fault.CannotJudge) {
				s.Errorf("block off the best chain: %v", err)
			}
		}
	}
	s.send(raw, message.BroadcastAccepted) // it is in the mempool again
	block := s.mine(1)[0]
	if got := must(s.node.Transaction(s.ctx, tx.TxHash(), block))(s); !bytes.Equal(got, raw) {
		s.Errorf("the payment was not mined again")
	}
}

func (s suite) replaced() {
	a, b := s.conflicting(5_000_000)
	s.send(s.encode(a), message.BroadcastAccepted)
	s.mine(1)
	fresh := must(s.control.Reorg(s.ctx, 1, b))(s)
	if got := must(s.node.Transaction(s.ctx, b.TxHash(), fresh[0]))(s); !bytes.Equal(got, s.encode(b)) {
		s.Error("the other payment is not in the branch")
	}
	s.send(s.encode(a), message.BroadcastConflict)
	s.send(s.encode(b), message.BroadcastConfirmed)
	s.mine(1)
}
