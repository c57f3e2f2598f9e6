package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func TestBuildIncludesPendingTransactions(t *testing.T) {
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	c := newTestChain(t, e)
	credits := []block.Withdrawal{{Address: common.Address{1}, Amount: 5}, {Address: common.Address{2}, Amount: 7}}

	parent := c.head().Hash()
	for height := uint64(1); height <= 5; height++ {
		sent := c.send(20)
		p := c.build(parent, 1, 500*time.Millisecond, credits...)
		if len(p.Transactions) != len(sent) {
			t.Fatalf("block %d has %d transactions, %d were pending", height, len(p.Transactions), len(sent))
		}
		if p.BlockNumber != height || p.FeeRecipient != DeadAddress || p.PrevRandao != (common.Hash{}) ||
			p.GasLimit != TargetGasLimit || string(p.ExtraData) != ExtraData {
			t.Fatalf("payload %+v", p)
		}
		if diff := cmp.Diff(credits, p.Withdrawals); diff != "" {
			t.Fatal(diff)
		}
		results := mustImport(t, c.x, []*block.Payload{p})
		if len(results[0].GasUsed) != 20 || results[0].GasUsed[19] != 21000 {
			t.Fatalf("gas %v", results[0].GasUsed)
		}
		parent = p.BlockHash
	}
}

func TestBuildTakesTransactionsThatComeWhileWaiting(t *testing.T) {
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	c := newTestChain(t, e)
	go func() {
		time.Sleep(50 * time.Millisecond)
		c.send(3)
	}()
	if p := c.build(c.head().Hash(), 1, 3*recommit); len(p.Transactions) != 3 {
		t.Fatalf("%d transactions, want 3", len(p.Transactions))
	}
}

func TestBuildErrors(t *testing.T) {
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	c := newTestChain(t, e)
	head := c.head()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	soon, cancelSoon := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancelSoon()

	for _, test := range []struct {
		name    string
		ctx     context.Context
		request BuildRequest
		want    fault.Grade
	}{
		{"unknown parent", context.Background(), BuildRequest{Parent: common.Hash{1}, Timestamp: head.Time + 1}, fault.CannotJudge},
		{"zero parent", context.Background(), BuildRequest{Timestamp: head.Time + 1}, fault.CannotJudge},
		{"unknown finalised", context.Background(), BuildRequest{Parent: head.Hash(), Finalized: common.Hash{1}, Timestamp: head.Time + 1}, fault.CannotJudge},
		{"timestamp of the parent", context.Background(), BuildRequest{Parent: head.Hash(), Timestamp: head.Time}, fault.Invalid},
		{"context over", cancelled, BuildRequest{Parent: head.Hash(), Timestamp: head.Time + 1}, fault.Temporary},
		{"context ends while waiting", soon, BuildRequest{Parent: head.Hash(), Timestamp: head.Time + 1, Wait: time.Hour}, fault.Temporary},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.x.Build(test.ctx, test.request)
			if !fault.Is(err, test.want) {
				t.Fatalf("%v: %v, want %v", fault.Of(err), err, test.want)
			}
			if test.ctx.Err() != nil && !errors.Is(err, test.ctx.Err()) {
				t.Fatalf("%v does not wrap %v", err, test.ctx.Err())
			}
		})
	}
}
