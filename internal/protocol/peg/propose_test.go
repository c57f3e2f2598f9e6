package peg_test

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// p2wpkh and p2pkh are other output scripts of strangers.
var (
	p2wpkh = append([]byte{txscript.OP_0, 20}, make([]byte, 20)...)
	p2pkh  = append(append([]byte{txscript.OP_DUP, txscript.OP_HASH160, 20}, make([]byte, 20)...), txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG)
)

// purse is a drawn wallet with what is required of it.
type purse struct {
	coins    []peg.Coin
	required []peg.Output
}

func (p *purse) spent(f *peg.Federation, tx *wire.MsgTx) (out []*wire.TxOut) {
	if tx == nil {
		return nil
	}
	for _, in := range tx.TxIn {
		i := slices.IndexFunc(p.coins, func(c peg.Coin) bool { return c.OutPoint == in.PreviousOutPoint })
		if i < 0 {
			out = append(out, nil)
			continue
		}
		out = append(out, wire.NewTxOut(int64(p.coins[i].Amount), f.ScriptPubKey))
	}
	return out
}

func (p *purse) all() []peg.Coin { return p.coins }

func drawPurse(t *rapid.T, f *peg.Federation) *purse {
	var p purse
	amount := rapid.OneOf(rapid.Uint64Range(0, 2000), rapid.Uint64Range(500_000, 3_000_000), rapid.Uint64Range(1, 100_000_000))
	for i, a := range rapid.SliceOfN(amount, 0, 12).Draw(t, "coins") {
		c := coin(uint32(i), a)
		c.Confirmed = rapid.Bool().Draw(t, "confirmed")
		p.coins = append(p.coins, c)
	}
	scripts := [][]byte{p2tr, p2wpkh, p2pkh, f.ScriptPubKey}
	for _, a := range rapid.SliceOfN(rapid.Uint64Range(peg.MinPegOut, 60_000_000), 0, 8).Draw(t, "peg-outs") {
		p.required = append(p.required, peg.Output{Amount: a, Script: scripts[rapid.IntRange(0, 3).Draw(t, "script")]})
	}
	if len(p.required) > 0 && rapid.IntRange(0, 9).Draw(t, "exact") == 0 && len(p.coins) > 0 {
		p.required = p.required[:1]
		p.coins[0].Amount = p.required[0].Amount + rapid.Uint64Range(0, 400).Draw(t, "left")
	}
	return &p
}

// TestProposeStrict draws wallets, requests and rates: what is proposed is valid and signed
// by the strict rule, carries what it does not pay, costs the pool nothing and pays the rate.
func TestProposeStrict(t *testing.T) {
	_, f := members(t, 3)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPurse(t, f)
		rate := rapid.OneOf(rapid.Uint64Range(0, 50_000), rapid.Uint64Range(0, 10_000_000)).Draw(t, "rate")
		tx, carried, err := f.Propose(p.coins, nil, p.required, rate, true)
		if err != nil {
			t.Fatal(err)
		}
		spent := p.spent(f, tx)
		paid, err := f.CheckStrict(p.required, tx, spent)
		if err != nil {
			t.Fatal(err)
		}
		if all := slices.Sorted(slices.Values(append(slices.Clone(paid), carried...))); !equivalent(p, paid, carried) || len(all) != len(p.required) {
			t.Fatalf("paid %v, carried %v of %d", paid, carried, len(p.required))
		}
		if err := f.CheckSigner(peg.Policy{MaxRate: 10_000_000, Strict: true}, p.required, tx, spent, p.all); err != nil {
			t.Fatal(err)
		}
		if tx != nil {
			checkFee(t, f, p, tx, spent, paid, rate)
		}
	})
}

