package bridge

import (
	"encoding/binary"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// rich gives the wallet of the head as many coins and minted deposits.
func rich(b *testing.B, coins int) *ground {
	b.Helper()
	g := newGround(b, nil)
	g.unsure = true
	head := *g.state.Block(g.state.Head.Root)
	w := head.Wallet.edit()
	for i := range coins {
		txid := chainhash.HashH(binary.BigEndian.AppendUint32(nil, uint32(i)))
		w.minted.Set(Mint{Txid: txid})
		w.Totals.Deposited += 50_000
		w.add(Coin{OutPoint: wire.OutPoint{Hash: txid}, Amount: 50_000, Version: txscript.OP_1, From: FromDeposit})
	}
	head.Wallet = w
	g.state.blocks.Set(&head)
	return g
}

// run follows blocks one by one, the sixteenth of them final.
func (g *ground) run(b *testing.B, change func(i int, state *State, m *message.PegBlock)) {
	state, root := g.state, g.state.Head.Root
	sequence := g.seq
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m := message.PegBlock{Root: common.Hash{31: 1}, Parent: root, Number: uint64(i + 1)}
		binary.BigEndian.PutUint64(m.Root[:], m.Number)
		root = m.Root
		follow := &message.FollowChain{Blocks: []message.PegBlock{m}, Head: &message.BlockID{Root: m.Root, Number: m.Number}}
		if i%16 == 0 {
			follow.Finalized = follow.Head
		}
		state = state.Clone().(*State)
		if change != nil {
			change(i, state, &m)
			follow.Blocks[0] = m
		}
		sequence++
		New().Handle(state, follow, core.Turn{Sequence: sequence}, new(core.Out))
	}
}

// BenchmarkFollow is one turn of one block without and with a deposit and a payment, in a
// wallet of 100,000 coins.
func BenchmarkFollow(b *testing.B) {
	b.Run("empty", func(b *testing.B) { rich(b, 100_000).run(b, nil) })
	b.Run("pegs", func(b *testing.B) {
		g := rich(b, 100_000)
		tx := g.btc.deposit(common.Address{1}, "raw", txscript.OP_1, 50_000)
		g.run(b, func(i int, state *State, m *message.PegBlock) {
			in := *tx
			in.LockTime = uint32(i)
			d := &Deposit{Txid: in.TxHash(), tx: &in, Followed: true, Height: 1}
			state.deposits.Set(d)
			m.PegIns = []message.DepositID{{Txid: d.Txid}}
			pay := wire.NewMsgTx(2)
			pay.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.HashH(binary.BigEndian.AppendUint32(nil, uint32(i%100_000)))}})
			pay.AddTxOut(wire.NewTxOut(49_000, g.btc.federation.ScriptPubKey))
			m.Proposal = unsignedBytes(pay)
		})
	})
}

// BenchmarkClone is the copy that the runtime makes before each turn.
func BenchmarkClone(b *testing.B) {
	g := rich(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		g.state.Clone()
	}
}

// BenchmarkBitcoin is one turn of 100 Bitcoin blocks with a deposit each.
func BenchmarkBitcoin(b *testing.B) {
	g := rich(b, 100_000)
	for i := range 99 {
		g.btc.mine("", i, g.btc.deposit(common.Address{byte(i)}, "raw", txscript.OP_1, 50_000))
	}
	r, ref, _ := pending[*message.FollowBitcoin](g)
	m, _ := g.btc.answer(r, 100)
	b.ReportAllocs()
	for b.Loop() {
		New().Handle(g.state.Clone(), m, core.Turn{Sequence: 99, Cause: ref}, new(core.Out))
	}
}

// BenchmarkPlan plans the peg-ins of a block while 1000 deposits wait.
func BenchmarkPlan(b *testing.B) {
	g := rich(b, 100_000)
	for i := range 10 {
		var txs []*wire.MsgTx
		for k := range 100 {
			txs = append(txs, g.btc.deposit(common.Address{byte(i), byte(k)}, "raw", txscript.OP_1, 50_000))
		}
		g.btc.mine("", i, txs...)
	}
	for g.bitcoin(100) {
	}
	g.btc.mine("", 10)
	g.btc.mine("", 11)
	g.bitcoin(100)
	plan := &message.PlanPeg{Slot: 1, Parent: g.state.Head.Root, Room: 16}
	b.ReportAllocs()
	for b.Loop() {
		New().Handle(g.state.Clone(), plan, core.Turn{Sequence: 99}, new(core.Out))
	}
}

// BenchmarkManyDeposits is a plan and a Bitcoin answer beside 100,000 deposits that credit
// nobody and stay for ever.
func BenchmarkManyDeposits(b *testing.B) {
	g := newGround(b, nil)
	g.unsure = true
	state := g.state.Clone().(*State)
	state.Following.HasTop, state.Following.Top = true, message.BitcoinID{Height: 1000}
	for i := range 100_000 {
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.HashH(binary.BigEndian.AppendUint32(nil, uint32(i)))}})
		tx.AddTxOut(wire.NewTxOut(1000, state.rules.federation.ScriptPubKey))
		state.putDeposit(&Deposit{Txid: tx.TxHash(), Height: uint64(i % 900), Followed: true, State: message.PegInNone, tx: tx})
	}
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			New().Handle(state.Clone(), &message.PlanPeg{Parent: state.Head.Root, Room: 16}, core.Turn{Sequence: 9}, new(core.Out))
		}
	})
	b.Run("follow", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			head := state.Head
			New().Handle(state.Clone(), &message.FollowChain{Head: &head}, core.Turn{Sequence: 9}, new(core.Out))
		}
	})
}
