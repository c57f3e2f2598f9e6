package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
)

// programRun is the built program, as an operator runs it.
type programRun struct {
	t      testing.TB
	binary string
	dir    string
	geth   *geth
	flags  []string // of the chain; --dev when there are none
	vars   []string // variables of its environment
	run    *exec.Cmd
	output bytes.Buffer
}

func (p *programRun) start() {
	p.t.Helper()
	p.output.Reset()
	flags := p.flags
	if len(flags) == 0 {
		flags = []string{"--dev"}
	}
	p.run = exec.Command(p.binary, append([]string{"node", "--data-dir", p.dir, "--rpc.addr", "", "--metrics.addr", "", "--miner.dev-interval", "1s",
		"--engine-url", p.geth.url(), "--jwt-secret", p.geth.secretFile()}, flags...)...)
	p.run.Env = append(p.environ(), p.vars...)
	p.run.Stdout, p.run.Stderr = &p.output, &p.output
	if err := p.run.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// environ is the environment without the variables of this test: the program refuses
// names that are no settings.
func (p *programRun) environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ALYS_") })
}

func (p *programRun) kill() {
	if p.run != nil {
		_ = p.run.Process.Kill()
		_ = p.run.Wait()
		p.run = nil
	}
}

// status is what alys status says; nil while the node does not answer.
func (p *programRun) status() *Status {
	var s Status
	if p.ask(&s, "status") != nil || !s.Running {
		return nil
	}
	return &s
}

// ask reads what a command of the program answers as JSON, of a node that has started: a
// command that reads the journal itself would keep the node from opening it.
func (p *programRun) ask(answer any, command ...string) error {
	socket, err := net.Dial("unix", filepath.Join(p.dir, "admin.sock"))
	if err != nil {
		return err
	}
	_ = socket.Close()
	c := exec.Command(p.binary, append(command, "--json", "--data-dir", p.dir)...)
	c.Env = p.environ()
	out, err := c.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(out, answer)
}

// await waits until the running node has the height.
func (p *programRun) await(height uint64) *Status {
	p.t.Helper()
	var last *Status
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if s := p.status(); s != nil {
			if last = s; s.Head.Height >= height {
				return s
			}
		}
	}
	p.t.Fatalf("no height %d: %+v\n%s\ngeth:\n%s", height, last, p.output.Bytes(), p.geth.output.Bytes())
	return nil
}

// A node in front of geth: transactions of all types, a contract, blocks and finality, while
// geth and the node are killed in turn. make e2e-geth.
func TestGethLane(t *testing.T) {
	binary := os.Getenv("ALYS_BIN")
	if binary == "" {
		t.Skip("ALYS_BIN names no alys: make e2e-geth")
	}
	c := spec.Dev()
	g := newGeth(t, engine.DevGenesis(uint64(c.ChainID)), archiveState)
	dir, err := os.MkdirTemp("", "alys") // sockets need short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &programRun{t: t, binary: binary, dir: filepath.Join(dir, "d"), geth: g}
	t.Cleanup(p.kill)
	p.start()
	p.await(2)

	users := g.users()
	f := &forger{t: t, chain: c}
	contract, sent := f.sendAllTypes(users)
	refuseBlob(t, f, users)
	p.await(p.await(1).Head.Height + 3)
	for _, tx := range sent {
		receipt, err := users.TransactionReceipt(t.Context(), tx.Hash())
		if err != nil || receipt.Status != types.ReceiptStatusSuccessful {
			t.Fatalf("transaction of type %d: %+v, %v", tx.Type(), receipt, err)
		}
	}
	if n := called(t, users, contract); n != 3 {
		t.Fatalf("the contract was called twice and counts %d", n-1)
	}
	for round := range 4 {
		before := p.await(1)
		if round%2 == 0 {
			g.kill()
			time.Sleep(time.Second)
			g.start()
		} else {
			p.kill()
			p.start()
		}
		after := p.await(before.Head.Height + 3)
		t.Logf("round %d: height %d, then %d, finalised %d", round, before.Head.Height, after.Head.Height, after.Finalized.Height)
	}
	p.stopped()
	if n := called(t, users, contract); n != 3 {
		t.Fatalf("the contract counts %d in the end", n-1)
	}
}

// refuseBlob sends what Capella does not know: a signed transaction of type 3.
func refuseBlob(t *testing.T, f *forger, users *ethclient.Client) {
	t.Helper()
	fields := []any{uint64(f.chain.ChainID), f.nonce, uint64(1), uint64(1e11), uint64(21_000), common.Address{1}, uint64(0), []byte{}, []any{}, uint64(1e11), []common.Hash{{1}}}
	encode := func() []byte {
		data, err := rlp.EncodeToBytes(fields)
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte{types.BlobTxType}, data...)
	}
	signature, err := crypto.Sign(crypto.Keccak256(encode()), userKey)
	if err != nil {
		t.Fatal(err)
	}
	fields = append(fields, uint64(signature[64]), new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:64]))
	err = users.Client().CallContext(t.Context(), nil, "eth_sendRawTransaction", hexutil.Bytes(encode()))
	if err == nil {
		t.Fatal("a blob transaction is taken")
	}
	t.Logf("blob transaction: %v", err)
}

// stopped stops the node and compares head and finalised block of its journal with geth's,
// then has the journal replayed.
func (p *programRun) stopped() {
	p.t.Helper()
	_ = p.run.Process.Signal(os.Interrupt)
	if err := p.run.Wait(); err != nil {
		p.t.Fatalf("the node stops with %v\n%s", err, p.output.Bytes())
	}
	p.run = nil
	head, final := p.lastFacts()
	users := p.geth.users()
	for number, want := range map[rpc.BlockNumber]string{rpc.LatestBlockNumber: head, rpc.FinalizedBlockNumber: final} {
		header, err := users.HeaderByNumber(context.Background(), big.NewInt(int64(number)))
		if err != nil || header.Hash().Hex() != want {
			p.t.Errorf("geth's %s block is %+v (%v), the journal's %s", number, header, err, want)
		}
	}
	replay := exec.Command(p.binary, "replay", "--data-dir", p.dir)
	replay.Env = p.environ()
	out, err := replay.CombinedOutput()
	if err != nil {
		p.t.Errorf("replay: %v\n%s", err, out)
	}
	p.t.Logf("replay: %s", bytes.TrimSpace(out))
}

// lastFacts returns the payload hashes of the newest head and finalised block of the journal.
func (p *programRun) lastFacts() (head, final string) {
	p.t.Helper()
	j, err := journal.Open(journal.Options{Dir: JournalDir(p.dir), ReadOnly: true, CacheBytes: 4 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	defer j.Close()
	it := j.Iterate(j.Durable().Sequence, true)
	defer it.Close()
	for it.Next() && (head == "" || final == "") {
		e, err := it.Event()
		if err != nil {
			p.t.Fatal(err)
		}
		for i := len(e.Outputs) - 1; i >= 0; i-- {
			o := &e.Outputs[i]
			var h message.HeadChanged
			var f message.BlockFinalized
			switch {
			case o.Type == h.Type() && head == "":
				err = message.Decode(&h, o.Schema, o.Payload, nil)
				head = h.PayloadHash.Hex()
			case o.Type == f.Type() && final == "":
				err = message.Decode(&f, o.Schema, o.Payload, nil)
				final = f.PayloadHash.Hex()
			}
			if err != nil {
				p.t.Fatal(err)
			}
		}
	}
	if err := it.Err(); err != nil || head == "" || final == "" {
		p.t.Fatal(fmt.Errorf("head %s, finalised %s: %w", head, final, err))
	}
	return head, final
}
