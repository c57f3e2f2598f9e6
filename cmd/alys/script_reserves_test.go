package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	protocol "github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/projections/peg"
)

// awaitHaltCommand waits until a running node's peg stands still and its health says so,
// or both say that it goes on; with a number, until Bitcoin has left at least so many
// blocks besides.
//
//	awaithalt $D yes|no [BLOCKS]
func awaitHaltCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: awaithalt DIR yes|no [BLOCKS]")
	}
	var left uint64
	if len(args) == 3 {
		var err error
		left, err = strconv.ParseUint(args[2], 10, 64)
		ts.Check(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := admin.Dial(ts.MkAbs(args[0]))
	ts.Check(err)
	defer client.Close()
	var s peg.Summary
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		s = peg.Summary{}
		if err := client.Peg(ctx, "status", 0, &s); err != nil || (s.Halted != nil) != (args[1] == "yes") || s.Bitcoin.Reverted < left {
			continue
		}
		reasons, err := client.Ready(ctx)
		if err == nil && strings.Contains(strings.Join(reasons, "\n"), "the peg is halted") == (args[1] == "yes") {
			return
		}
	}
	ts.Fatalf("halted %+v, %d blocks left", s.Halted, s.Bitcoin.Reverted)
}

// coinsCommand reads the coins of a running node's wallet at a block one by one, and
// checks their number, their sum, and the proof of each.
//
//	coins $D BLOCK COINS SATOSHI
func coinsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: coins DIR BLOCK COINS SATOSHI")
	}
	client, err := admin.Dial(ts.MkAbs(args[0]))
	ts.Check(err)
	defer client.Close()
	var coins, sum uint64
	seen := map[string]bool{}
	for cursor := ""; ; {
		var r rpc.Reserves
		ts.Check(client.Peg(context.Background(), "reserves", rpc.ReservesQuery{Block: args[1], Coins: true, Cursor: cursor, Limit: 1}, &r))
		for _, c := range r.Coins {
			name := c.Txid + ":" + strconv.FormatUint(uint64(c.Output), 10)
			if seen[name] {
				ts.Fatalf("coin %s is given twice", name)
			}
			seen[name] = true
			coins, sum = coins+1, sum+c.Amount
			checkCoin(ts, c.Txid, c.Proof)
		}
		if !r.Exact || r.Totals.Coins < coins || r.Totals.Locked < sum {
			ts.Fatalf("%d coins of %d satoshi so far: %+v", coins, sum, r.Totals)
		}
		if cursor = r.Cursor; cursor == "" {
			break
		}
	}
	if strconv.FormatUint(coins, 10) != args[2] || strconv.FormatUint(sum, 10) != args[3] {
		ts.Fatalf("%d coins of %d satoshi", coins, sum)
	}
}

// checkCoin has a coin's proof lead from its transaction to a header with work.
func checkCoin(ts *testscript.TestScript, txid string, p *peg.Proof) {
	if p == nil || p.Txid != txid {
		ts.Fatalf("coin of %s: proof %+v", txid, p)
	}
	raw, err := hex.DecodeString(p.Header)
	ts.Check(err)
	var h wire.BlockHeader
	ts.Check(h.Deserialize(bytes.NewReader(raw)))
	if h.BlockHash().String() != p.Block {
		ts.Fatalf("header of %s, not of %s", h.BlockHash(), p.Block)
	}
	id, err := chainhash.NewHashFromStr(txid)
	ts.Check(err)
	var branch []chainhash.Hash
	for _, text := range p.Branch {
		hash, err := hex.DecodeString(text)
		ts.Check(err)
		branch = append(branch, chainhash.Hash(hash))
	}
	ts.Check(protocol.CheckBranch(*id, 200, p.Index, branch, h.MerkleRoot))
}
