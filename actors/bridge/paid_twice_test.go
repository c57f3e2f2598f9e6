package bridge_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestNothingPaidTwice draws trees of blocks whose proposers choose coins as they like and
// moves the head about. Whatever this member has signed: no two payments of one request can
// both be confirmed.
func TestNothingPaidTwice(t *testing.T) {
	signed, rivals := 0, 0
	for seed := range int64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWanderer(t, seed)
			for range 40 {
				w.step()
			}
			s, r := w.check()
			signed, rivals = signed+s, rivals+r
		})
	}
	t.Logf("%d signed payments, %d pairs that pay a request twice", signed, rivals)
	if signed < 300 || rivals < 30 {
		t.Errorf("%d signed payments with %d pairs that pay one request: the trees show too little", signed, rivals)
	}
}

// wanderer draws what happens.
type wanderer struct {
	*member
	*rand.Rand
	burned map[string][]uint32 // by block: the requests of its branch
	made   []string            // the blocks
	head   string
}

func newWanderer(t *testing.T, seed int64) *wanderer {
	r := rand.New(rand.NewSource(seed))
	m := newMember(t, 1, 0, func(c *spec.Chain, _ *message.NodeConfigured) {
		if r.Intn(2) == 0 {
			c.Activations.StrictPegouts = 1
		}
	})
	m.single = true
	var txs []*wire.MsgTx
	for i := range 3 + r.Intn(4) {
		tx := m.deposit(fmt.Sprint("deposit ", i), int64(4_000_000+r.Intn(8_000_000)))
		if err := m.bitcoin.accept(tx); err != nil {
			t.Fatal(err)
		}
		txs = append(txs, tx)
	}
	m.bitcoin.mine()
	m.bitcoin.mine()
	m.settle()
	m.next("m", "g", func(b *message.PegBlock) { m.mint(b, txs...) })
	m.follow("m", "", "m")
	return &wanderer{member: m, Rand: r, burned: map[string][]uint32{}, made: []string{"m"}, head: "m"}
}

func (w *wanderer) step() {
	switch w.Intn(9) {
	case 0: // another branch may be followed
		w.head = w.made[w.Intn(len(w.made))]
		w.follow(w.head, "")
	case 1, 2, 3:
		w.sendSign("m", w.head)
	case 4:
		w.bitcoin.mine()
		w.settle()
	default:
		w.extend()
	}
}

// extend makes a block, mostly on the head.
func (w *wanderer) extend() {
	on := w.head
	if w.Intn(4) == 0 {
		on = w.made[w.Intn(len(w.made))]
	}
	name := fmt.Sprint("block ", len(w.made))
	w.next(name, on, func(b *message.PegBlock) {
		w.burned[name] = slices.Clone(w.burned[on])
		if n := uint32(1 + w.Intn(6)); !slices.Contains(w.burned[name], n) && w.Intn(2) == 0 {
			w.burned[name] = append(w.burned[name], n)
			b.Receipts = receipts(burn(n, 1_000_000+uint64(n)*500_000))
		}
		b.Proposal = w.proposal(on)
	})
	judged := w.judge(name)
	if b := w.blocks[name]; len(b.Proposal) > 0 && judged.Grade != 0 && w.Intn(3) > 0 {
		b.Proposal = nil // mostly there is no quorum for what we do not approve
	}
	w.made = append(w.made, name)
	if w.Intn(5) > 0 {
		w.head = name
	}
	w.follow(w.head, "", name)
}

// proposal is ours, or that of somebody who chooses among some of the coins, or nothing.
func (w *wanderer) proposal(on string) []byte {
	pending := w.wallet(on).Pending
	choice := w.Intn(5)
	if len(pending) == 0 || choice == 0 {
		return nil
	}
	if choice == 1 {
		return w.plan(on, "", "").Proposal
	}
	var coins []peg.Coin
	w.wallet(on).Coins(func(c bridge.Coin) bool {
		if w.Intn(4) > 0 {
			coins = append(coins, peg.Coin{OutPoint: c.OutPoint, Amount: c.Amount, Confirmed: w.Intn(2) == 0})
		}
		return true
	})
	var required []peg.Output
	for _, r := range pending {
		required = append(required, peg.Output{Amount: r.Amount, Script: r.Script})
	}
	tx, _, err := w.federation.Propose(coins, nil, required, 1000+uint64(w.Intn(3000)), w.spec.Activations.StrictPegouts > 0)
	if err != nil || tx == nil {
		return nil
	}
	return bare(w.tb, tx)
}

// check looks for two signed payments of one request that can both be confirmed: neither
// they nor what they depend on spend an output twice. What this member has not signed
// cannot be confirmed, for its signature is needed.
func (w *wanderer) check() (signed, rivals int) {
	all := map[chainhash.Hash]*bridge.Payment{}
	for _, s := range w.heard {
		all[s.Txid] = w.payment(s.Txid)
	}
	for txid, p := range all {
		for other, q := range all {
			if txid == other || !paysTheSame(p, q) {
				continue
			}
			rivals++
			spent := map[wire.OutPoint]chainhash.Hash{}
			if w.confirm(p, all, spent) && w.confirm(q, all, spent) {
				w.tb.Errorf("payments %s of block %d and %s of block %d pay one request and can both be confirmed", txid, p.Number, other, q.Number)
			}
		}
	}
	return len(all), rivals / 2
}

func paysTheSame(p, q *bridge.Payment) bool {
	return slices.ContainsFunc(p.Pays, func(a bridge.Paid) bool {
		return slices.ContainsFunc(q.Pays, func(b bridge.Paid) bool { return a.Transaction == b.Transaction })
	})
}

// confirm spends what a payment and those it depends on spend.
func (w *wanderer) confirm(p *bridge.Payment, all map[chainhash.Hash]*bridge.Payment, spent map[wire.OutPoint]chainhash.Hash) bool {
	if p == nil {
		return false
	}
	for _, in := range readTx(w.tb, p.Raw).TxIn {
		out := in.PreviousOutPoint
		if by, taken := spent[out]; taken && by != p.Txid {
			return false
		}
		spent[out] = p.Txid
		if w.bitcoin.blockOf(out.Hash) == (chainhash.Hash{}) && !w.confirm(all[out.Hash], all, spent) {
			return false
		}
	}
	return true
}
