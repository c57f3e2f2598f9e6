package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/nodetest"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// laneConfirmations is how deep deposits have to be: Bitcoin is reorganised by every depth
// below it.
const laneConfirmations = 4

// pegLane is a federation of one member, the built program, between a real Bitcoin node and
// a real geth.
type pegLane struct {
	*testing.T
	bitcoind   *nodetest.Process
	client     *bitcoin.Client
	miner      *nodetest.Miner
	node       *programRun
	users      *ethclient.Client
	chain      *spec.Chain
	federation *peg.Federation

	bitcoinTxs []*wire.MsgTx // that users sent, and send again when the Bitcoin node lost them
	crashes    []string
	depth      int // of the last reorganisation
	steps      int
}

// Coins in and out between real nodes, while each of the three is killed in the middle of
// every step and Bitcoin reorganises. make e2e-btcd.
func TestBitcoinLane(t *testing.T) {
	binary := os.Getenv("ALYS_BIN")
	if binary == "" {
		t.Skip("ALYS_BIN names no alys: make e2e-btcd")
	}
	nodetest.Each(t, func(t *testing.T, p *nodetest.Process) {
		l := newPegLane(t, p, binary)
		deposits := l.deposits()
		l.ignored()
		requests := l.requests(deposits)
		l.spend(requests)
		l.conservation(deposits, requests)
		l.Logf("%d times killed by SIGKILL:\n  %s", len(l.crashes), strings.Join(l.crashes, "\n  "))
	})
}

func newPegLane(t *testing.T, p *nodetest.Process, binary string) *pegLane {
	t.Helper()
	l := &pegLane{T: t, bitcoind: p, chain: spec.Dev()}
	l.chain.Confirmations = laneConfirmations
	l.chain.BitcoinStartHeight = nodetest.Ready
	l.chain.Activations.StrictPegins, l.chain.Activations.StrictPegouts = 1, 1
	var err error
	if l.federation, err = peg.NewFederation(l.chain.FederationKeys); err != nil {
		t.Fatal(err)
	}
	p.Start()
	if l.client, err = bitcoin.Dial(p.Options()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.client.Close() })
	if l.miner, err = nodetest.NewMiner(t.Context(), p, l.client); err != nil {
		t.Fatalf("%v\n%s", err, p.Output())
	}
	dir, err := os.MkdirTemp("", "alys") // sockets need short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	genesis := engine.DevGenesis(uint64(l.chain.ChainID))
	g := newGeth(t, genesis, archiveState)
	l.users = g.users()
	text, err := json.Marshal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("00", 31) + "01" // both of the member's keys
	files := map[string]string{"chain.json": string(l.chain.Encode()), "genesis.json": string(text), "authority.key": key}
	flags := []string{"--miner.dev", "--bitcoin.payout-confirmations", "3"}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		flag := map[string]string{"chain.json": "--chain-spec", "genesis.json": "--genesis", "authority.key": "--authority-key-file"}[name]
		flags = append(flags, flag, path)
	}
	l.node = &programRun{
		t: t, binary: binary, dir: filepath.Join(dir, "d"), geth: g,
		flags: append(flags, p.Flags()...), vars: append(p.Environ(), "ALYS_FEDERATION_KEY="+key),
	}
	t.Cleanup(l.node.kill)
	l.node.start()
	l.node.await(2)
	return l
}

// eventually waits until done says so. An error is what is still missing.
func (l *pegLane) eventually(what string, done func() error) {
	l.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = done(); err == nil {
			return
		}
	}
	status, _ := json.Marshal(l.node.status())
	l.Fatalf("%s: %v\nstatus %s\nnode:\n%s\ngeth:\n%s\nBitcoin:\n%s", what, err, status, l.node.output.Bytes(), l.node.geth.output.Bytes(), l.bitcoind.Output())
}

// victims are killed one after the other.
var victims = []string{"node", "engine", "Bitcoin node"}

// step does the actions of a step. Each victim is killed before one of three actions and
// comes back only after it, the Bitcoin node right away, since the actions are of its chain.
// Who is killed before which action differs from step to step.
func (l *pegLane) step(name string, actions ...func()) {
	l.Helper()
	started, each := time.Now(), len(actions)/len(victims)
	l.steps++
	for i, action := range actions {
		if (i+l.steps)%each != 0 {
			action()
			continue
		}
		victim := victims[(i/each+l.steps)%len(victims)]
		l.crashes = append(l.crashes, fmt.Sprintf("%s, %d of %d: the %s", name, i+1, len(actions), victim))
		switch victim {
		case "node":
			l.node.kill()
			action()
			l.node.start()
		case "engine":
			l.node.geth.kill()
			action()
			l.node.geth.start()
		default:
			l.restartBitcoin()
			action()
		}
	}
	l.Logf("%s: %s", name, time.Since(started).Round(time.Millisecond))
}

