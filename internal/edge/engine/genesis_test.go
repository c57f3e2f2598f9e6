package engine

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// The parent hash of the legacy chain's first block is the hash of its
// genesis, which proves that every quirk of the file is read the same way.
func TestParseGenesisGivesTheLegacyBlock(t *testing.T) {
	for _, chain := range []string{"single", "fed3", "crashed"} {
		want := readPayloads(t, chain)[0].ParentHash
		if have := readGenesis(t, chain).ToBlock().Hash(); have != want {
			t.Errorf("%s: %s, want %s", chain, have, want)
		}
	}
}

func TestDevGenesisIsTheLegacyOne(t *testing.T) {
	have, err := json.Marshal(DevGenesis(262145))
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(readGenesis(t, "single"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Fatalf("have %s\nwant %s", have, want)
	}
}

func TestGenesisPayload(t *testing.T) {
	p, err := GenesisPayload(readGenesis(t, "single"))
	if err != nil {
		t.Fatal(err)
	}
	if p.BlockNumber != 0 || p.ParentHash != (common.Hash{}) || p.BlockHash != readPayloads(t, "single")[0].ParentHash ||
		p.BaseFeePerGas.Int64() != 1e9 || p.GasLimit != TargetGasLimit || p.Withdrawals == nil || p.Transactions == nil {
		t.Fatalf("%+v", p)
	}
}

func TestParseGenesisErrors(t *testing.T) {
	good := string(readFile(t, filepath.Join(chainsDir, "single", "genesis.json")))
	for name, replace := range map[string][2]string{
		"not JSON":            {"{", "["},
		"no config":           {`"config"`, `"other"`},
		"no chain id":         {`"chainId": 262145,`, ``},
		"negative chain id":   {`"chainId": 262145`, `"chainId": -1`},
		"no London":           {`"londonBlock": 0,`, ``},
		"no Shanghai":         {`"shanghaiTime": 0,`, ``},
		"late Shanghai":       {`"shanghaiTime": 0,`, `"shanghaiTime": 99999999999,`},
		"Cancun":              {`"shanghaiTime": 0,`, `"shanghaiTime": 0, "cancunTime": 99999999999,`},
		"Amsterdam":           {`"shanghaiTime": 0,`, `"shanghaiTime": 0, "amsterdamTime": 99999999999,`},
		"proof of work":       {`"terminalTotalDifficulty": 0`, `"terminalTotalDifficulty": 1`},
		"fork order":          {`"istanbulBlock": 0`, `"istanbulBlock": 5`},
		"block number":        {`"nonce"`, `"number": "0x1", "nonce"`},
		"extra data":          {`"extraData": "0x88`, `"extraData": "0x8888`},
		"negative balance":    {`"balance": "0x0"`, `"balance": "-1"`},
		"balance of 257 bits": {`"balance": "0x0"`, `"balance": "0x1` + strings.Repeat("0", 64) + `"`},
		"negative base fee":   {`"nonce"`, `"baseFeePerGas": "-5", "nonce"`},
	} {
		if !strings.Contains(good, replace[0]) {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := ParseGenesis([]byte(strings.Replace(good, replace[0], replace[1], 1))); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	noTTD := strings.Replace(good, `"terminalTotalDifficulty": 0,`, ``, 1)
	if _, err := ParseGenesis([]byte(noTTD)); err != nil {
		t.Errorf("without a terminal total difficulty: %v", err)
	}
	if _, err := ParseGenesis(make([]byte, maxGenesisSize+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("large file: %v", err)
	}
}

func FuzzParseGenesis(f *testing.F) {
	for _, chain := range []string{"single", "fed3"} {
		f.Add(readFile(f, filepath.Join(chainsDir, chain, "genesis.json")))
	}
	f.Add([]byte(`{"config":{"chainId":1,"londonBlock":0,"shanghaiTime":0},"alloc":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		genesis, err := ParseGenesis(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if hash := genesis.ToBlock().Hash(); hash == (common.Hash{}) {
			t.Fatal("no hash")
		}
	})
}
