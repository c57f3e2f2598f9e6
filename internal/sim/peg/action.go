package peg

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Source makes the choices of a run: a seeded one here, rapid's in tests.
type Source interface {
	// Int is a number from low to high.
	Int(label string, low, high int) int
}

// Seeded is the source of a seed.
func Seeded(seed uint64) Source { return seeded{rand.New(rand.NewPCG(seed, 0x706567))} }

type seeded struct{ *rand.Rand }

func (s seeded) Int(_ string, low, high int) int { return low + s.IntN(high-low+1) }

func (w *world) oneIn(n int, label string) bool { return w.src.Int(label, 1, n) == n }

// actions are what can happen, as often as their weight.
var actions = []struct {
	weight int
	do     func(*world)
}{
	{8, (*world).pay},
	{10, (*world).mine},
	{3, (*world).leaveBitcoin},
	{10, (*world).callBridge},
	{28, (*world).produce},
	{12, (*world).follow},
	{14, (*world).order},
	{5, (*world).overtake},
	{6, (*world).gossip},
	{5, (*world).steal},
	{3, (*world).edges},
	{4, (*world).restart},
	{2, (*world).askAgain},
}

// prelude makes a pool: what follows begins with coins, and with burns that are not paid.
func (w *world) prelude() {
	if w.oneIn(6, "nothing before") {
		return
	}
	for range w.src.Int("deposits", 2, 6) {
		w.pay()
	}
	for range confirmations {
		w.bitcoin.mine(0)
	}
	w.settleEdges()
	if b := w.make(w.nodes[0], w.genesis, nil, nil); b != nil {
		w.offer(b)
	}
	for _, n := range w.nodes {
		w.moveHead(n)
	}
	for range w.src.Int("burns", 1, 4) {
		w.callBridge()
	}
}

// act does one action.
func (w *world) act() {
	w.time += 1000
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	pick := w.src.Int("action", 0, total-1)
	for _, a := range actions {
		if pick -= a.weight; pick < 0 {
			a.do(w)
			break
		}
	}
	w.settleEdges()
}

func (w *world) settleEdges() {
	for _, n := range w.nodes {
		n.run()
	}
	w.executeAll()
}

func (w *world) someNode() *node { return w.nodes[w.src.Int("member", 0, len(w.nodes)-1)] }

func (w *world) mine() {
	without := 0
	if w.oneIn(3, "some wait") {
		without = w.src.Int("wait", 0, 2)
	}
	if w.oneIn(6, "forgotten") {
		// Mempools are full: payments that no block has are gone.
		w.bitcoin.mempool = slices.DeleteFunc(w.bitcoin.mempool, func(tx *wire.MsgTx) bool { return w.deposits[tx.TxHash()] == nil })
	}
	w.bitcoin.rate = uint64(w.src.Int("rate", 0, 20)) * 1000
	w.bitcoin.mine(without)
	w.say("Bitcoin block %d with %d transactions", w.bitcoin.tip().Height, len(w.bitcoin.chain[len(w.bitcoin.chain)-1].txs)-1)
}

// leaveBitcoin reorganises Bitcoin, seldom as deep as deposits have to be.
func (w *world) leaveBitcoin() {
	depth := w.src.Int("depth", 1, confirmations-1)
	if w.oneIn(12, "deep") {
		depth = confirmations + w.src.Int("deeper", 0, 1)
		w.deep = true
	}
	if depth >= len(w.bitcoin.chain) {
		return
	}
	dropped := w.src.Int("dropped", 0, 3)
	w.bitcoin.leave(depth, func(tx *wire.MsgTx) bool {
		user := w.deposits[tx.TxHash()] != nil
		return user && dropped == 0 || !user && dropped == 1
	})
	for range depth + 1 {
		w.bitcoin.mine(0)
	}
	w.stats.BitcoinReorgs++
	w.say("Bitcoin leaves %d blocks, now at %d", depth, w.bitcoin.tip().Height)
}

