package bridge

import (
	"bytes"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// derive computes the wallet after a block from its parent's: first its peg-ins in
// order, then its proposal, then what its receipts ask for. (peg.md A10, A7)
func (s *State) derive(b *Block, parent *Wallet) *Wallet {
	if !b.touches() && len(parent.Pending) == 0 {
		return parent
	}
	w := parent.edit()
	credited := uint64(0)
	for _, id := range b.PegIns {
		credited = plus(credited, s.mint(w, id, b.Number))
	}
	t := &w.Totals
	t.Credited = plus(t.Credited, credited)
	// Exact: surplus and credits are below 64 bits of gwei for all bitcoins there are.
	t.Unbacked = plusSigned(t.Unbacked, magnitude(b.surplus()), sign(b.surplus()))
	t.Unbacked = plusSigned(t.Unbacked, credited*gweiPerSatoshi, -1)
	s.pay(w, b)
	w.request(b.Requests)
	return w
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return uint64(-(v + 1)) + 1
	}
	return uint64(v)
}

func sign(v int64) int {
	if v < 0 {
		return -1
	}
	return 1
}

// mint takes a deposit that a block lists and returns what it credits, in satoshi. One
// that was minted before adds no coin: its second credit has nothing behind it.
func (s *State) mint(w *Wallet, id message.DepositID, number uint64) uint64 {
	if w.Minted(id.Txid) {
		return 0
	}
	w.minted.Set(Mint{id.Txid, number})
	d := s.Deposit(id.Txid)
	if d == nil || d.tx == nil {
		w.unknown.Set(Unknown{id, number})
		w.Totals.Unknown++
		return 0
	}
	return s.receive(w, id.Txid, d.tx, number)
}

// receive registers every output of a deposit that pays the federation as a coin and
// returns what the deposit credits. (peg.md A10, A3)
func (s *State) receive(w *Wallet, txid chainhash.Hash, tx *wire.MsgTx, number uint64) uint64 {
	for i, out := range tx.TxOut {
		if !s.owns(out.PkScript, number) {
			continue
		}
		c := Coin{
			OutPoint: wire.OutPoint{Hash: txid, Index: uint32(i)}, Amount: uint64(out.Value),
			Version: out.PkScript[0], From: FromDeposit, Number: number,
		}
		w.Totals.Deposited = plus(w.Totals.Deposited, c.Amount)
		switch spent, was := w.SpentBy(c.OutPoint); {
		case !was:
			w.add(c)
		case spent.Kind == spentFetched: // there is a deposit behind it now
			w.Totals.Fetched = minus(w.Totals.Fetched, spent.Amount)
			w.settle(spent, c.Amount, spentCoin)
		case spent.Kind == spentMissing:
			w.settle(spent, c.Amount, spentCoin)
		}
	}
	in, _ := s.credit(tx, number)
	return in.Amount
}

// settle notes the amount of an output that was spent before it was known.
func (w *Wallet) settle(spent Spent, amount uint64, kind uint8) {
	if spent.Kind == spentMissing {
		w.Totals.Unknown--
		if l, ok := w.lacking.Get(Lacking{Txid: spent.By}); ok {
			w.account(l, -1)
			l.In = plus(l.In, amount)
			w.account(l, 1)
			if l.Inputs--; l.Inputs == 0 {
				w.lacking.Delete(l)
			} else {
				w.lacking.Set(l)
			}
		}
	}
	spent.Amount, spent.Kind = amount, kind
	w.spent.Set(spent)
}

// account adds or takes away what a payment's fee is to the sums: the excess of its
// inputs over its outputs, or else what comes from nowhere.
func (w *Wallet) account(l Lacking, sign int) {
	t := &w.Totals
	if sign < 0 {
		t.BitcoinFees = minus(t.BitcoinFees, minus(l.In, l.Out))
		t.Fetched = minus(t.Fetched, minus(l.Out, l.In))
	} else {
		t.BitcoinFees = plus(t.BitcoinFees, minus(l.In, l.Out))
		t.Fetched = plus(t.Fetched, minus(l.Out, l.In))
	}
	t.PoolDrift = plusSigned(t.PoolDrift, minus(l.In, l.Out), sign)
}

func (w *Wallet) add(c Coin) {
	w.coins.Set(c)
	w.Totals.Coins = plus(w.Totals.Coins, c.Amount)
	w.Totals.CoinCount++
}

