package bridge

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

var user = common.HexToAddress("0x00000000000000000000000000000000000a11ce")

// machine is go-ethereum's EVM with the pre-deployed code at the bridge's address.
type machine struct {
	*testing.T
	state *state.StateDB
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	text, err := os.ReadFile("../engine/bridge.hex")
	if err != nil {
		t.Fatal(err)
	}
	code, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	db, err := state.New(types.EmptyRootHash, state.NewDatabaseForTesting())
	if err != nil {
		t.Fatal(err)
	}
	db.SetCode(Address, code, tracing.CodeChangeUnspecified)
	rich := db.GetBalance(user).Clone()
	rich.SetFromBig(peg.Wei(100_000_000_000))
	db.AddBalance(user, rich, tracing.BalanceChangeUnspecified)
	return &machine{t, db}
}

func (m *machine) balance(a common.Address) *big.Int { return m.state.GetBalance(a).ToBig() }

// call runs a call of the user to the contract and returns what it logged.
func (m *machine) call(value *big.Int, data []byte) (result []byte, logs []*types.Log, err error) {
	zero := uint64(0)
	before := len(m.state.Logs())
	result, _, err = runtime.Call(Address, data, &runtime.Config{
		ChainConfig: &params.ChainConfig{
			ChainID: big.NewInt(1), HomesteadBlock: new(big.Int), EIP150Block: new(big.Int), EIP155Block: new(big.Int), EIP158Block: new(big.Int),
			ByzantiumBlock: new(big.Int), ConstantinopleBlock: new(big.Int), PetersburgBlock: new(big.Int), IstanbulBlock: new(big.Int),
			MuirGlacierBlock: new(big.Int), BerlinBlock: new(big.Int), LondonBlock: new(big.Int), TerminalTotalDifficulty: new(big.Int), ShanghaiTime: &zero,
		},
		Origin: user, Value: value, GasLimit: 200_000, State: m.state, Random: &common.Hash{},
	})
	return result, m.state.Logs()[before:], err
}

func TestSelectorsAndTopic(t *testing.T) {
	if got := hex.EncodeToString(contract.Methods["requestPegOut"].ID); got != "9911dc74" {
		t.Errorf("selector of requestPegOut: %s", got)
	}
	if got := hex.EncodeToString(contract.Methods["BURN_ADDRESS"].ID); got != "fccc2813" {
		t.Errorf("selector of BURN_ADDRESS: %s", got)
	}
	if got := contract.Events["RequestPegOut"].ID; got != peg.RequestTopic {
		t.Errorf("topic of RequestPegOut: %s", got)
	}
}

// A request burns the whole value and logs caller, destination and value.
func TestRequestPegOut(t *testing.T) {
	m := newMachine(t)
	long := bytes.Repeat([]byte("x"), 3000)
	burned := new(big.Int)
	for _, test := range []struct {
		destination []byte
		value       *big.Int
	}{
		{[]byte("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"), peg.Wei(5_000_000)},
		{[]byte("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"), big.NewInt(1)},
		{[]byte("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"), new(big.Int)}, // zero is allowed
		{nil, peg.Wei(5_000_000)}, // nothing is checked
		{[]byte{0xff, 0x00, 0xfe}, peg.Wei(5_000_000)},
		{long, new(big.Int).Add(peg.Wei(7), big.NewInt(13))},
	} {
		before := m.balance(user)
		_, logs, err := m.call(test.value, PackRequestPegOut(test.destination))
		if err != nil || len(logs) != 1 {
			t.Fatalf("%.20q with %s: %v, %d logs", test.destination, test.value, err, len(logs))
		}
		burned.Add(burned, test.value)
		if m.balance(BurnAddress).Cmp(burned) != 0 || m.balance(Address).Sign() != 0 || new(big.Int).Sub(before, m.balance(user)).Cmp(test.value) != 0 {
			t.Errorf("%.20q: burned %s, kept %s", test.destination, m.balance(BurnAddress), m.balance(Address))
		}
		r, err := ParseRequestPegOut(logs[0])
		if err != nil || r.Account != user || !bytes.Equal(r.Destination, test.destination) || r.Value.Cmp(test.value) != 0 {
			t.Errorf("%.20q: event %+v, %v", test.destination, r, err)
		}
		// The rules read the log as the binding does.
		requests, err := peg.Requests([]peg.RequestLog{{HasTo: true, To: Address, Emitter: logs[0].Address, Topics: logs[0].Topics, Data: logs[0].Data}}, true, 0)
		if err != nil || len(requests) != 1 || requests[0].Account != user || peg.Wei(requests[0].Amount).Add(peg.Wei(requests[0].Amount), big.NewInt(int64(requests[0].Dust))).Cmp(test.value) != 0 {
			t.Errorf("%.20q: the rules read %+v, %v", test.destination, requests, err)
		}
		if again, err := UnpackRequestPegOut(PackRequestPegOut(test.destination)); err != nil || !bytes.Equal(again, test.destination) {
			t.Errorf("call data: %.20q, %v", again, err)
		}
	}
}

