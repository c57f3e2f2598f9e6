package peg_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// honest is a wallet with two requests and our payment of them; mutate works on copies.
func honest(tb testing.TB, f *peg.Federation, strict bool) (*purse, *wire.MsgTx) {
	tb.Helper()
	p := &purse{
		coins:    []peg.Coin{coin(0, 5_000_000), coin(1, 4_000_000), coin(2, 3_000_000)},
		required: []peg.Output{{6_000_000, p2tr}, {1_000_000, p2wpkh}},
	}
	tx, carried, err := f.Propose(p.coins, nil, p.required, 2000, strict)
	if err != nil || len(carried) > 0 || len(tx.TxOut) != 3 {
		tb.Fatal(tx, carried, err)
	}
	return p, tx
}

// dishonest are the payments that a member must not sign, and why.
var dishonest = []struct {
	name   string
	change func(*purse, *wire.MsgTx)
	legacy peg.Defect // before the activation of strict peg-outs
	strict peg.Defect // from it on
}{
	{"nothing is required", func(p *purse, _ *wire.MsgTx) { p.required = nil }, peg.UnrequiredProposal, peg.UnrequiredProposal},
	{"an input twice", func(_ *purse, tx *wire.MsgTx) { tx.TxIn[1].PreviousOutPoint = tx.TxIn[0].PreviousOutPoint }, peg.RepeatedInput, peg.RepeatedInput},
	{"no coin", func(_ *purse, tx *wire.MsgTx) { tx.TxIn[1].PreviousOutPoint.Index = 77 }, peg.UnspendableInput, peg.UnspendableInput},
	{"no inputs", func(_ *purse, tx *wire.MsgTx) { tx.TxIn = nil }, peg.UnspendableInput, peg.UnspendableInput},
	{"a signature script", func(_ *purse, tx *wire.MsgTx) { tx.TxIn[0].SignatureScript = []byte{1} }, peg.UnusualInput, peg.UnusualInput},
	{"a witness", func(_ *purse, tx *wire.MsgTx) { tx.TxIn[0].Witness = wire.TxWitness{{}} }, peg.UnusualInput, peg.UnusualInput},
	{"a relative lock", func(_ *purse, tx *wire.MsgTx) { tx.TxIn[0].Sequence = 144 }, peg.UnusualInput, peg.UnusualInput},
	{"locked", func(_ *purse, tx *wire.MsgTx) { tx.LockTime = 1 }, peg.InvalidTransactionHeader, peg.InvalidTransactionHeader},
	{"version 1", func(_ *purse, tx *wire.MsgTx) { tx.Version = 1 }, peg.InvalidTransactionHeader, peg.InvalidTransactionHeader},
	{"more than there is", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[2].Value = 1 << 62 }, peg.ImpossibleAmount, peg.ImpossibleAmount},
	{"a negative amount", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[2].Value = -1 }, peg.ImpossibleAmount, peg.ImpossibleAmount},
	{"more than the coins", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[2].Value += 10_000 }, peg.ImpossibleAmount, peg.ImpossibleAmount},
	{"one user pays it all", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[0].Value -= 100; tx.TxOut[1].Value += 100 }, peg.UnequalDeductions, peg.InvalidPegoutOutput},
	{"a user gets more", func(p *purse, tx *wire.MsgTx) { tx.TxOut[1].Value = int64(p.required[1].Amount) + 1 }, peg.InvalidPegoutOutput, peg.InvalidPegoutOutput},
	{"other script", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[0].PkScript = p2pkh }, peg.InvalidPegoutOutput, peg.InvalidPegoutOutput},
	{"an output to a stranger", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[2].PkScript = p2tr }, peg.InvalidChangeOutput, peg.InvalidPegoutOutputCount},
	{"two more outputs", func(_ *purse, tx *wire.MsgTx) {
		tx.TxOut[2].Value -= 1000
		tx.TxOut = append(tx.TxOut, wire.NewTxOut(1000, tx.TxOut[2].PkScript))
	}, peg.InvalidPegoutOutputCount, peg.InvalidPegoutOutputCount},
	{"no outputs", func(_ *purse, tx *wire.MsgTx) { tx.TxOut = nil }, peg.InvalidPegoutOutputCount, peg.InvalidPegoutOutputCount},
	{"change to the miner", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[2].Value -= 20_000 }, peg.WrongChange, peg.InvalidPegoutOutput},
	{"a satoshi of change to the miner", func(_ *purse, tx *wire.MsgTx) { tx.TxOut[2].Value-- }, peg.WrongChange, peg.UnequalDeductions},
	{"all change to the miner", func(_ *purse, tx *wire.MsgTx) { tx.TxOut = tx.TxOut[:2] }, peg.WrongChange, peg.InvalidPegoutOutput},
	{"users pay into the change", func(_ *purse, tx *wire.MsgTx) {
		tx.TxOut[0].Value -= 5000
		tx.TxOut[1].Value -= 5000
		tx.TxOut[2].Value += 10_000
	}, peg.WrongChange, peg.InvalidPegoutOutput},
	{"change of dust", func(p *purse, tx *wire.MsgTx) {
		p.coins[0].Amount, p.coins[2].Amount, tx.TxOut[2].Value = 4_000_000, 3_000_329, 329
	}, peg.OutputBelowDust, peg.WrongChange},
	{"everything burned", func(_ *purse, tx *wire.MsgTx) {
		tx.TxOut[0].Value -= 999_000
		tx.TxOut[1].Value -= 999_000
	}, peg.FeeRateTooHigh, peg.FeeRateTooHigh},
	{"a user of dust", func(p *purse, tx *wire.MsgTx) {
		fee := int64(p.required[1].Amount) - tx.TxOut[1].Value
		p.required[1].Amount = uint64(fee) + 293
		tx.TxOut[1].Value, tx.TxOut[2].Value = 293, tx.TxOut[2].Value+1_000_000-fee-293
	}, peg.OutputBelowDust, peg.OutputBelowDust},
	{"no fee to speak of", func(p *purse, tx *wire.MsgTx) {
		tx.TxOut[0].Value, tx.TxOut[1].Value = int64(p.required[0].Amount)-1, int64(p.required[1].Amount)-1
	}, peg.FeeRateTooLow, peg.FeeRateTooLow},
}

