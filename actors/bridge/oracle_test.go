package bridge

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// audit compares the wallet of every block on every branch with what the oracle
// computes from genesis, and checks the identities of its sums.
func (g *ground) audit() {
	g.t.Helper()
	g.state.deposits.Scan(func(d *Deposit) bool {
		if g.state.settled(d.Txid) {
			g.t.Fatalf("deposit %s is in the base with its transaction, and kept", g.name(d.Txid))
		}
		return true
	})
	g.state.heights.Scan(func(id message.BlockID) bool {
		w := g.state.Block(id.Root).Wallet
		if err := conserved(w); err != nil {
			g.t.Fatalf("block %s at %d: %v\n%+v", g.names[id.Root], id.Number, err, w.Totals)
		}
		want := g.oracle(g.told[id.Root])
		if w.Totals != want.totals {
			g.t.Fatalf("block %s at %d:\n%+v, want\n%+v", g.names[id.Root], id.Number, w.Totals, want.totals)
		}
		coins := map[wire.OutPoint]uint64{}
		w.Coins(func(c Coin) bool {
			if _, spent := w.SpentBy(c.OutPoint); spent {
				g.t.Fatalf("block %s at %d: coin %s is spent and unspent", g.names[id.Root], id.Number, c.OutPoint)
			}
			coins[c.OutPoint] = c.Amount
			return true
		})
		if fmt.Sprint(coins) != fmt.Sprint(want.coins) {
			g.t.Fatalf("block %s at %d has coins %v, want %v", g.names[id.Root], id.Number, coins, want.coins)
		}
		return true
	})
}

// conserved checks the identities of a wallet. (docs/formats/peg-totals.md)
func conserved(w *Wallet) error {
	t, sum, count := &w.Totals, uint64(0), uint64(0)
	w.Coins(func(c Coin) bool {
		sum, count = sum+c.Amount, count+1
		return true
	})
	var pending uint64
	for i := range w.Pending {
		pending += w.Pending[i].Amount
	}
	switch {
	case sum != t.Coins || count != t.CoinCount:
		return fmt.Errorf("coins: %d in %d, the totals say %d in %d", sum, count, t.Coins, t.CoinCount)
	case pending != t.Pending:
		return fmt.Errorf("pending: %d, the totals say %d", pending, t.Pending)
	case t.Deposited+t.Fetched != t.Coins+t.Paid+t.Stray+t.BitcoinFees:
		return fmt.Errorf("deposited %d + fetched %d is not coins %d + paid %d + stray %d + fees %d", t.Deposited, t.Fetched, t.Coins, t.Paid, t.Stray, t.BitcoinFees)
	case t.Requested != t.Paid+t.UserFees+t.Pending:
		return fmt.Errorf("requested %d is not paid %d + user fees %d + pending %d", t.Requested, t.Paid, t.UserFees, t.Pending)
	case int64(t.UserFees)+t.PoolDrift != int64(t.BitcoinFees):
		return fmt.Errorf("user fees %d + drift %d is not %d", t.UserFees, t.PoolDrift, t.BitcoinFees)
	}
	return nil
}

// books is what the oracle finds for a block.
type books struct {
	totals message.PegTotals
	coins  map[wire.OutPoint]uint64
}

// oracle computes the books after a block in two passes over its branch: first what is
// minted, then payments with all of that known. It shares no code with derive.
func (g *ground) oracle(b *message.PegBlock) books {
	var branch []*message.PegBlock
	for ; b != nil; b = g.told[b.Parent] {
		branch = append(branch, b)
	}
	slices.Reverse(branch)
	o := &oracle{ground: g, values: map[wire.OutPoint]uint64{}, deposited: map[wire.OutPoint]bool{}, minted: map[chainhash.Hash]bool{}, spent: map[wire.OutPoint]bool{}}
	o.coins = map[wire.OutPoint]uint64{}
	for _, b := range branch {
		o.mint(b)
	}
	for _, b := range branch {
		o.pay(b)
		o.request(b)
	}
	for out := range o.deposited {
		if !o.spent[out] {
			o.coins[out] = o.values[out]
		}
	}
	for _, amount := range o.coins {
		o.totals.Coins += amount
		o.totals.CoinCount++
	}
	for _, r := range o.pending {
		o.totals.Pending += r.Amount
	}
	o.totals.Requested = o.totals.Paid + o.totals.UserFees + o.totals.Pending
	return o.books
}

type oracle struct {
	books
	*ground
	values    map[wire.OutPoint]uint64 // of outputs of deposits that are here
	deposited map[wire.OutPoint]bool
	minted    map[chainhash.Hash]bool
	spent     map[wire.OutPoint]bool
	pending   []peg.Request
}

func (o *oracle) strict(b *message.PegBlock) (ins, outs bool) {
	a := o.state.rules.spec.Activations
	return spec.Active(a.StrictPegins, b.Number), spec.Active(a.StrictPegouts, b.Number)
}