// supply applies a transaction that has arrived to a wallet that was made without it:
// a minted deposit, or one whose outputs a payment spent.
func (s *State) supply(w *Wallet, txid chainhash.Hash, tx *wire.MsgTx) *Wallet {
	w = w.edit()
	if u, ok := w.unknown.Delete(Unknown{DepositID: message.DepositID{Txid: txid}}); ok {
		w.Totals.Unknown--
		credited := s.receive(w, txid, tx, u.Number)
		w.Totals.Credited = plus(w.Totals.Credited, credited)
		w.Totals.Unbacked = plusSigned(w.Totals.Unbacked, credited*gweiPerSatoshi, -1)
	}
	for _, spent := range w.missing(txid) {
		if amount, ok := s.output(tx, spent.OutPoint.Index, spent.Number); ok {
			w.Totals.Fetched = plus(w.Totals.Fetched, amount)
			w.settle(spent, amount, spentFetched)
		}
	}
	return w
}

// missing returns the spent outputs of a transaction whose amounts are unknown.
func (w *Wallet) missing(txid chainhash.Hash) (list []Spent) {
	w.spent.Ascend(Spent{OutPoint: wire.OutPoint{Hash: txid}}, func(s Spent) bool {
		if s.OutPoint.Hash == txid && s.Kind == spentMissing {
			list = append(list, s)
		}
		return s.OutPoint.Hash == txid
	})
	return list
}

// output returns the amount of an output if it pays the federation by the rule in force
// at a height.
func (s *State) output(tx *wire.MsgTx, index uint32, number uint64) (uint64, bool) {
	if uint64(index) >= uint64(len(tx.TxOut)) || !s.owns(tx.TxOut[index].PkScript, number) {
		return 0, false
	}
	return uint64(tx.TxOut[index].Value), true
}

// pay takes a block's proposal: its inputs are spent, its change is a coin at once, its
// outputs pay requests. (peg.md A10)
func (s *State) pay(w *Wallet, b *Block) {
	if b.Payment != nil && possible(b.Payment) {
		s.payWith(w, b)
	}
	s.passOver(w, b)
}

// payWith takes a proposal that Bitcoin may confirm.
func (s *State) payWith(w *Wallet, b *Block) {
	tx, txid := b.Payment, b.Payment.TxHash()
	l := Lacking{Txid: txid}
	seen := make(map[wire.OutPoint]bool, len(tx.TxIn)) // looked up only
	for _, in := range tx.TxIn {
		if out := in.PreviousOutPoint; !seen[out] {
			seen[out] = true
			amount, known := s.spend(w, out, txid, b.Number)
			l.In = plus(l.In, amount)
			if !known {
				l.Inputs++
			}
		}
	}
	l = s.give(w, b, l)
	w.account(l, 1)
	if l.Inputs > 0 {
		w.lacking.Set(l)
	}
}

// give takes the outputs of a block's proposal and returns its sums with them.
func (s *State) give(w *Wallet, b *Block, l Lacking) Lacking {
	t := &w.Totals
	paid := s.assign(b.Payment, w.Pending, b.Number, l.In, l.Inputs == 0)
	for i, out := range b.Payment.TxOut {
		at := wire.OutPoint{Hash: l.Txid, Index: uint32(i)}
		amount, owned := uint64(out.Value), s.owns(out.PkScript, b.Number)
		// The same payment may stand in two blocks of a branch: its outputs are there once.
		fresh := owned && !w.knows(at)
		switch k := paid[i]; {
		case k >= 0:
			asked := w.Pending[k].Amount
			t.Paid, t.Pending = plus(t.Paid, amount), minus(t.Pending, asked)
			t.UserFees = plus(t.UserFees, asked-amount)
			t.PoolDrift = plusSigned(t.PoolDrift, asked-amount, -1)
			if fresh { // the user gives it back
				t.Fetched = plus(t.Fetched, amount)
			}
		case !owned:
			t.Stray = plus(t.Stray, amount)
		case !fresh:
			continue
		}
		l.Out = plus(l.Out, amount)
		if fresh {
			w.add(Coin{OutPoint: at, Amount: amount, Version: out.PkScript[0], From: FromPayment, Number: b.Number})
		}
	}
	w.Pending = unpaid(w.Pending, paid)
	return l
}