// equivalent reports whether two lists name each request once: equal ones may stand for
// each other.
func equivalent(p *purse, paid, carried []int) bool {
	count := make(map[uint64]int)
	for _, out := range p.required {
		count[out.Amount]++
	}
	for _, i := range append(slices.Clone(paid), carried...) {
		count[p.required[i].Amount]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func checkFee(t *rapid.T, f *peg.Federation, p *purse, tx *wire.MsgTx, spent []*wire.TxOut, paid []int, rate uint64) {
	var in, out, asked, change uint64
	for _, o := range spent {
		in += uint64(o.Value)
	}
	for _, o := range tx.TxOut {
		out += uint64(o.Value)
	}
	for _, i := range paid {
		asked += p.required[i].Amount
	}
	if len(tx.TxOut) > len(paid) {
		change = uint64(tx.TxOut[len(paid)].Value)
	}
	size := (f.Weight(tx) + 3) / 4
	fee, least := in-out, (max(rate, 1000)*size+999)/1000
	if in != asked+change || fee < least || fee >= least+uint64(len(paid)) {
		t.Fatalf("%d in, %d asked, %d change; fee %d, at the rate %d", in, asked, change, fee, least)
	}
}

// TestProposeLegacy: before the activation all is paid or nothing, legacy takes our shape,
// and members sign it.
func TestProposeLegacy(t *testing.T) {
	_, f := members(t, 3)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPurse(t, f)
		tx, carried, err := f.Propose(p.coins, nil, p.required, rapid.Uint64Range(0, 100_000).Draw(t, "rate"), false)
		if err != nil {
			if !errors.Is(err, peg.InsufficientFunds) && !errors.Is(err, peg.FeesExceedPegoutValue) {
				t.Fatal(err)
			}
			return
		}
		spent := p.spent(f, tx)
		held := func(o wire.OutPoint) bool {
			return slices.ContainsFunc(p.coins, func(c peg.Coin) bool { return c.OutPoint == o })
		}
		if err := f.CheckProposal(p.required, tx, held); err != nil || len(carried) > 0 {
			t.Fatal(err, carried)
		}
		if err := f.CheckSigner(peg.Policy{}, p.required, tx, spent, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSignerTakesLegacy draws coins, peg-outs and rates: what legacy makes is signed.
func TestSignerTakesLegacy(t *testing.T) {
	_, f := members(t, 5)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPurse(t, f)
		if len(p.required) == 0 {
			return
		}
		tx, err := f.Payment(p.coins, p.required, rapid.Uint64Range(1000, 400_000).Draw(t, "rate"))
		if err != nil {
			return
		}
		if err := f.CheckSigner(peg.Policy{}, p.required, tx, p.spent(f, tx), nil); err != nil && !errors.Is(err, peg.OutputBelowDust) {
			t.Fatal(err)
		}
	})
}

// TestProposeForced: a payment spends what it must, and only what the wallet has.
func TestProposeForced(t *testing.T) {
	_, f := members(t, 3)
	coins := []peg.Coin{coin(0, 50_000_000), coin(1, 400), coin(2, 100), coin(3, 7_000_000)}
	required := []peg.Output{{Amount: 6_000_000, Script: p2tr}}
	for _, strict := range []bool{false, true} {
		tx, _, err := f.Propose(coins, []wire.OutPoint{coins[1].OutPoint, coins[2].OutPoint}, required, 2000, strict)
		if err != nil || len(tx.TxIn) != 3 || tx.TxIn[0].PreviousOutPoint != coins[1].OutPoint || tx.TxIn[1].PreviousOutPoint != coins[2].OutPoint ||
			tx.TxIn[2].PreviousOutPoint != coins[3].OutPoint {
			t.Fatal(tx, err)
		}
		if _, _, err := f.Propose(coins, []wire.OutPoint{{Index: 9}}, required, 2000, strict); !errors.Is(err, peg.UnspendableInput) || !fault.Is(err, fault.CannotJudge) {
			t.Error(err)
		}
		if _, _, err := f.Propose(coins, nil, required, peg.MaxFeeRate+1, strict); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	}
}

// TestChoice: confirmed coins first, few of them, and the smallest that does.
func TestChoice(t *testing.T) {
	_, f := members(t, 3)
	confirmed := func(i uint32, amount uint64) peg.Coin {
		c := coin(i, amount)
		c.Confirmed = true
		return c
	}
	for name, c := range map[string]struct {
		coins []peg.Coin
		want  []uint32
	}{
		"confirmed, though more":    {[]peg.Coin{coin(0, 90_000_000), confirmed(1, 3_000_000), confirmed(2, 3_000_000)}, []uint32{1, 2}},
		"all, when they must":       {[]peg.Coin{coin(0, 90_000_000), confirmed(1, 3_000_000)}, []uint32{0}},
		"the smallest that does":    {[]peg.Coin{confirmed(0, 90_000_000), confirmed(1, 6_000_000), confirmed(2, 5_000_330), confirmed(3, 5_000_329)}, []uint32{2}},
		"exact":                     {[]peg.Coin{confirmed(0, 90_000_000), confirmed(1, 5_000_000)}, []uint32{1}},
		"no change below an output": {[]peg.Coin{confirmed(0, 5_000_100), confirmed(1, 4_000)}, []uint32{0, 1}},
	} {
		tx, _, err := f.Propose(c.coins, nil, []peg.Output{{Amount: 5_000_000, Script: p2tr}}, 2000, true)
		if err != nil || tx == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []uint32
		for _, in := range tx.TxIn {
			got = append(got, in.PreviousOutPoint.Index)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestOrderOfCoins draws wallets: the payment does not depend on the order of the coins.
func TestOrderOfCoins(t *testing.T) {
	_, f := members(t, 3)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPurse(t, f)
		a, _, errA := f.Propose(p.coins, nil, p.required, 3000, true)
		b, _, errB := f.Propose(rapid.Permutation(p.coins).Draw(t, "order"), nil, p.required, 3000, true)
		if (errA == nil) != (errB == nil) || (a == nil) != (b == nil) || a != nil && a.TxHash() != b.TxHash() {
			t.Fatal(errA, errB)
		}
	})
}

// TestPayable: a request that cannot be paid holds nobody up, and an earlier one goes first.
func TestPayable(t *testing.T) {
	_, f := members(t, 3)
	out := func(amounts ...uint64) (list []peg.Output) {
		for _, a := range amounts {
			list = append(list, peg.Output{Amount: a, Script: p2tr})
		}
		return list
	}
	many := make([]peg.Coin, 3000)
	for i := range many {
		many[i] = coin(uint32(i), 10_000)
	}
	for name, c := range map[string]struct {
		coins    []peg.Coin
		required []peg.Output
		want     []int
	}{
		"all":              {[]peg.Coin{coin(0, 10_000_000)}, out(1_000_000, 2_000_000), []int{0, 1}},
		"one too large":    {[]peg.Coin{coin(0, 10_000_000)}, out(1_000_000, 20_000_000, 2_000_000), []int{0, 2}},
		"first come":       {[]peg.Coin{coin(0, 10_000_000)}, out(6_000_000, 5_000_000, 2_000_000), []int{0, 2}},
		"64 bits":          {[]peg.Coin{coin(0, 10_000_000)}, out(1<<64-1, 1_000_000), []int{1}},
		"exactly":          {[]peg.Coin{coin(0, 10_000_000)}, out(10_000_000), []int{0}},
		"change too small": {[]peg.Coin{coin(0, 10_000_000)}, out(9_999_671), nil},
		"change":           {[]peg.Coin{coin(0, 10_000_000)}, out(9_999_670), []int{0}},
		"coins of dust":    {[]peg.Coin{coin(0, 329), coin(1, 1_000_000)}, out(1_000_300), nil},
		"no coins":         {nil, out(1_000_000), nil},
		// 2 of 3 signatures: 435 weight units an input, so fewer than 920 of them.
		"too heavy": {many, out(9_500_000, 9_000_000, 100_000), []int{1, 2}},
	} {
		if got := f.Payable(c.coins, c.required); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestWeight: what a payment is said to weigh is what it weighs once it is signed.
func TestWeight(t *testing.T) {
	for _, n := range []int{1, 3, 15} {
		secrets, f := members(t, n)
		signers := make([]int, f.Threshold)
		for i := range signers {
			signers[i] = i
		}
		tx, _ := signed(t, f, secrets, signers...)
		bare := tx.Copy()
		for _, in := range bare.TxIn {
			in.Witness = nil
		}
		if got, want := f.Weight(bare), blockchain.GetTransactionWeight(btcutil.NewTx(tx)); got != uint64(want) {
			t.Errorf("%d members: %d, signed %d", n, got, want)
		}
	}
}

// TestDustLimit has the limits of Bitcoin Core's documentation.
func TestDustLimit(t *testing.T) {
	p2sh := append(append([]byte{txscript.OP_HASH160, 20}, make([]byte, 20)...), txscript.OP_EQUAL)
	for _, c := range []struct {
		script []byte
		want   uint64
	}{{p2pkh, 546}, {p2sh, 540}, {p2wpkh, 294}, {p2tr, 330}} {
		if got := peg.DustLimit(c.script); got != c.want {
			t.Errorf("%x: %d, want %d", c.script, got, c.want)
		}
	}
}

// large is a wallet of many coins.
func large(n int) (coins []peg.Coin) {
	for i := range n {
		c := coin(uint32(i), 10_000+new(big.Int).Exp(big.NewInt(int64(i)), big.NewInt(3), big.NewInt(1_000_003)).Uint64())
		c.Confirmed = i%3 != 0
		coins = append(coins, c)
	}
	return coins
}

func BenchmarkPropose100000(b *testing.B) {
	_, f := members(b, 15)
	coins := large(100_000)
	required := []peg.Output{{50_000_000, p2tr}, {1_000_000, p2wpkh}}
	b.ReportAllocs()
	for b.Loop() {
		if tx, _, err := f.Propose(coins, nil, required, 2000, true); err != nil || tx == nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckSigner500(b *testing.B) {
	_, f := members(b, 5)
	coins := make([]peg.Coin, 500)
	for i := range coins {
		coins[i] = coin(uint32(i), 100_000)
	}
	p := purse{coins, []peg.Output{{49_000_000, p2tr}, {900_000, p2wpkh}}}
	tx, _, err := f.Propose(coins, nil, p.required, 2000, true)
	if err != nil || tx == nil || len(tx.TxIn) < 499 {
		b.Fatal(err)
	}
	spent := p.spent(f, tx)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.CheckSigner(peg.Policy{Strict: true}, p.required, tx, spent, p.all); err != nil {
			b.Fatal(err)
		}
	}
}
