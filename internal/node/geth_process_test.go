package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	gethcore "github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
)

// geth is a real geth, started with the flags of docs/operator.md.
type geth struct {
	t      testing.TB
	binary string
	dir    string
	state  gethState
	secret [32]byte
	port   int // of the Engine API
	http   int // of users
	chain  engine.Identity
	run    *exec.Cmd
	output bytes.Buffer
}

// gethState is how geth keeps its state.
type gethState struct{ scheme, mode string }

// What operators may choose: little disk, or every state.
var (
	pathState    = gethState{"path", "full"}
	archiveState = gethState{"hash", "archive"}
)

// newGeth prepares a geth of a chain. The test is skipped without ALYS_GETH, which
// make e2e-geth sets.
func newGeth(t testing.TB, genesis *gethcore.Genesis, state gethState) *geth {
	t.Helper()
	binary := os.Getenv("ALYS_GETH")
	if binary == "" {
		t.Skip("ALYS_GETH names no geth: make e2e-geth")
	}
	g := &geth{t: t, binary: binary, dir: t.TempDir(), state: state, secret: [32]byte{1, 2, 3}, port: freePort(t), http: freePort(t), chain: engine.IdentityOf(genesis)}
	data, err := json.Marshal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(g.dir, "genesis.json")
	for name, content := range map[string]string{file: string(data), g.secretFile(): hex.EncodeToString(g.secret[:])} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(binary, "init", "--datadir", g.dir, "--state.scheme", state.scheme, file).CombinedOutput(); err != nil {
		t.Fatalf("geth init: %v\n%s", err, out)
	}
	t.Cleanup(g.kill)
	g.start()
	return g
}

func (g *geth) secretFile() string { return filepath.Join(g.dir, "jwt.hex") }

func (g *geth) url() string { return fmt.Sprintf("http://127.0.0.1:%d", g.port) }

func (g *geth) httpURL() string { return fmt.Sprintf("http://127.0.0.1:%d", g.http) }

func freePort(t testing.TB) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// start starts geth, and waits until its Engine API answers.
func (g *geth) start() {
	g.t.Helper()
	g.launch()
	client := g.dial(g.secret)
	defer client.Close()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err = client.Check(context.Background()); err == nil {
			return
		}
	}
	g.t.Fatalf("geth does not answer: %v\n%s", err, g.output.Bytes())
}

// launch starts geth and does not wait.
func (g *geth) launch() {
	g.output.Reset()
	g.run = exec.Command(g.binary, "--datadir", g.dir, "--state.scheme", g.state.scheme, "--gcmode", g.state.mode,
		"--syncmode", "full", "--engine.maxreorgdepth", "0", "--nodiscover", "--maxpeers", "0", "--port", "0", "--ipcdisable",
		"--authrpc.addr", "127.0.0.1", "--authrpc.port", fmt.Sprint(g.port), "--authrpc.jwtsecret", g.secretFile(),
		"--http", "--http.port", fmt.Sprint(g.http), "--http.api", "eth,net,web3",
		"--txpool.pricelimit", "1", "--miner.gasprice", "1", "--miner.gaslimit", "30000000", "--miner.recommit", "200ms",
		"--cache", "64", "--verbosity", "2")
	g.run.Stdout, g.run.Stderr = &g.output, &g.output
	if err := g.run.Start(); err != nil {
		g.t.Fatal(err)
	}
}

// kill ends geth by SIGKILL.
func (g *geth) kill() {
	if g.run != nil {
		_ = g.run.Process.Kill()
		_ = g.run.Wait()
		g.run = nil
	}
}

// stop ends geth as an operator does. geth may end by the signal itself, for it answers
// before it listens for signals.
func (g *geth) stop() {
	time.Sleep(200 * time.Millisecond)
	_ = g.run.Process.Signal(os.Interrupt)
	_ = g.run.Wait()
	g.run = nil
}

func (g *geth) dial(secret [32]byte) *engine.External {
	g.t.Helper()
	client, err := engine.DialExternal(engine.ExternalOptions{URL: g.url(), Secret: secret}, g.chain)
	if err != nil {
		g.t.Fatal(err)
	}
	return client
}

// users returns a client of geth's own JSON-RPC.
func (g *geth) users() *ethclient.Client {
	g.t.Helper()
	client, err := ethclient.Dial(g.httpURL())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(client.Close)
	return client
}
