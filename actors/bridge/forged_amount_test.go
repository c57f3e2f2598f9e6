package bridge

import (
	"math"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestForgedAmount: before the activation of strict peg-outs a contract's creation can ask
// for any amount. One of more satoshi than there will be is ignored as legacy's overflow
// is, and the sums stay exact.
func TestForgedAmount(t *testing.T) {
	for _, amount := range []uint64{math.MaxUint64, maxSatoshi + 1} {
		g := newGround(t, func(c *spec.Chain, _ *message.NodeConfigured) { c.Activations.StrictPegouts = 0 })
		honest := requestLog(5_000_000, forgedTo)
		forged := forgedLog(amount)
		g.unsure = true // the oracle sums in 64 bits
		g.follow("a", "", g.block("a", "genesis", func(b *message.PegBlock) { b.Receipts = requestsOf(honest) }))
		g.follow("b", "", g.block("b", "a", func(b *message.PegBlock) { b.Receipts = requestsOf(forged, honest) }))
		g.follow("c", "", g.block("c", "b", nil))
		w := g.state.Block(g.roots["b"].Root).Wallet
		if w.Totals.Pending != 5_000_000 || len(w.Pending) != 1 {
			t.Errorf("%d satoshi: %d requests of %d satoshi wait, want the honest one", amount, len(w.Pending), w.Totals.Pending)
		}
		if w = g.state.Block(g.roots["c"].Root).Wallet; w.Totals.Ignored != 10_000_000 || w.Totals.Requested != 0 {
			t.Errorf("%d satoshi: ignored are %d and requested %d", amount, w.Totals.Ignored, w.Totals.Requested)
		}
	}
}

// TestUnbalanced: sums that do not hold, or are beyond what there is, are told.
func TestUnbalanced(t *testing.T) {
	good := message.PegTotals{Deposited: 10, Coins: 4, Paid: 5, BitcoinFees: 1, Requested: 6, UserFees: 1}
	if reason := unbalanced(&good); reason != "" {
		t.Errorf("%+v: %s", good, reason)
	}
	for i, change := range []func(*message.PegTotals){
		func(x *message.PegTotals) { x.Coins++ },
		func(x *message.PegTotals) { x.Requested++ },
		func(x *message.PegTotals) { x.PoolDrift++ },
		func(x *message.PegTotals) { x.Ignored = math.MaxUint64 },
		func(x *message.PegTotals) { x.Unbacked = math.MaxInt64 },
		func(x *message.PegTotals) { x.Unbacked = math.MinInt64 },
	} {
		bad := good
		if change(&bad); unbalanced(&bad) == "" {
			t.Errorf("change %d is not seen", i)
		}
	}
	// A quorum that mints all that 64 bits hold is followed, and told.
	g := newGround(t, nil)
	g.unsure = true
	g.follow("a", "", g.block("a", "genesis", func(b *message.PegBlock) {
		b.Withdrawals = []message.Withdrawal{{Address: common.Address{1}, Amount: math.MaxUint64}, {Address: common.Address{2}, Amount: math.MaxUint64}}
	}))
	for _, f := range g.facts {
		if alarm, ok := f.(*message.PegAlarm); ok && alarm.Rule == "totals" {
			return
		}
	}
	t.Error("no alarm of an unbacked mint beyond all sums")
}

const forgedTo = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

// forgedLog asks for an amount in a contract's creation.
func forgedLog(amount uint64) message.PegLog {
	l := requestLog(0, forgedTo)
	wei := new(big.Int).Mul(new(big.Int).SetUint64(amount), big.NewInt(10_000_000_000))
	wei.FillBytes(l.Data[32:64])
	l.HasTo, l.To, l.Emitter = false, common.Address{}, common.Address{7}
	return l
}

func requestsOf(logs ...message.PegLog) record.Content {
	data, _ := record.Encode(&message.PegReceipts{Logs: logs})
	return record.NewContent(data)
}
