package engine

import (
	"encoding/json"
	"math/big"
	"testing"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var compareBig = cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })

func drawBytes(t *rapid.T, label string, limit int) []byte {
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, limit).Draw(t, label)...)
}

func drawPayload(t *rapid.T) block.Payload {
	hash := func(label string) common.Hash {
		return common.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
	}
	number := rapid.Uint64()
	p := block.Payload{
		ParentHash: hash("parent"), StateRoot: hash("state"), ReceiptsRoot: hash("receipts"), PrevRandao: hash("randao"), BlockHash: hash("hash"),
		FeeRecipient: common.BytesToAddress(drawBytes(t, "recipient", 20)),
		LogsBloom:    [256]byte(rapid.SliceOfN(rapid.Byte(), 256, 256).Draw(t, "bloom")),
		BlockNumber:  number.Draw(t, "number"), GasLimit: number.Draw(t, "limit"), GasUsed: number.Draw(t, "used"), Timestamp: number.Draw(t, "time"),
		ExtraData:     drawBytes(t, "extra", 40),
		BaseFeePerGas: new(big.Int).SetBytes(drawBytes(t, "fee", 32)),
		Transactions:  [][]byte{},
		Withdrawals:   []block.Withdrawal{},
	}
	for range rapid.IntRange(0, 3).Draw(t, "transactions") {
		p.Transactions = append(p.Transactions, drawBytes(t, "transaction", 20))
	}
	for range rapid.IntRange(0, 3).Draw(t, "withdrawals") {
		p.Withdrawals = append(p.Withdrawals, block.Withdrawal{
			Index: number.Draw(t, "index"), ValidatorIndex: number.Draw(t, "validator"),
			Address: common.BytesToAddress(drawBytes(t, "address", 20)), Amount: number.Draw(t, "amount"),
		})
	}
	return p
}

// A payload survives the way to the client and back, over JSON too.
func TestExecutableRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPayload(t)
		text, err := json.Marshal(ToExecutable(&p))
		if err != nil {
			t.Fatal(err)
		}
		var data beacon.ExecutableData
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		for _, d := range []beacon.ExecutableData{ToExecutable(&p), data} {
			back, err := FromExecutable(d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p, back, compareBig); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestToExecutableOfNothing(t *testing.T) {
	data := ToExecutable(&block.Payload{})
	if data.Transactions == nil || data.Withdrawals == nil || data.ExtraData == nil || data.BaseFeePerGas == nil {
		t.Fatalf("a required member is missing: %+v", data)
	}
	if data.BlobGasUsed != nil || data.ExcessBlobGas != nil || len(data.LogsBloom) != 256 {
		t.Fatalf("not a Capella payload: %+v", data)
	}
}

func TestFromExecutableErrors(t *testing.T) {
	one := uint64(1)
	for name, change := range map[string]func(d *beacon.ExecutableData){
		"no withdrawals":    func(d *beacon.ExecutableData) { d.Withdrawals = nil },
		"null withdrawal":   func(d *beacon.ExecutableData) { d.Withdrawals = []*types.Withdrawal{nil} },
		"blob gas":          func(d *beacon.ExecutableData) { d.BlobGasUsed = &one },
		"excess blob gas":   func(d *beacon.ExecutableData) { d.ExcessBlobGas = &one },
		"slot number":       func(d *beacon.ExecutableData) { d.SlotNumber = &one },
		"access list":       func(d *beacon.ExecutableData) { d.BlockAccessList = []byte{0xc0} },
		"short bloom":       func(d *beacon.ExecutableData) { d.LogsBloom = d.LogsBloom[:255] },
		"no base fee":       func(d *beacon.ExecutableData) { d.BaseFeePerGas = nil },
		"negative base fee": func(d *beacon.ExecutableData) { d.BaseFeePerGas = big.NewInt(-1) },
		"huge base fee":     func(d *beacon.ExecutableData) { d.BaseFeePerGas = new(big.Int).Lsh(common.Big1, 256) },
	} {
		data := ToExecutable(&block.Payload{})
		change(&data)
		if _, err := FromExecutable(data); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a client answers as JSON never makes the conversion panic.
func FuzzFromExecutable(f *testing.F) {
	for _, p := range readPayloads(f, "crashed")[:8] {
		text, err := json.Marshal(ToExecutable(p))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var data beacon.ExecutableData
		if json.Unmarshal(text, &data) != nil {
			return
		}
		p, err := FromExecutable(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		back, err := FromExecutable(ToExecutable(&p))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, back, compareBig); diff != "" {
			t.Fatal(diff)
		}
	})
}
