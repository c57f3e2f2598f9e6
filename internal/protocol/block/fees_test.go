package block_test

import (
	"math"
	"math/big"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func encodeTx(t *testing.T, data types.TxData) []byte {
	t.Helper()
	raw, err := types.NewTx(data).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestFees(t *testing.T) {
	legacy := encodeTx(t, &types.LegacyTx{GasPrice: big.NewInt(30)})
	byTip := encodeTx(t, &types.DynamicFeeTx{GasTipCap: big.NewInt(2), GasFeeCap: big.NewInt(100)})
	byCap := encodeTx(t, &types.DynamicFeeTx{GasTipCap: big.NewInt(50), GasFeeCap: big.NewInt(12)})
	tooLow := encodeTx(t, &types.DynamicFeeTx{GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(9)})
	for _, c := range []struct {
		name string
		txs  [][]byte
		gas  []uint64
		want int64 // -1: an error
	}{
		{"none", nil, nil, 0},
		{"gas price above the base fee", [][]byte{legacy}, []uint64{21000}, 20 * 21000},
		{"tip cap", [][]byte{byTip}, []uint64{7}, 14},
		{"fee cap", [][]byte{byCap}, []uint64{7}, 14},
		{"sum", [][]byte{legacy, byTip, byCap}, []uint64{1, 10, 100}, 20 + 20 + 200},
		{"a receipt is missing", [][]byte{legacy, byTip}, []uint64{1}, -1},
		{"a receipt too many", nil, []uint64{1}, -1},
		{"fee cap below the base fee", [][]byte{tooLow}, []uint64{1}, -1},
		{"not a transaction", [][]byte{{0x7f, 1}}, []uint64{1}, -1},
		{"empty transaction", [][]byte{nil}, []uint64{1}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := block.Payload{BaseFeePerGas: big.NewInt(10), Transactions: c.txs}
			got, err := p.Fees(c.gas)
			switch {
			case c.want < 0 && !fault.Is(err, fault.Invalid):
				t.Errorf("got %v and error %v", got, err)
			case c.want >= 0 && (err != nil || got.Int64() != c.want):
				t.Errorf("got %v and error %v, want %d", got, err, c.want)
			}
		})
	}
}

var (
	miner = common.Address{1}
	fed   = []common.Address{{2}, {3}, {4}}
)

func TestSplitFees(t *testing.T) {
	gwei := func(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1_000_000_000)) }
	for _, c := range []struct {
		name string
		fees *big.Int
		want []uint64
	}{
		{"nothing", big.NewInt(0), nil},
		{"nil", nil, nil},
		{"dust", big.NewInt(1), []uint64{0, 0, 0, 0}},
		{"even", gwei(1500), []uint64{1200, 100, 100, 100}},
		{"remainders vanish", new(big.Int).Add(gwei(1000), big.NewInt(999_999_999)), []uint64{800, 66, 66, 66}},
	} {
		t.Run(c.name, func(t *testing.T) {
			credits, err := block.SplitFees(c.fees, miner, fed)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for i, credit := range credits {
				if credit.Address != append([]common.Address{miner}, fed...)[i] || credit.Index != 0 || credit.ValidatorIndex != 0 {
					t.Errorf("credit %d: %+v", i, credit)
				}
				got = append(got, credit.Amount)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	for name, fees := range map[string]*big.Int{"negative": big.NewInt(-1), "huge": new(big.Int).Lsh(big.NewInt(1), 120)} {
		if _, err := block.SplitFees(fees, miner, fed); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := block.SplitFees(big.NewInt(5), miner, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no federation: %v", err)
	}
}

// TestSplitNeverMints draws fees and members: the credits never exceed the fees.
func TestSplitNeverMints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fees := new(big.Int).SetUint64(rapid.Uint64().Draw(t, "fees"))
		members := make([]common.Address, rapid.IntRange(1, 15).Draw(t, "members"))
		credits, err := block.SplitFees(fees, miner, members)
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Int)
		for _, c := range credits {
			sum.Add(sum, new(big.Int).SetUint64(c.Amount))
		}
		if sum.Mul(sum, big.NewInt(1_000_000_000)).Cmp(fees) > 0 {
			t.Fatalf("%s wei credited of %s", sum, fees)
		}
	})
}

func TestCheckWithdrawals(t *testing.T) {
	credit := func(address byte, amount uint64) block.Withdrawal {
		return block.Withdrawal{Address: common.Address{address}, Amount: amount}
	}
	list := func(w ...block.Withdrawal) []block.Withdrawal { return w }
	for _, c := range []struct {
		name                string
		paid, split, pegins []block.Withdrawal
		ok                  bool
	}{
		{"nothing expected", nil, nil, nil, true},
		{"extra passes", list(credit(9, 1)), nil, nil, true},
		{"exact", list(credit(1, 8), credit(2, 2)), list(credit(1, 8)), list(credit(2, 2)), true},
		{"order does not matter", list(credit(2, 2), credit(1, 8)), list(credit(1, 8)), list(credit(2, 2)), true},
		{"missing", list(credit(1, 8)), list(credit(1, 8)), list(credit(2, 2)), false},
		{"too much", list(credit(1, 9)), list(credit(1, 8)), nil, false},
		{"later split entry counts", list(credit(1, 2)), list(credit(1, 8), credit(1, 2)), nil, true},
		{"earlier split entry is forgotten", list(credit(1, 8)), list(credit(1, 8), credit(1, 2)), nil, false},
		{"peg-ins of one address add up", list(credit(2, 5)), nil, list(credit(2, 2), credit(2, 3)), true},
		{"peg-ins paid apart", list(credit(2, 2), credit(2, 3)), nil, list(credit(2, 2), credit(2, 3)), false},
		{"peg-in adds to the fee", list(credit(1, 10)), list(credit(1, 8)), list(credit(1, 2)), true},
		{"peg-in beside the fee", list(credit(1, 8), credit(1, 2)), list(credit(1, 8)), list(credit(1, 2)), false},
		{"overflow", nil, nil, list(credit(2, math.MaxUint64), credit(2, 1)), false},
		{"withdrawal indexes are not looked at", list(block.Withdrawal{Index: 3, ValidatorIndex: 4, Amount: 1}), list(credit(0, 1)), nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&block.Payload{Withdrawals: c.paid}).CheckWithdrawals(c.split, c.pegins)
			if c.ok && err != nil || !c.ok && !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v, passes: %v", err, c.ok)
			}
		})
	}
}