// produce has a member build a block, on its head or an older block, perhaps with a
// header, and perhaps lies about it.
func (w *world) produce() {
	n := w.someNode()
	parent := n.head
	if w.oneIn(3, "fork") {
		tips := w.tips()
		if older := tips[w.src.Int("parent", max(0, len(tips)-5), len(tips)-1)]; n.told[older.Root] {
			parent = older
		}
	}
	if !w.carrier.under(parent) {
		return
	}
	var carry *block
	if parent.Number > w.final.Number && w.oneIn(6, "carry") {
		carry = parent
		for carry.parent != w.final && w.oneIn(2, "shorter") {
			carry = carry.parent
		}
	}
	b := w.make(n, parent, carry, w.drawBurns(parent))
	if b == nil {
		return
	}
	if w.oneIn(4, "lie") {
		first := w.src.Int("lie", 0, len(lies)-1)
		for i := range lies {
			if w.lie(b, (first+i)%len(lies)) {
				break
			}
		}
	}
	w.say("member %d builds %s on %s: %d peg-ins, proposal of %d bytes, %d payouts, carrier %v, %d burns; lie: %s", n.index, b.name, parent.name, len(b.PegIns), len(b.Proposal), len(b.Payouts), b.Carrier, len(b.burns), b.lie)
	w.offer(b)
}

// drawBurns chooses burns for a block: coins are there for what is burned.
func (w *world) drawBurns(parent *block) (list []*burn) {
	left := w.supply(parent)
	for _, b := range w.burns {
		strict := w.strict(parent.Number + 1)
		if len(list) == 3 || parent.hasBurn(b) || b.burned && left < b.amount+1 || !b.burned && !strict || w.oneIn(3, "later") {
			continue
		}
		if b.burned {
			left -= b.amount + 1
		}
		list = append(list, b)
	}
	return list
}

// supply is what is minted on a branch and not burned.
func (w *world) supply(tip *block) uint64 {
	var minted, burned uint64
	for b := tip; b != nil; b = b.parent {
		for _, x := range b.Withdrawals {
			minted += x.Amount / 10
		}
		minted -= b.fees / 10
		for _, x := range b.burns {
			if x.burned {
				burned += x.amount + 1
			}
		}
	}
	if burned > minted {
		return 0
	}
	return minted - burned
}

// follow has a member's head move, usually to the highest block.
func (w *world) follow() {
	n := w.someNode()
	if w.oneIn(3, "all") {
		for _, n := range w.nodes {
			w.moveHead(n)
		}
		return
	}
	w.moveHead(n)
}

func (w *world) moveHead(n *node) {
	tips := w.tips()
	to := tips[0]
	for _, b := range tips {
		if b.Number > to.Number || b.Number == to.Number && b == n.head {
			to = b
		}
	}
	if w.oneIn(4, "other head") {
		to = tips[w.src.Int("head", 0, len(tips)-1)]
	}
	w.say("member %d goes from %s to %s", n.index, n.head.name, to.name)
	n.tell(to)
}

// order has a member sign what its head's branch proposes.
func (w *world) order() {
	n := w.someNode()
	if !w.carrier.under(n.head) || n.head.Number <= w.final.Number {
		return
	}
	end := n.head
	if w.oneIn(3, "older end") && end.parent != w.final {
		end = end.parent
	}
	start := end
	for start.parent != w.final {
		start = start.parent
	}
	w.say("member %d is to sign %s to %s", n.index, start.name, end.name)
	n.input(core.Ref{}, &message.SignPayments{RangeStart: start.Root, RangeEnd: end.Root})
}