// TestSignerRefuses has each payment that is not signed, by both rules.
func TestSignerRefuses(t *testing.T) {
	_, f := members(t, 3)
	for _, c := range dishonest {
		for _, strict := range []bool{false, true} {
			p, tx := honest(t, f, strict)
			if err := f.CheckSigner(peg.Policy{MaxRate: 100_000, Strict: strict}, p.required, tx, p.spent(f, tx), p.all); err != nil {
				t.Fatal(err)
			}
			c.change(p, tx)
			want := c.legacy
			if strict {
				want = c.strict
			}
			err := f.CheckSigner(peg.Policy{MaxRate: 100_000, Strict: strict}, p.required, tx, p.spent(f, tx), p.all)
			if !errors.Is(err, want) || !fault.Is(err, fault.Invalid) {
				t.Errorf("%s, strict %v: %v, want %s", c.name, strict, err, want)
			}
		}
	}
}

// TestSignerRates: both bounds are the policy's, and they bind to the satoshi.
func TestSignerRates(t *testing.T) {
	_, f := members(t, 3)
	p, tx := honest(t, f, false)
	for _, c := range []struct {
		policy peg.Policy
		want   error
	}{
		{peg.Policy{MinRate: 2000, MaxRate: 2000}, nil},
		{peg.Policy{MinRate: 2010}, peg.FeeRateTooLow},
		{peg.Policy{MaxRate: 1980}, peg.FeeRateTooHigh},
	} {
		if err := f.CheckSigner(c.policy, p.required, tx, p.spent(f, tx), p.all); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.policy, err)
		}
	}
}

// TestSignerWeight: what Bitcoin does not relay is not signed.
func TestSignerWeight(t *testing.T) {
	_, f := members(t, 3)
	p := &purse{required: []peg.Output{{9_900_000, p2tr}}}
	for i := range uint32(1000) {
		p.coins = append(p.coins, coin(i, 10_000))
	}
	tx := wire.NewMsgTx(2)
	for _, c := range p.coins {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.OutPoint, Sequence: 0xfffffffd})
	}
	tx.AddTxOut(wire.NewTxOut(9_400_000, p2tr))
	tx.AddTxOut(wire.NewTxOut(100_000, f.ScriptPubKey))
	if err := f.CheckSigner(peg.Policy{}, p.required, tx, p.spent(f, tx), nil); !errors.Is(err, peg.TooHeavy) {
		t.Error(err)
	}
	if _, _, err := f.Propose(p.coins, nil, p.required, 1000, false); !errors.Is(err, peg.InsufficientFunds) {
		t.Error(err)
	}
}

// TestPassedOver: who can be paid is paid, in turn.
func TestPassedOver(t *testing.T) {
	_, f := members(t, 3)
	policy := peg.Policy{MaxRate: 100_000, Strict: true}
	p := &purse{coins: []peg.Coin{coin(0, 10_000_000)}, required: []peg.Output{{6_000_000, p2tr}, {5_000_000, p2wpkh}, {2_000_000, p2tr}}}
	check := func(list ...peg.Output) error {
		tx, carried, err := f.Propose(p.coins, nil, list, 2000, true)
		if err != nil || len(carried) > 0 {
			t.Fatal(carried, err)
		}
		return f.CheckSigner(policy, p.required, tx, p.spent(f, tx), p.all)
	}
	if err := check(p.required[0], p.required[2]); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"the last is left out":     check(p.required[0]),
		"the first is left out":    check(p.required[1], p.required[2]),
		"nothing is proposed":      check(),
		"out of its turn, as well": check(p.required[1]),
	} {
		if !errors.Is(err, peg.RequestPassedOver) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// At the highest rate that is signed, a least peg-out is not worth its fee.
	policy.MaxRate = 10_000_000
	p.required = []peg.Output{{1_000_000, p2tr}}
	if err := check(); err != nil {
		t.Error(err)
	}
	if err := f.CheckSigner(peg.Policy{}, p.required, nil, nil, nil); !errors.Is(err, peg.MissingPegoutProposal) {
		t.Error(err)
	}
}