// spend takes an output from the wallet and returns its amount, if that is known.
func (s *State) spend(w *Wallet, out wire.OutPoint, by chainhash.Hash, number uint64) (uint64, bool) {
	t := &w.Totals
	if c, ok := w.coins.Delete(Coin{OutPoint: out}); ok {
		t.Coins = minus(t.Coins, c.Amount)
		t.CoinCount--
		w.spent.Set(Spent{OutPoint: out, By: by, Amount: c.Amount, Kind: spentCoin, Number: number})
		return c.Amount, true
	}
	if _, again := w.SpentBy(out); again { // at most one of the two will be in Bitcoin
		return 0, true
	}
	if d := s.Deposit(out.Hash); d != nil && d.tx != nil {
		if amount, ok := s.output(d.tx, out.Index, number); ok {
			t.Fetched = plus(t.Fetched, amount)
			w.spent.Set(Spent{OutPoint: out, By: by, Amount: amount, Kind: spentFetched, Number: number})
			return amount, true
		}
	}
	t.Unknown++
	w.spent.Set(Spent{OutPoint: out, By: by, Kind: spentMissing, Number: number})
	return 0, false
}

// assign returns for each output of a payment the index of the request that it pays, or
// -1. From the activation of strict peg-outs on it is the reading by which members judge
// it, if it has one and all its inputs are known. Else outputs pay requests in order, each
// at most what was asked for. (peg.md A9)
func (s *State) assign(tx *wire.MsgTx, requests []Request, number, in uint64, known bool) []int {
	if s.strictPegOuts(number) && known {
		if paid, ok := s.rules.federation.Paid(outputsOf(requests), tx, in); ok {
			return paid
		}
	}
	paid, next := make([]int, len(tx.TxOut)), 0
	for i, out := range tx.TxOut {
		paid[i] = -1
		for k := next; k < len(requests); k++ {
			if bytes.Equal(out.PkScript, requests[k].Script) && uint64(out.Value) <= requests[k].Amount {
				paid[i], next = k, k+1
				break
			}
		}
	}
	return paid
}

// inputs sums what a payment would spend on top of a wallet, and reports whether all
// amounts are known.
func (s *State) inputs(tx *wire.MsgTx, w *Wallet, number uint64) (sum uint64, known bool) {
	seen := make(map[wire.OutPoint]bool, len(tx.TxIn)) // looked up only
	for _, in := range tx.TxIn {
		out := in.PreviousOutPoint
		if _, spent := w.SpentBy(out); seen[out] || spent {
			continue
		}
		seen[out] = true
		if c, held := w.Coin(out); held {
			sum = plus(sum, c.Amount)
			continue
		}
		d := s.Deposit(out.Hash)
		if d == nil || d.tx == nil {
			return 0, false
		}
		amount, ok := s.output(d.tx, out.Index, number)
		if !ok {
			return 0, false
		}
		sum = plus(sum, amount)
	}
	return sum, true
}

// unpaid returns the requests that no output pays.
func unpaid(requests []Request, paid []int) (rest []Request) {
	done := make([]bool, len(requests))
	for _, k := range paid {
		if k >= 0 {
			done[k] = true
		}
	}
	for i := range requests {
		if !done[i] {
			rest = append(rest, requests[i])
		}
	}
	return rest
}

// passOver ends what a block leaves unpaid: before the activation a request is paid by
// the next block or never, after it the request waits. (peg.md A8)
func (s *State) passOver(w *Wallet, b *Block) {
	for i := range w.Pending {
		t := &w.Totals
		if s.strictPegOuts(b.Number) {
			return
		}
		amount := w.Pending[i].Amount
		t.Requested, t.Pending = minus(t.Requested, amount), minus(t.Pending, amount)
		t.Ignored = plus(t.Ignored, amount)
	}
	w.Pending = nil
}

// request takes what a block's receipts ask for.
func (w *Wallet) request(requests []Request) {
	t := &w.Totals
	for _, r := range requests {
		t.Dust = plus(t.Dust, r.Dust)
		if r.Ignored != "" {
			t.Ignored = plus(t.Ignored, r.Amount)
			continue
		}
		t.Requested, t.Pending = plus(t.Requested, r.Amount), plus(t.Pending, r.Amount)
		w.Pending = append(w.Pending[:len(w.Pending):len(w.Pending)], r)
	}
}
