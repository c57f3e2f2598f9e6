package peg

import (
	"fmt"
	"maps"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// ledger is what the facts said last of each thing.
type ledger struct {
	deposits map[chainhash.Hash]uint8
	requests map[string]uint8
	payments map[chainhash.Hash]uint8
	wallet   message.PegTotals
}

func newLedger() ledger {
	return ledger{deposits: map[chainhash.Hash]uint8{}, requests: map[string]uint8{}, payments: map[chainhash.Hash]uint8{}}
}

func request(transaction common.Hash) string { return fmt.Sprintf("%x", transaction[:4]) }

func (l *ledger) fold(m core.Message) {
	switch m := m.(type) {
	case *message.PegInChanged:
		l.deposits[m.Txid] = m.State
	case *message.PegOutChanged:
		l.requests[request(m.Transaction)] = m.State
	case *message.PaymentChanged:
		l.payments[m.Txid] = m.State
	case *message.WalletChanged:
		l.wallet = *m.Totals
	}
}

// settleRounds is how long everything may take once nothing is in the way.
const settleRounds = 24

// settle lets everybody know everything, and goes on until all is paid.
func (w *world) settle() {
	w.say("settle")
	for _, n := range w.nodes {
		n.away, n.mute = false, false
		n.run()
		if n.halted {
			n.input(core.Ref{}, &message.ResumePeg{Request: 1, Reason: "the operator looked"})
		}
	}
	for round := range settleRounds {
		w.time += 60_000
		w.round(round)
		w.check()
		if w.done() {
			break
		}
	}
	w.checkEnd()
}

// round is one block of each chain, with signatures.
func (w *world) round(round int) {
	w.bitcoin.mine(0)
	w.settleEdges()
	best := w.best()
	for _, n := range w.nodes {
		n.tell(best)
		n.wake()
	}
	if best != w.final {
		start := best
		for start.parent != w.final {
			start = start.parent
		}
		for _, n := range w.nodes {
			n.input(core.Ref{}, &message.SignPayments{RangeStart: start.Root, RangeEnd: best.Root})
		}
	}
	for _, n := range w.nodes {
		w.gossipTo(n, false)
	}
	carry := best
	if best == w.final {
		carry = nil
	}
	if b := w.make(w.nodes[round%len(w.nodes)], best, carry, nil); b != nil {
		w.say("round %d: %s on %s, proposal of %d bytes, %d payouts, carrier %v", round, b.name, best.name, len(b.Proposal), len(b.Payouts), b.Carrier)
		w.offer(b)
	}
	w.settleEdges()
}

// best is the highest executed block that a head may be.
func (w *world) best() *block {
	tips := w.tips()
	best := tips[0]
	for _, b := range tips {
		if b.Number > best.Number {
			best = b
		}
	}
	return best
}

// done reports whether everything is paid that was asked for, and minted that was paid.
func (w *world) done() bool {
	for _, n := range w.nodes {
		if n.head.Number != w.blocks[len(w.blocks)-1].Number-1 {
			return false
		}
		s := n.bridge()
		head := s.Block(s.Head.Root)
		if len(head.Wallet.Pending) > 0 {
			return false
		}
		for txid, d := range w.bitcoinDeposits() {
			if w.owed(d, head.Number) >= 330 && !head.Wallet.Minted(txid) {
				return false
			}
		}
		for b := n.head; b != nil; b = b.parent {
			if len(b.Proposal) > 0 && n.ledger.payments[readTx(b.Proposal).TxHash()] != message.PaymentConfirmed {
				return false
			}
		}
	}
	return true
}

// owed is what members mint for a deposit: by the strict rule where it holds, else what both
// rules agree on.
func (w *world) owed(d *deposit, number uint64) uint64 {
	if w.strict(number) || d.strict == d.loose {
		return d.strict
	}
	return 0
}

// checkEnd: the members agree, what can be paid is, and a member that begins anew comes to
// the same facts.
func (w *world) checkEnd() {
	done := w.done()
	w.checkRivals()
	for _, n := range w.nodes {
		n.tell(w.best())
	}
	first := w.nodes[0].bridge()
	for _, n := range w.nodes[1:] {
		s := n.bridge()
		if s.Head != first.Head || s.Block(s.Head.Root).Wallet.Totals != first.Block(s.Head.Root).Wallet.Totals {
			w.fail("members agree", n, "%+v and %+v", s.Block(s.Head.Root).Wallet.Totals, first.Block(first.Head.Root).Wallet.Totals)
		}
	}
	clean := !w.thief && !w.deep && w.stats.Alarms["signed-off-branch"] == 0
	switch {
	case done:
		w.stats.Settled++
	case clean:
		w.fail("what is asked for is paid", nil, "%s", w.open())
	default:
		w.stats.Stuck++
	}
	for _, n := range w.nodes {
		n.crash(false)
	}
	if w.deep {
		return // what was minted may be gone from Bitcoin
	}
	fresh := w.newNode(0)
	fresh.tell(w.nodes[0].head)
	fresh.run()
	w.compareLedgers(w.nodes[0], fresh)
}

// open says what is not paid.
func (w *world) open() string {
	n := w.nodes[0]
	s := n.bridge()
	text := fmt.Sprintf("head %s, %d pending, alarms %v, payments", n.head.name, len(s.Block(s.Head.Root).Wallet.Pending), n.alarms)
	for b := n.head; b != nil; b = b.parent {
		if len(b.Proposal) > 0 {
			text += fmt.Sprintf(" %s:%d", b.name, n.ledger.payments[readTx(b.Proposal).TxHash()])
		}
	}
	return text
}

// compareLedgers: what was told of the head's branch and of Bitcoin is what a member tells
// that begins anew. What it cannot know is how far signatures came, and what is on no chain
// any more.
func (w *world) compareLedgers(old, fresh *node) {
	for txid := range w.bitcoinDeposits() {
		if a, b := old.ledger.deposits[txid], fresh.ledger.deposits[txid]; a != b && !(a == message.PegInProposed && b == message.PegInQueued) {
			w.fail("facts fold as a fresh start's", old, "deposit %s is in state %d, afresh %d", txid, a, b)
		}
	}
	for name, b := range fresh.ledger.requests {
		if a := old.ledger.requests[name]; a != b {
			w.fail("facts fold as a fresh start's", old, "request %s is in state %d, afresh %d", name, a, b)
		}
	}
	for txid, b := range fresh.ledger.payments {
		a := old.ledger.payments[txid]
		if a == message.PaymentSigning || a == message.PaymentSigned {
			a = message.PaymentProposed
		}
		if a != b {
			w.fail("facts fold as a fresh start's", old, "payment %s is in state %d, afresh %d", txid, a, b)
		}
	}
	if a, b := old.ledger.wallet, fresh.ledger.wallet; a != b {
		w.fail("facts fold as a fresh start's", old, "the wallet is %+v, afresh %+v", a, b)
	}
}

// bitcoinDeposits are those in a block.
func (w *world) bitcoinDeposits() map[chainhash.Hash]*deposit {
	list := maps.Clone(w.deposits)
	for txid := range list {
		if w.bitcoin.find(txid) == nil {
			delete(list, txid)
		}
	}
	return list
}