// TestMatch: outputs find their requests, each once.
func TestMatch(t *testing.T) {
	_, f := members(t, 3)
	required := []peg.Output{{5, p2tr}, {3, p2wpkh}, {9, p2tr}, {9, p2tr}}
	tx := wire.NewMsgTx(2)
	for _, out := range []*wire.TxOut{wire.NewTxOut(8, p2tr), wire.NewTxOut(9, p2tr), wire.NewTxOut(9, p2tr), wire.NewTxOut(1, f.ScriptPubKey), wire.NewTxOut(-1, p2tr)} {
		tx.AddTxOut(out)
	}
	if got := peg.Match(required, tx); !slices.Equal(got, []int{2, 3, -1, -1, -1}) {
		t.Error(got)
	}
}

// FuzzCheckSigner changes an honest payment at random: whatever is signed gives every user
// the same deduction, leaves the pool its coins to a known loss, and passes legacy's check.
func FuzzCheckSigner(f *testing.F) {
	_, fed := members(f, 3)
	f.Add(false, int64(0), int64(0), int64(0), uint8(0), uint16(2000))
	f.Add(true, int64(-2), int64(-2), int64(0), uint8(0), uint16(5000))
	f.Add(false, int64(-5), int64(-5), int64(-700), uint8(1), uint16(1000))
	f.Fuzz(func(t *testing.T, strict bool, a, b, c int64, shape uint8, most uint16) {
		p, tx := honest(t, fed, strict)
		for i, d := range []int64{a, b, c} {
			tx.TxOut[i].Value += d
		}
		switch shape % 6 {
		case 1:
			tx.TxOut = tx.TxOut[:2]
		case 2:
			tx.TxIn = tx.TxIn[:1]
		case 3:
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 2}, Sequence: 0xfffffffd})
		case 4:
			tx.TxOut = tx.TxOut[:1]
		}
		policy := peg.Policy{MaxRate: uint64(most), Strict: strict}
		spent := p.spent(fed, tx)
		if err := fed.CheckSigner(policy, p.required, tx, spent, p.all); err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		var in, out uint64
		for _, o := range spent {
			in += uint64(o.Value)
		}
		for _, o := range tx.TxOut {
			out += uint64(o.Value)
		}
		share := p.required[0].Amount - uint64(tx.TxOut[0].Value)
		loss := in - out - 2*share
		if p.required[1].Amount-uint64(tx.TxOut[1].Value) != share || out > in || strict && loss != 0 {
			t.Fatalf("shares %d, loss %d", share, loss)
		}
		// Legacy's own loss at this share: fee of the inputs, of the change, and dust.
		if most := (2*share+2)*uint64(116*len(tx.TxIn)+43+100)/uint64(tx.SerializeSizeStripped())*2 + 330 + 10; loss > most {
			t.Fatalf("share %d, loss %d", share, loss)
		}
		if err := fed.CheckProposal(p.required, tx, func(wire.OutPoint) bool { return true }); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSignerBounds draws what a proposer burns of the pool beside a legacy payment: more
// than a satoshi for each input and output is seen.
func TestSignerBounds(t *testing.T) {
	_, f := members(t, 5)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPurse(t, f)
		if len(p.required) == 0 {
			return
		}
		tx, err := f.Payment(p.coins, p.required, rapid.Uint64Range(1000, 100_000).Draw(t, "rate"))
		if err != nil || len(tx.TxOut) == len(p.required) {
			return
		}
		change := tx.TxOut[len(p.required)]
		// What the rounding of the shares leaves open, and the rounding of each fee.
		room := int64(len(p.required)*(149*len(tx.TxIn)+43)/tx.SerializeSizeStripped() + 3*(len(tx.TxIn)+2))
		burned := rapid.Int64Range(room, room+1_000_000).Draw(t, "burned")
		if change.Value-burned < 330 {
			return
		}
		change.Value -= burned
		if err := f.CheckSigner(peg.Policy{}, p.required, tx, p.spent(f, tx), nil); !errors.Is(err, peg.WrongChange) && !errors.Is(err, peg.OutputBelowDust) {
			t.Fatalf("%d burned of the pool: %v", burned, err)
		}
	})
}
