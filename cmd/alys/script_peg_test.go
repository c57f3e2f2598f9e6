package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/projections/peg"
)

// awaitPegCommand waits until the deposit or request in a file, as alys dev peg-in and
// peg-out write it with --json, has been in a state; with "mine" a Bitcoin block is mined
// every second meanwhile. "payment:STATE" is that of the payment of a request.
//
//	awaitpeg $D FILE STATE [mine]
func awaitPegCommand(ts *testscript.TestScript, neg bool, args []string) {
	mine := len(args) == 4 && args[3] == "mine"
	if neg || len(args) != 3 && !mine {
		ts.Fatalf("usage: awaitpeg DIR FILE STATE [mine]")
	}
	var sent devPegResult
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &sent))
	id := ""
	if sent.Deposit != nil {
		id = sent.Deposit.Txid
	} else {
		id = sent.Request.Transaction
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var states []string
	for last := time.Now(); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		client, err := admin.Dial(ts.MkAbs(args[0]))
		if err != nil {
			continue
		}
		states = lifeOf(ctx, client, id)
		if slices.Contains(states, args[2]) {
			client.Close()
			return
		}
		if mine && time.Since(last) > time.Second {
			last = time.Now()
			var mined node.RegtestBlocks
			ts.Check(client.Mine(ctx, 1, &mined))
		}
		client.Close()
	}
	ts.Fatalf("%s was %v, not %s", id, states, args[2])
}

// lifeOf lists the states that a deposit or a request with its payment was in.
func lifeOf(ctx context.Context, client *admin.Client, id string) (states []string) {
	var found peg.Found
	if err := client.Peg(ctx, "get", peg.Question{ID: id}, &found); err != nil || len(found.Pegs) == 0 {
		return nil
	}
	for _, c := range found.Pegs[0].History {
		states = append(states, c.State)
	}
	if payment := found.Pegs[0].Payment; payment != "" {
		for _, state := range lifeOf(ctx, client, payment) {
			states = append(states, "payment:"+state)
		}
	}
	return states
}