// Coins that are sent without call data come back, with a message.
func TestPlainTransferReverts(t *testing.T) {
	m := newMachine(t)
	before := m.balance(user)
	for _, value := range []*big.Int{peg.Wei(5_000_000), new(big.Int)} {
		result, logs, err := m.call(value, nil)
		if err == nil || len(logs) != 0 || !bytes.Contains(result, []byte("Cannot burn without BTC address")) {
			t.Errorf("%s wei: %q, %d logs, %v", value, result, len(logs), err)
		}
	}
	if m.balance(user).Cmp(before) != 0 {
		t.Error("a plain transfer took coins")
	}
}

// Coins that are sent with other call data stay in the contract, and nothing is logged.
func TestUnknownCallDataIsStuck(t *testing.T) {
	m := newMachine(t)
	stuck := new(big.Int)
	for _, data := range [][]byte{{0}, {0x99, 0x11, 0xdc}, {1, 2, 3, 4}, []byte("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"), bytes.Repeat([]byte{7}, 1000)} {
		value := peg.Wei(uint64(len(data)) * 1_000_000)
		result, logs, err := m.call(value, data)
		if err != nil || len(logs) != 0 || len(result) != 0 {
			t.Errorf("%x: %x, %d logs, %v", data, result, len(logs), err)
		}
		if stuck.Add(stuck, value); m.balance(Address).Cmp(stuck) != 0 {
			t.Errorf("%x: the contract has %s, want %s", data, m.balance(Address), stuck)
		}
	}
	// A later request burns its own value only: what is stuck stays.
	if _, _, err := m.call(peg.Wei(3), PackRequestPegOut([]byte("x"))); err != nil || m.balance(Address).Cmp(stuck) != 0 || m.balance(BurnAddress).Cmp(peg.Wei(3)) != 0 {
		t.Errorf("after a request: stuck %s, burned %s, %v", m.balance(Address), m.balance(BurnAddress), err)
	}
}

// Call data with the selector that is no encoding of bytes reverts and burns nothing.
func TestMalformedCallReverts(t *testing.T) {
	m := newMachine(t)
	good := PackRequestPegOut([]byte("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"))
	before := m.balance(user)
	for _, data := range [][]byte{good[:4], good[:20], good[:4+32], append(bytes.Clone(good[:4]), bytes.Repeat([]byte{0xff}, 64)...), good[:len(good)-40]} {
		if _, logs, err := m.call(peg.Wei(1), data); err == nil || len(logs) != 0 {
			t.Errorf("%x: %d logs, %v", data, len(logs), err)
		}
		if _, err := UnpackRequestPegOut(data); !fault.Is(err, fault.Invalid) {
			t.Errorf("%x is decoded: %v", data, err)
		}
	}
	if m.balance(user).Cmp(before) != 0 {
		t.Error("a reverted call took coins")
	}
}

func TestBurnAddressGetter(t *testing.T) {
	m := newMachine(t)
	result, _, err := m.call(new(big.Int), PackBurnAddress())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := UnpackBurnAddress(result); err != nil || got != BurnAddress {
		t.Errorf("burn address %s, %v", got, err)
	}
	if _, _, err := m.call(big.NewInt(1), PackBurnAddress()); err == nil {
		t.Error("the getter takes coins")
	}
	for _, result := range [][]byte{nil, {1}, make([]byte, 31)} {
		if got, err := UnpackBurnAddress(result); !fault.Is(err, fault.Invalid) {
			t.Errorf("%x: %s, %v", result, got, err)
		}
	}
}

// The deployed code is the one that the page describes.
func TestCodeHash(t *testing.T) {
	m := newMachine(t)
	page, err := os.ReadFile("../../../docs/formats/bridge-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	if hash := crypto.Keccak256Hash(m.state.GetCode(Address)).Hex(); !strings.Contains(string(page), hash) {
		t.Errorf("docs/formats/bridge-contract.md does not name the code %s", hash)
	}
	if !strings.Contains(string(page), ABIJSON) {
		t.Error("docs/formats/bridge-contract.md has another interface")
	}
}

// Any log is decoded or refused, never a panic; what is decoded packs again.
func FuzzParseRequestPegOut(f *testing.F) {
	args := contract.Events["RequestPegOut"].Inputs.NonIndexed()
	f.Add(must(args.Pack([]byte("bcrt1q"), big.NewInt(5))))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 96))
	f.Add(append(make([]byte, 31), append([]byte{0x40}, make([]byte, 64)...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = UnpackRequestPegOut(append(bytes.Clone(contract.Methods["requestPegOut"].ID), data...))
		topics := []common.Hash{peg.RequestTopic, common.BytesToHash(user[:])}
		r, err := ParseRequestPegOut(&types.Log{Address: Address, Topics: topics, Data: data})
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("grade %v", fault.Of(err))
			}
			return
		}
		again, err := ParseRequestPegOut(&types.Log{Address: Address, Topics: topics, Data: must(args.Pack(r.Destination, r.Value))})
		if err != nil || !bytes.Equal(again.Destination, r.Destination) || again.Value.Cmp(r.Value) != 0 {
			t.Fatalf("%+v packs to %+v, %v", r, again, err)
		}
	})
}