func (o *oracle) ours(script []byte, strict bool) bool {
	f := o.state.rules.federation
	return bytes.Equal(script, f.ScriptPubKey) || !strict && f.Owns(script)
}

func (o *oracle) mint(b *message.PegBlock) {
	strict, _ := o.strict(b)
	for _, w := range b.Withdrawals {
		o.totals.Unbacked += int64(w.Amount)
	}
	for _, w := range b.FeeShares {
		o.totals.Unbacked -= int64(w.Amount)
	}
	for _, id := range b.PegIns {
		if o.minted[id.Txid] {
			continue
		}
		o.minted[id.Txid] = true
		tx := o.seen[id.Txid]
		if tx == nil {
			o.totals.Unknown++
			continue
		}
		for i, out := range tx.TxOut {
			if o.ours(out.PkScript, strict) {
				p := wire.OutPoint{Hash: id.Txid, Index: uint32(i)}
				o.deposited[p], o.values[p] = true, uint64(out.Value)
				o.totals.Deposited += uint64(out.Value)
			}
		}
		in, _ := o.state.rules.federation.PegIn(tx)
		if strict {
			in, _ = o.state.rules.federation.StrictPegIn(tx)
		}
		o.totals.Credited += in.Amount
		o.totals.Unbacked -= int64(in.Amount * 10)
	}
}

func (o *oracle) pay(b *message.PegBlock) {
	ins, outs := o.strict(b)
	var tx *wire.MsgTx
	if len(b.Proposal) > 0 {
		tx, _ = readTransaction(b.Proposal)
	}
	if tx != nil {
		o.payWith(b, tx, ins)
	}
	if !outs {
		for _, r := range o.pending {
			o.totals.Ignored += r.Amount
		}
		o.pending = nil
	}
}

func (o *oracle) payWith(b *message.PegBlock, tx *wire.MsgTx, strict bool) {
	var in, out, users uint64
	for _, i := range tx.TxIn {
		p := i.PreviousOutPoint
		if o.spent[p] {
			continue
		}
		o.spent[p] = true
		if change, ok := o.coins[p]; ok {
			in += change
			delete(o.coins, p)
		} else if o.deposited[p] {
			in += o.values[p]
		} else if t := o.seen[p.Hash]; t != nil && int(p.Index) < len(t.TxOut) && o.ours(t.TxOut[p.Index].PkScript, strict) {
			in += uint64(t.TxOut[p.Index].Value)
			o.totals.Fetched += uint64(t.TxOut[p.Index].Value)
		} else {
			o.totals.Unknown++
		}
	}
	var rest []peg.Request
	next := 0
	for i, paid := range tx.TxOut {
		v := uint64(paid.Value)
		out += v
		k := next
		for k < len(o.pending) && (!bytes.Equal(o.pending[k].Script, paid.PkScript) || o.pending[k].Amount < v) {
			k++
		}
		p := wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}
		ours := o.ours(paid.PkScript, strict)
		_, again := o.coins[p]
		again = again || o.spent[p]
		if ours && !again {
			o.coins[p] = v
		}
		switch {
		case k < len(o.pending):
			rest = append(rest, o.pending[next:k]...)
			o.totals.Paid += v
			users += o.pending[k].Amount - v
			next = k + 1
			if ours && !again {
				o.totals.Fetched += v
			}
		case !ours:
			o.totals.Stray += v
		case again:
			out -= v
		}
	}
	o.pending = append(rest, o.pending[next:]...)
	fee := uint64(0)
	if in >= out {
		fee = in - out
	} else {
		o.totals.Fetched += out - in
	}
	o.totals.UserFees += users
	o.totals.BitcoinFees += fee
	o.totals.PoolDrift += int64(fee) - int64(users)
}

func (o *oracle) request(b *message.PegBlock) {
	_, strict := o.strict(&message.PegBlock{Number: b.Number + 1}) // by the block that pays
	var m message.PegReceipts
	if !b.Receipts.None() {
		if err := record.Decode(b.Receipts.Data, &m, nil); err != nil {
			o.t.Fatalf("%v", err)
		}
	}
	for i := range m.Logs {
		l := &m.Logs[i]
		log := peg.RequestLog{Transaction: l.Transaction, Index: l.Index, HasTo: l.HasTo, To: l.To, Emitter: l.Emitter, Data: l.Data}
		for _, topic := range l.Topics {
			log.Topics = append(log.Topics, topic.Value)
		}
		list, _ := peg.Requests([]peg.RequestLog{log}, strict, o.state.rules.spec.Exceptions.MinPegoutSatoshi)
		for _, r := range list {
			o.totals.Dust += r.Dust
			if r.Ignored != "" {
				o.totals.Ignored += r.Amount
			} else {
				o.pending = append(o.pending, r)
			}
		}
	}
}
