package engine

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func open(dir string, genesis *core.Genesis) (*Embedded, error) {
	return OpenEmbedded(EmbeddedOptions{Dir: dir, Genesis: genesis})
}

func TestDirectoryOfAnotherChain(t *testing.T) {
	dir := t.TempDir()
	c := newTestChain(t, openTest(t, dir, DevGenesis(testChainID)))
	chain := c.extend(c.head().Hash(), 5, 1)
	if err := c.e.Close(); err != nil {
		t.Fatal(err)
	}

	otherBlock := DevGenesis(testChainID)
	otherBlock.Timestamp++
	// The second has the same genesis hash.
	for _, genesis := range []*core.Genesis{otherBlock, DevGenesis(testChainID + 1)} {
		for _, withIdentity := range []bool{true, false} {
			if !withIdentity {
				os.Remove(filepath.Join(dir, identityFile))
			}
			_, err := open(dir, genesis)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "holds another chain") {
				t.Fatalf("identity file %v: %v", withIdentity, err)
			}
		}
		again := newTestChain(t, openTest(t, dir, DevGenesis(testChainID)))
		again.wantHead(chain[4])
		if err := again.e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, DevGenesis(testChainID))
	if _, err := open(dir, DevGenesis(testChainID)); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
}

func TestOptionsRefused(t *testing.T) {
	noConfig := DevGenesis(testChainID)
	noConfig.Config = nil
	for name, options := range map[string]EmbeddedOptions{
		"no directory":  {Genesis: DevGenesis(1)},
		"no genesis":    {Dir: t.TempDir()},
		"no config":     {Dir: t.TempDir(), Genesis: noConfig},
		"chain 0":       {Dir: t.TempDir(), Genesis: DevGenesis(0)},
		"public HTTP":   {Dir: t.TempDir(), Genesis: DevGenesis(1), HTTPAddr: "0.0.0.0:0"},
		"HTTP port":     {Dir: t.TempDir(), Genesis: DevGenesis(1), HTTPAddr: "127.0.0.1:http"},
		"HTTP no port":  {Dir: t.TempDir(), Genesis: DevGenesis(1), HTTPAddr: "127.0.0.1"},
		"HTTP any host": {Dir: t.TempDir(), Genesis: DevGenesis(1), HTTPAddr: ":8545"},
	} {
		if _, err := OpenEmbedded(options); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(file, DevGenesis(1)); !fault.Is(err, fault.Fatal) {
		t.Errorf("a file as directory: %v", err)
	}
}

func TestDamagedDirectory(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"identity is not JSON": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), []byte("{"), 0o600)
		},
		"database manifest cut": func(dir string) error {
			manifests, err := filepath.Glob(filepath.Join(dir, instanceName, databaseName, "MANIFEST-*"))
			if err != nil || len(manifests) == 0 {
				return errors.New("no manifest")
			}
			for _, m := range manifests {
				if err := os.WriteFile(m, []byte("garbage, not a manifest at all"), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		"database tables gone": func(dir string) error {
			tables, _ := filepath.Glob(filepath.Join(dir, instanceName, databaseName, "*.sst"))
			if len(tables) == 0 {
				return errors.New("no tables")
			}
			for _, table := range tables {
				if err := os.Remove(table); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			// The second opening flushes the log of the first into tables.
			for range 2 {
				c := newTestChain(t, openTest(t, dir, DevGenesis(testChainID)))
				c.extend(c.head().Hash(), 5, 1)
				if err := c.e.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			_, err := open(dir, DevGenesis(testChainID))
			if !fault.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
			t.Log(err)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			openTest(t, dir, DevGenesis(testChainID))
		})
	}
}

func TestLaterFormat(t *testing.T) {
	dir := t.TempDir()
	id := identityOf(DevGenesis(testChainID))
	id.Format++
	data, _ := json.Marshal(id)
	if err := os.WriteFile(filepath.Join(dir, identityFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir, DevGenesis(testChainID)); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestGuard(t *testing.T) {
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	err := e.call(context.Background(), "test", func() error {
		log.Crit("Failed to store", "err", "disk full")
		return nil
	})
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "disk full") {
		t.Fatal(err)
	}
	if _, _, err := NewExecutor(e).Head(context.Background()); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("used after it broke: %v", err)
	}
	if err := guard("test", func() error { panic("table missing") }); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
}

func TestLogDoesNotReplaceTheDefault(t *testing.T) {
	before := slog.Default()
	openTest(t, t.TempDir(), DevGenesis(testChainID))
	if slog.Default() != before {
		t.Fatal("the default logger was replaced")
	}
}

func TestHTTP(t *testing.T) {
	e, err := OpenEmbedded(EmbeddedOptions{Dir: t.TempDir(), Genesis: DevGenesis(testChainID), HTTPAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	client, err := rpc.DialHTTP(e.HTTPEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for method, want := range map[string]string{"eth_chainId": "0x539", "net_version": "1337"} {
		var have string
		if err := client.Call(&have, method); err != nil || have != want {
			t.Errorf("%s: %q %v", method, have, err)
		}
	}
	var version string
	if err := client.Call(&version, "web3_clientVersion"); err != nil {
		t.Error(err)
	}
	for _, method := range []string{"engine_newPayloadV2", "admin_nodeInfo", "debug_setHead", "miner_setExtra"} {
		if err := client.Call(nil, method); errorCode(err) != -32601 {
			t.Errorf("%s is served: %v", method, err)
		}
	}
	if response, err := http.Get(e.HTTPEndpoint()); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%v %v", response, err)
	}
	var balance string
	err = client.Call(&balance, "eth_getBalance", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "latest")
	if want := "0xd3c21bcecceda1000000"; err != nil || balance != want {
		t.Errorf("balance %s %v", balance, err)
	}
	if n, ok := new(big.Int).SetString(strings.TrimPrefix(balance, "0x"), 16); !ok || n.Sign() <= 0 {
		t.Errorf("balance %v", n)
	}
}
