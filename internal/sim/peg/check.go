package peg

import (
	"fmt"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Failure is a property that does not hold.
type Failure struct {
	Check  string // its name
	Node   string // the member, if it is one's
	Detail string
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %s %s", f.Check, f.Node, f.Detail) }

// check looks at everything that must always hold.
func (w *world) check() {
	w.checkBitcoin()
	for _, n := range w.nodes {
		for _, b := range w.blocks {
			if n.told[b.Root] {
				n.checkWallet(b)
			}
		}
		n.checkLedger()
	}
}

// checkBitcoin: whatever happens on the chain, Bitcoin pays each burn at most once, at most
// what was burned and at least that without its share of a fee that members sign, and
// nobody else.
func (w *world) checkBitcoin() {
	paid := map[*burn]bool{}
	amounts := map[wire.OutPoint]int64{}
	w.bitcoin.all(func(tx *wire.MsgTx) {
		txid := tx.TxHash()
		fee, ours := int64(0), true
		for _, in := range tx.TxIn {
			ours = ours && in.PreviousOutPoint.Index != fromOutside
			fee += amounts[in.PreviousOutPoint]
		}
		for i, out := range tx.TxOut {
			amounts[wire.OutPoint{Hash: txid, Index: uint32(i)}] = out.Value
			if !ours || w.federation.Pays(out.PkScript) {
				fee -= out.Value
				continue
			}
			x := w.burnTo(out.PkScript)
			switch {
			case x == nil || !x.burned:
				w.fail("nobody else is paid", nil, "payment %s pays %d to %x", txid, out.Value, out.PkScript)
			case paid[x]:
				w.fail("no burn is paid twice", nil, "payment %s pays burn %d again", txid, x.number)
			case uint64(out.Value) > x.amount:
				w.fail("no burn is overpaid", nil, "payment %s pays %d for %d", txid, out.Value, x.amount)
			}
			paid[x] = true
			fee -= out.Value
		}
		if size := (w.federation.Weight(bare(tx)) + 3) / 4; ours && (fee < 0 || uint64(fee) > (maxRate*size+999)/1000+uint64(len(tx.TxOut))) {
			w.fail("fees are what members sign", nil, "payment %s costs %d satoshi for %d vbytes", txid, fee, size)
		}
	})
	w.stats.Paid = max(w.stats.Paid, len(paid))
}

// checkDeep: what a member approves that has followed Bitcoin to its tip is deep there.
func (w *world) checkDeep(n *node, b *block) {
	if n.bridge().Following.Top != w.bitcoin.tip() {
		return
	}
	for _, id := range b.PegIns {
		block := w.bitcoin.find(id.Txid)
		if block == nil || block.id.Hash != id.Block || w.bitcoin.tip().Height-block.id.Height+1 < confirmations {
			w.fail("deposits are deep", n, "%s mints %s of Bitcoin block %s", b.name, id.Txid, id.Block)
		}
	}
}

func bare(tx *wire.MsgTx) *wire.MsgTx {
	c := tx.Copy()
	for _, in := range c.TxIn {
		in.Witness = nil
	}
	return c
}

// checkWallet compares a member's wallet after a block with the model.
func (n *node) checkWallet(b *block) {
	kept := n.bridge().Block(b.Root)
	if kept == nil {
		n.w.fail("executed blocks are kept", n, "%s", b.name)
	}
	w := kept.Wallet
	if n.checked[b.Root] == w {
		return
	}
	n.checked[b.Root] = w
	n.w.stats.Wallets++
	t := w.Totals
	if t.Deposited+t.Fetched != t.Coins+t.Paid+t.Stray+t.BitcoinFees || t.Requested != t.Paid+t.UserFees+t.Pending || int64(t.UserFees)+t.PoolDrift != int64(t.BitcoinFees) {
		n.w.fail("conservation", n, "after %s: %+v", b.name, t)
	}
	sum, count := uint64(0), uint64(0)
	w.Coins(func(c bridge.Coin) bool {
		sum, count = sum+c.Amount, count+1
		if _, spent := w.SpentBy(c.OutPoint); spent {
			n.w.fail("no coin is spent and unspent", n, "%s after %s", c.OutPoint, b.name)
		}
		return true
	})
	if sum != t.Coins || count != t.CoinCount {
		n.w.fail("conservation", n, "after %s: %d coins of %d, totals %+v", b.name, count, sum, t)
	}
	if t.Unknown > 0 {
		return // a transaction is not here yet
	}
	n.compare(b, w, n.w.model(b))
}

func (n *node) compare(b *block, w *bridge.Wallet, m *model) {
	if m.problem != "" {
		n.w.fail("nothing wrong is executed", n, "after %s: %s", b.name, m.problem)
	}
	w.Coins(func(c bridge.Coin) bool {
		if amount, held := m.coins[c.OutPoint]; !held || amount != c.Amount {
			n.w.fail("wallets are the model's", n, "after %s: coin %s of %d, the model has %d", b.name, c.OutPoint, c.Amount, amount)
		}
		return true
	})
	same := uint64(len(m.coins)) == w.Totals.CoinCount && w.Totals.Credited == m.credited && w.Totals.Paid == m.paid && w.Totals.BitcoinFees == m.fees && len(m.pending) == len(w.Pending)
	for i := 0; same && i < len(m.pending); i++ {
		same = m.pending[i].fromLog.Transaction == w.Pending[i].Transaction
	}
	for txid := range m.minted {
		same = same && w.Minted(txid)
	}
	if !same {
		n.w.fail("wallets are the model's", n, "after %s: totals %+v, %d pending; the model has %d coins, %d credited, %d paid, %d fees, %d pending",
			b.name, w.Totals, len(w.Pending), len(m.coins), m.credited, m.paid, m.fees, len(m.pending))
	}
	if w.Totals.Unbacked != 0 {
		n.w.fail("what is minted is backed", n, "after %s: %d gwei are not", b.name, w.Totals.Unbacked)
	}
	if drift := w.Totals.PoolDrift; drift < 0 || n.w.strict(1) && drift != 0 || drift >= 330*int64(b.Number+1) {
		n.w.fail("the pool pays no fees", n, "after %s: %d satoshi", b.name, drift)
	}
}

// checkLedger compares what the facts said last with the wallet of the head.
func (n *node) checkLedger() {
	s := n.bridge()
	head := s.Block(s.Head.Root)
	for txid, state := range n.ledger.deposits {
		minted := head.Wallet.Minted(txid)
		if told := state == message.PegInMinted || state == message.PegInFinalized; told != minted {
			n.w.fail("facts tell what the wallet has", n, "deposit %s is in state %d, minted on the head's branch: %v", txid, state, minted)
		}
	}
	pending := map[string]bool{}
	for i := range head.Wallet.Pending {
		pending[request(head.Wallet.Pending[i].Transaction)] = true
	}
	for name, state := range n.ledger.requests {
		if told := state == message.PegOutRequested || state == message.PegOutCarried; told != pending[name] {
			n.w.fail("facts tell what the wallet has", n, "request %s is in state %d, pending after the head: %v", name, state, pending[name])
		}
		delete(pending, name)
	}
	if len(pending) > 0 {
		n.w.fail("facts tell what the wallet has", n, "%d pending requests were not told", len(pending))
	}
}
