package main

import (
	"context"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal"
)

// patience bounds every wait for a running node. Nothing is expected to take a
// tenth of it.
const patience = 2 * time.Minute

// awaitCommand waits until the node on a data directory has a head of at least
// that height, or of so many blocks more than at its start:
//
//	await $D 12
//	await $D +4
func awaitCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await DIR HEIGHT|+BLOCKS")
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(args[1], "+"), 10, 64)
	ts.Check(err)
	relative := strings.HasPrefix(args[1], "+")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		s, err := liveStatus(ctx, ts.MkAbs(args[0]))
		if err == nil && (relative && s.Chain.Produced >= n || !relative && s.Head.Height >= n) {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no node with %s blocks on %s after %s: %+v, %v", args[1], args[0], patience, s, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// rootsCommand sets HEAD and FINALIZED to the roots of a running node's blocks:
//
//	roots $D
func rootsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: roots DIR")
	}
	s, err := liveStatus(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	if s.Finalized.Height == 0 || s.Finalized.Height == s.Head.Height {
		ts.Fatalf("head %+v, finalised %+v", s.Head, s.Finalized)
	}
	ts.Setenv("HEAD", s.Head.Hash)
	ts.Setenv("FINALIZED", s.Finalized.Hash)
}

// statementCommand sets STATEMENT to what a file holds:
//
//	statement FILE
func statementCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: statement FILE")
	}
	ts.Setenv("STATEMENT", strings.TrimSpace(ts.ReadFile(args[0])))
}

// transferCommand sends N transfers through the JSON-RPC of a development
// node and waits until each is in a block:
//
//	transfer $D 3
func transferCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: transfer DIR COUNT")
	}
	count, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := liveStatus(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	client, err := ethclient.DialContext(ctx, s.HTTP)
	ts.Check(err)
	defer client.Close()
	chainID, err := client.ChainID(ctx)
	ts.Check(err)
	// The first account of the well-known test mnemonic, funded by the genesis.
	key, err := crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
	ts.Check(err)
	from := crypto.PubkeyToAddress(key.PublicKey)
	nonce, err := client.NonceAt(ctx, from, nil)
	ts.Check(err)
	for i := range count {
		tx := types.MustSignNewTx(key, types.LatestSignerForChainID(chainID), &types.DynamicFeeTx{
			ChainID: chainID, Nonce: nonce + i, To: &common.Address{0xa1}, Value: big.NewInt(1), Gas: 21000,
			GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11),
		})
		ts.Check(client.SendTransaction(ctx, tx))
	}
	for {
		done, err := client.NonceAt(ctx, from, nil)
		ts.Check(err)
		if done >= nonce+count {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%d of %d transfers are in blocks after %s", done-nonce, count, patience)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// killedCommand runs a program and kills it after a time, if it runs still:
//
//	killed 200ms alys migrate import ...
func killedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: killed DURATION command [args...]")
	}
	after, err := time.ParseDuration(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	program := exec.CommandContext(ctx, path, args[2:]...) // ends it with SIGKILL
	program.Dir = ts.MkAbs(".")
	output, err := program.CombinedOutput()
	ts.Logf("%v\n%s", err, output)
}

// incidentCommand notes in the journal of a stopped node that it is not the whole
// history, as a restore or a repair does:
//
//	incident $D restore
func incidentCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: incident DIR KIND")
	}
	o := journal.Options{Dir: node.JournalDir(ts.MkAbs(args[0])), Logger: slog.New(slog.DiscardHandler)}
	_, err := journal.AddIncident(o, journal.Incident{Kind: journal.IncidentKind(args[1]), Time: time.Now().UnixMilli(), Text: "of a script"})
	ts.Check(err)
}

// stopLimit is how long a clean stop may take.
const stopLimit = 2 * time.Second

// interruptCommand sends SIGINT to the newest background process and waits for
// its end:
//
//	interrupt
func interruptCommand(ts *testscript.TestScript, neg bool, args []string) {
	running := ts.BackgroundCmds()
	if neg || len(args) != 0 || len(running) == 0 {
		ts.Fatalf("usage: interrupt, with a process in the background")
	}
	process := running[len(running)-1].Process
	started := time.Now()
	ts.Check(process.Signal(os.Interrupt))
	for process.Signal(syscall.Signal(0)) == nil {
		if time.Since(started) > stopLimit {
			ts.Fatalf("it runs still after %s", stopLimit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	ts.Logf("stopped in %s", time.Since(started).Round(time.Millisecond))
}

// globCommand fails when no path matches, or with ! when one does.
func globCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: glob PATTERN")
	}
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if (len(found) == 0) != neg {
		ts.Fatalf("%s matches %q", args[0], found)
	}
}
