package engine

import (
	"context"
	"testing"
	"time"
)

func TestImportLegacyChains(t *testing.T) {
	for _, chain := range []string{"single", "fed3", "crashed"} {
		t.Run(chain, func(t *testing.T) {
			ctx := context.Background()
			e := openTest(t, t.TempDir(), readGenesis(t, chain))
			x := NewExecutor(e)
			payloads := readPayloads(t, chain)
			want := readExpected(t, chain)

			start := time.Now()
			results := mustImport(t, x, payloads)
			elapsed := time.Since(start)

			last := results[len(results)-1]
			if last.Number != want.Head.Height || last.BlockHash != want.Head.PayloadHash || last.StateRoot != want.Head.StateRoot {
				t.Fatalf("last block %d %s %s, want %+v", last.Number, last.BlockHash, last.StateRoot, want.Head)
			}
			number, hash, err := x.Head(ctx)
			if err != nil || number != want.Head.Height || hash != want.Head.PayloadHash {
				t.Fatalf("head %d %s %v", number, hash, err)
			}
			state, err := e.backend.BlockChain().State()
			if err != nil {
				t.Fatal(err)
			}
			for address, balance := range want.Balances {
				if have := state.GetBalance(address).Dec(); have != balance.String() {
					t.Errorf("balance of %s: %s, want %s", address, have, balance)
				}
			}
			var transactions int
			for i, r := range results {
				var sum uint64
				for _, gas := range r.GasUsed {
					sum += gas
				}
				if len(r.GasUsed) != len(payloads[i].Transactions) || sum != payloads[i].GasUsed {
					t.Errorf("block %d: gas %v does not add up to %d", r.Number, r.GasUsed, payloads[i].GasUsed)
				}
				transactions += len(r.GasUsed)
			}
			t.Logf("%d blocks, %d transactions in %v: %.0f blocks/s", len(results), transactions, elapsed, float64(len(results))/elapsed.Seconds())

			finalized := payloads[len(payloads)-3].BlockHash
			if err := x.SetFinalized(ctx, last.BlockHash, finalized); err != nil {
				t.Fatal(err)
			}
			if header := e.backend.BlockChain().CurrentFinalBlock(); header == nil || header.Hash() != finalized {
				t.Fatalf("finalised block %v", header)
			}
		})
	}
}
