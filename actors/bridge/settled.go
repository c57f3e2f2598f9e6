package bridge

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Settled returns the state that every node has of a final block: what follows from the
// blocks from a height to that one, and from the wallet at the lowest of them, as if the
// block were head and finalised. What this node signs, follows of Bitcoin or was told is
// not in it, nor which of a payment's signatures it has, so that the nodes of a chain
// agree on it bit for bit. CannotJudge when blocks are not kept, or when the wallet lacks
// what only Bitcoin knows. (docs/formats/checkpoint-statement.md)
func (s *State) Settled(at message.BlockID, lowest uint64) (*State, error) {
	tip := s.Block(at.Root)
	if s.Config == nil || tip == nil || lowest < s.Base.Number {
		return nil, fault.New(fault.CannotJudge, "the wallet of block %d is not kept: the bridge has those from %d to %d", at.Number, s.Base.Number, s.Head.Number)
	}
	if s.Incomplete != "" {
		return nil, fault.New(fault.CannotJudge, "%s", s.Incomplete)
	}
	x := &settling{from: s, to: newState(), carriers: map[chainhash.Hash]message.BlockID{}}
	x.to.pointers = pointers{Head: at, Finalized: at, Before: at}
	x.to.Config = &message.NodeConfigured{ChainSpec: s.Config.ChainSpec, GenesisPayload: s.Config.GenesisPayload, Behaviour: s.Config.Behaviour}
	x.to.rules = s.rules
	for b := tip; ; b = s.Block(b.Parent) {
		if b == nil {
			return nil, fault.New(fault.CannotJudge, "a block below %d is not kept", at.Number)
		}
		x.add(b)
		if b.Number == lowest {
			x.to.Base = b.id()
			break
		}
	}
	return x.to, x.run(tip)
}

// settling is one run of [State.Settled].
type settling struct {
	from, to *State
	list     []*Block // highest first
	// carriers has the highest of the blocks that carries a payment with signatures, by
	// txid; looked up only.
	carriers map[chainhash.Hash]message.BlockID
}

func (x *settling) run(tip *Block) error {
	base := x.list[len(x.list)-1]
	if t := tip.Wallet.Totals; t.Unknown != 0 || base.Wallet.Totals.Unknown != 0 {
		return fault.New(fault.CannotJudge, "%d Bitcoin transactions of the wallet at block %d are not known yet", max(t.Unknown, base.Wallet.Totals.Unknown), tip.Number)
	}
	for _, b := range x.list {
		x.to.putBlock(b)
		if b.Payment != nil {
			if err := x.payment(b, tip); err != nil {
				return err
			}
		}
		if b == base {
			break
		}
		if err := x.deposits(b, base, tip); err != nil {
			return err
		}
	}
	return nil
}

// deposits takes the transactions that the wallet of a block is computed from.
func (x *settling) deposits(b, base, tip *Block) error {
	for _, id := range b.PegIns {
		if base.Wallet.Minted(id.Txid) {
			continue
		}
		d := x.from.Deposit(id.Txid)
		if d == nil || d.tx == nil {
			return fault.New(fault.CannotJudge, "deposit %s of block %d is not kept", id.Txid, b.Number)
		}
		m, _ := tip.Wallet.minted.Get(Mint{Txid: id.Txid})
		if m.Number != b.Number { // a block below mints it
			continue
		}
		x.to.putDeposit(&Deposit{Txid: d.Txid, Raw: d.Raw, Block: id.Block, State: message.PegInFinalized, Root: b.Root, Number: b.Number, tx: d.tx})
	}
	if b.Payment == nil {
		return nil
	}
	for _, in := range b.Payment.TxIn { // what no block below minted
		spent, ok := b.Wallet.SpentBy(in.PreviousOutPoint)
		txid := in.PreviousOutPoint.Hash
		if !ok || spent.Kind != spentFetched || tip.Wallet.Minted(txid) {
			continue
		}
		d := x.from.Deposit(txid)
		if d == nil || d.tx == nil {
			return fault.New(fault.CannotJudge, "transaction %s that block %d spends is not kept", txid, b.Number)
		}
		x.to.putDeposit(&Deposit{Txid: txid, Raw: d.Raw, State: message.PegInNone, tx: d.tx})
	}
	return nil
}

// payment takes what the blocks say of a payment that one of them proposes.
func (x *settling) payment(b, tip *Block) error {
	txid := b.Payment.TxHash()
	if known := x.to.Payment(txid); known != nil { // a block above proposes it too
		again := known.copy()
		again.Blocks++
		x.to.putPayment(again)
		return nil
	}
	p := x.from.Payment(txid)
	if p == nil || len(p.Prevouts) != len(b.Payment.TxIn) {
		return fault.New(fault.CannotJudge, "what payment %s of block %d spends is not known", txid, b.Number)
	}
	settled := &Payment{Txid: txid, Raw: p.Raw, Root: b.Root, Number: b.Number, Blocks: 1, OnHead: true, Prevouts: p.Prevouts, Pays: p.Pays, tx: p.tx}
	settled.Carrier = x.carriers[txid]
	x.to.putPayment(settled)
	return nil
}

// add takes the next block below.
func (x *settling) add(b *Block) {
	x.list = append(x.list, b)
	for i := range b.Payouts {
		tx, err := readTransaction(b.Payouts[i].Raw)
		if err != nil {
			continue
		}
		txid := tx.TxHash()
		if _, known := x.carriers[txid]; !known {
			x.carriers[txid] = b.id()
		}
	}
}