// overtake has all members sign what the highest branch proposes, or not, and leave it for
// another one that they build.
func (w *world) overtake() {
	best := w.best()
	if best == w.carrier {
		return
	}
	if !w.oneIn(4, "unsigned") {
		for range w.src.Int("orders", 1, 3) {
			w.order()
		}
		if w.oneIn(2, "gossip") {
			w.gossip()
		}
	}
	tip := best
	for tip != w.carrier && (tip == best || w.oneIn(2, "deeper")) {
		tip = tip.parent
	}
	w.say("overtake %s from %s", best.name, tip.name)
	for tip.Number <= best.Number {
		n := w.someNode()
		if !n.told[tip.Root] {
			n.tell(tip)
		}
		b := w.make(n, tip, nil, w.drawBurns(tip))
		if b == nil {
			return
		}
		for _, n := range w.nodes {
			if !n.told[tip.Root] || w.oneIn(3, "head") {
				n.tell(tip)
			}
		}
		w.say("member %d builds %s on %s: %d peg-ins, proposal of %d bytes, %d burns", n.index, b.name, tip.name, len(b.PegIns), len(b.Proposal), len(b.burns))
		if w.offer(b); !b.executed {
			return
		}
		tip = b
	}
}

// gossip gives a member what others have signed, and what nobody has.
func (w *world) gossip() { w.gossipTo(w.someNode(), w.oneIn(3, "false")) }

func (w *world) gossipTo(n *node, false_ bool) {
	m := &message.SignaturesReceived{}
	for _, s := range w.known() {
		for member, list := range s.signatures {
			if member == n.index || list == nil {
				continue
			}
			p := message.PaymentSignatures{Txid: s.tx.TxHash(), Key: w.federation.Keys[member]}
			for _, v := range list {
				p.Signatures = append(p.Signatures, message.PayoutSignature{Value: v})
			}
			if false_ {
				falsify(&p, w.src.Int("how", 0, 3))
			}
			m.Payments = append(m.Payments, p)
		}
	}
	if len(m.Payments) > 0 {
		n.input(core.Ref{}, m)
	}
}

func falsify(p *message.PaymentSignatures, how int) {
	switch how {
	case 0:
		p.Signatures[0].Value[5] ^= 1
	case 1:
		p.Signatures = p.Signatures[1:]
	case 2:
		p.Key = [33]byte{2, 1}
	default:
		p.Txid[3] ^= 1
	}
}

// known returns what is known of signatures, in the order of the payments' txids.
func (w *world) known() []*signing {
	var list []*signing
	for _, s := range w.payments {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *signing) int {
		x, y := a.tx.TxHash(), b.tx.TxHash()
		return bytes.Compare(x[:], y[:])
	})
	return list
}

// steal broadcasts every payment that has signatures enough, whatever branch it is of.
func (w *world) steal() {
	for _, s := range w.known() {
		tx, err := w.federation.Finalize(s.tx, s.signatures)
		if err != nil {
			continue
		}
		if w.bitcoin.accept(tx) == nil {
			w.stats.Stolen++
			w.thief = true
			w.say("payment %s is broadcast by a thief", tx.TxHash())
		}
	}
}

// edges stop or go on.
func (w *world) edges() {
	n := w.someNode()
	if w.oneIn(2, "edge") {
		n.away = !n.away
	} else {
		n.mute = !n.mute
	}
	if w.oneIn(2, "wake") {
		n.wake()
	}
	w.say("member %d: Bitcoin away %v, signer mute %v", n.index, n.away, n.mute)
}

func (w *world) restart() {
	n := w.someNode()
	if w.oneIn(3, "snapshot") {
		n.save()
		return
	}
	w.say("member %d crashes", n.index)
	n.crash(w.oneIn(2, "performed"))
	if !w.oneIn(4, "timers later") {
		n.wake()
	}
}

// askAgain offers blocks anew, to members that have their parents now.
func (w *world) askAgain() {
	for _, b := range w.blocks[max(0, len(w.blocks)-6):] {
		if b.executed || !b.parent.executed {
			continue
		}
		for _, n := range w.nodes {
			if n.told[b.Parent] && !b.approved[n.index] {
				n.input(core.Ref{}, &message.JudgePeg{Block: &b.PegBlock})
			}
		}
	}
}