// restartBitcoin kills the Bitcoin node. It gets back what it lost, as from its peers and
// from the users who sent transactions.
func (l *pegLane) restartBitcoin() {
	l.Helper()
	l.bitcoind.Kill()
	time.Sleep(1500 * time.Millisecond) // the node notices
	l.bitcoind.Start()
	if err := l.miner.Restore(l.Context()); err != nil {
		l.Fatalf("%v\n%s", err, l.bitcoind.Output())
	}
	for _, tx := range l.bitcoinTxs {
		l.send(tx)
	}
}

// send gives a user's transaction to the Bitcoin node.
func (l *pegLane) send(tx *wire.MsgTx) {
	l.Helper()
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		l.Fatal(err)
	}
	outcome, reason, err := l.client.Send(l.Context(), raw.Bytes())
	// Of a confirmed transaction whose outputs are spent the inputs are missing.
	if err != nil || outcome != message.BroadcastAccepted && outcome != message.BroadcastConfirmed && outcome != message.BroadcastConflict {
		l.Fatalf("sent %s: %d %s %v", tx.TxHash(), outcome, reason, err)
	}
}

func (l *pegLane) mine(n int) {
	l.Helper()
	if n == 0 {
		return
	}
	if _, err := l.miner.Mine(l.Context(), n); err != nil {
		l.Fatalf("%v\n%s", err, l.bitcoind.Output())
	}
}

// nextDepth is that of the next reorganisation.
func (l *pegLane) nextDepth() int { return l.depth%(laneConfirmations-1) + 1 }

// reorganise replaces blocks, one more of them than the last time and fewer than deposits
// have to be deep.
func (l *pegLane) reorganise() {
	l.Helper()
	if l.node.run != nil {
		l.eventually("the node has followed what is replaced", l.followed)
	}
	l.depth = l.nextDepth()
	if _, err := l.miner.Reorg(l.Context(), l.depth); err != nil {
		l.Fatalf("%v\n%s", err, l.bitcoind.Output())
	}
	l.Logf("Bitcoin reorganised by %d blocks", l.depth)
	for _, tx := range l.bitcoinTxs {
		l.send(tx)
	}
}

// confirm is the action of mining.
func (l *pegLane) confirm(blocks int) func() { return func() { l.mine(blocks) } }

// pause is the action of letting the three work, or miss each other.
func pause() { time.Sleep(1500 * time.Millisecond) }

// pay sends a payment of the miner.
func (l *pegLane) pay(outputs ...*wire.TxOut) *wire.MsgTx {
	l.Helper()
	tx, err := l.miner.Pay(l.Context(), outputs...)
	if err != nil {
		l.Fatal(err)
	}
	l.bitcoinTxs = append(l.bitcoinTxs, tx)
	l.send(tx)
	return tx
}

// balance is what an account has on the sidechain, in wei.
func (l *pegLane) balance(account common.Address) (*big.Int, error) {
	ctx, cancel := context.WithTimeout(l.Context(), 5*time.Second)
	defer cancel()
	return l.users.BalanceAt(ctx, account, nil)
}

func wei(satoshi int64) *big.Int { return new(big.Int).Mul(big.NewInt(satoshi), big.NewInt(1e10)) }

// hasBalance waits for the balance of an account.
func (l *pegLane) hasBalance(account common.Address, want *big.Int) func() {
	return func() {
		l.Helper()
		l.eventually("balance of "+account.Hex(), func() error {
			got, err := l.balance(account)
			if err == nil && got.Cmp(want) != 0 {
				err = fmt.Errorf("%s wei, want %s", got, want)
			}
			return err
		})
	}
}

// unspent returns the sum of the Bitcoin outputs that pay a script and are not spent.
func (l *pegLane) unspent(script []byte) (sum int64, points []wire.OutPoint, err error) {
	coins, err := l.miner.Unspent(l.Context(), func(s []byte) bool { return bytes.Equal(s, script) })
	for point, out := range coins {
		sum, points = sum+out.Value, append(points, point)
	}
	return sum, points, err
}
