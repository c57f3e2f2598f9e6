package migration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

func TestLayout(t *testing.T) {
	for _, name := range chains {
		dir := filepath.Join(chainsDir, name)
		l := must(FindLayout(dir))(t)
		if l != (Layout{filepath.Join(dir, "chain_db"), filepath.Join(dir, "wallet"), filepath.Join(dir, "chain.json"), filepath.Join(dir, "genesis.json")}) {
			t.Errorf("%+v", l)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "chain_db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "chain.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := FindLayout(dir)
	for _, text := range []string{"chain_db (directory) is missing", "wallet (directory) is missing", "genesis.json (file) is missing"} {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("want %q: %v", text, err)
		}
	}
	if strings.Contains(err.Error(), "chain.json (") || l.ChainSpec == "" {
		t.Errorf("%+v, %v", l, err)
	}
	other := must(FindLayout(filepath.Join(chainsDir, "single")))(t)
	whole := l.With(Layout{ChainDB: other.ChainDB, Wallet: other.Wallet, Genesis: other.Genesis})
	if err := whole.Check(); err != nil || whole.ChainSpec != l.ChainSpec {
		t.Errorf("%+v, %v", whole, err)
	}
	if err := (Layout{ChainDB: other.Genesis, Wallet: dir, ChainSpec: dir, Genesis: "none"}).Check(); err == nil ||
		!strings.Contains(err.Error(), "is not a directory") || !strings.Contains(err.Error(), "is not a file") || !strings.Contains(err.Error(), "genesis.json: stat none") {
		t.Error(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "chain.json")} {
		if _, err := FindLayout(path); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestCompare compares an import with expected.json. Finalized block and balances
// come from a node: here they are the expected ones.
func TestCompare(t *testing.T) {
	for _, name := range chains {
		im := newImport(t, chainDB(name), name, Options{})
		n := (&node{im: im}).start(t)
		result := must(im.Run(context.Background(), n))(t)
		want := expectedOf(t, name)
		result.Finalized = &message.BlockID{Root: want.Finalized.Root, Number: want.Finalized.Height}
		balances := make(map[common.Address]*big.Int)
		for _, b := range want.Balances {
			balances[b.Account] = b.Wei
		}
		got := result.Actual(func(a common.Address) (*big.Int, error) { return balances[a], nil })
		rows := Compare(got, want)
		var table bytes.Buffer
		if err := WriteTable(&table, rows); err != nil {
			t.Fatal(err)
		}
		if !Equal(rows) || len(rows) != 9+6+len(want.Balances)+3 || !strings.HasSuffix(table.String(), fmt.Sprintf("%d equal, 0 different, 3 not compared\n", len(rows)-3)) {
			t.Errorf("%s:\n%s", name, &table)
		}
		for _, r := range rows {
			if skip := r.Field == "wallet" || strings.HasPrefix(r.Field, "bitcoin_"); skip == r.Compared || skip && r.Equal {
				t.Errorf("%+v", r)
			}
		}
		checkDifferences(t, got, want)
	}
}

// checkDifferences changes one thing after the other.
func checkDifferences(t *testing.T, good Actual, want *Expected) {
	t.Helper()
	for field, change := range map[string]func(a *Actual){
		"head.root":                    func(a *Actual) { a.Head.Root[0]++ },
		"head.height":                  func(a *Actual) { a.Head.Number++ },
		"head.payload_hash":            func(a *Actual) { a.HeadPayload[0]++ },
		"head.state_root":              func(a *Actual) { a.StateRoot[0]++ },
		"latest_pow_block.root":        func(a *Actual) { a.LatestPow.Root[0]++ },
		"latest_pow_block.height":      func(a *Actual) { a.LatestPow.Number++ },
		"finalized.root":               func(a *Actual) { a.Finalized = &message.BlockID{Number: a.Finalized.Number} },
		"finalized.height":             func(a *Actual) { a.Finalized = &message.BlockID{Root: a.Finalized.Root} },
		"accumulated_fees_wei_at_head": func(a *Actual) { a.Fees = nil },
		"records.axh": func(a *Actual) {
			a.Records = Records{"bbh": a.Records["bbh"], "blk": a.Records["blk"], "chi": 2, "fee": a.Records["fee"], "scn": 1}
		},
		"balances_wei.0x000000000000000000000000000000000000dead": func(a *Actual) {
			of := a.Balance
			a.Balance = func(account common.Address) (*big.Int, error) {
				if account == common.HexToAddress("0xdead") {
					return nil, errors.New("no such state")
				}
				return of(account)
			}
		},
	} {
		got := good
		change(&got)
		rows := Compare(got, want)
		var different []string
		for _, r := range rows {
			if r.Compared && !r.Equal {
				different = append(different, r.Field)
			}
		}
		if len(different) != 1 || different[0] != field || Equal(rows) {
			t.Errorf("%s changed: %v", field, different)
		}
		var out bytes.Buffer
		var back struct {
			Equal bool
			Rows  []Row
		}
		if err := WriteJSON(&out, rows); err != nil || json.Unmarshal(out.Bytes(), &back) != nil || back.Equal || len(back.Rows) != len(rows) {
			t.Errorf("%v\n%s", err, &out)
		}
	}
	got := good
	got.Finalized, got.Records, got.Balance = nil, nil, nil
	for _, r := range Compare(got, want) {
		if strings.HasPrefix(r.Field, "finalized.") != (r.Compared && !r.Equal) {
			t.Errorf("%+v", r)
		}
	}
}

func TestParseExpectedErrors(t *testing.T) {
	good := string(must(os.ReadFile(filepath.Join(chainsDir, "crashed", "expected.json")))(t))
	for _, c := range []struct{ old, new, text string }{
		{"{", "[", "expected.json"},
		{good, good + "x", "more follows"},
		{`"head"`, `"tail"`, "head is missing"},
		{`"root"`, `"stem"`, "head.root is missing"},
		{`"state_root"`, `"state"`, "head.state_root is missing"},
		{`"height": 32`, `"height": -1`, "head"},
		{`"977363754636132"`, `977363754636132`, "accumulated_fees_wei_at_head"},
		{`"977363754636132"`, `"-5"`, "decimal"},
		{`"977363754636132"`, `""`, "decimal"},
		{`"977363754636132"`, `"` + strings.Repeat("9", 78) + `"`, "256 bits"},
		{`"26584752842211954"`, `"0x5"`, "balances_wei: 0x000000000000000000000000000000000000dEaD"},
		{`"0x000000000000000000000000000000000000dead"`, `"0xdead"`, "balances_wei"},
		{`"axh": 3`, `"axh": 3.5`, "records"},
		{`"records": {`, `"records": null, "was": {`, "records is missing"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if _, err := ParseExpected([]byte(text)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s for %s: %v", c.new, c.old, err)
		}
	}
	if _, err := ParseExpected(make([]byte, maxExpected+1)); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
