package peg

import (
	"bytes"
	"cmp"

	"github.com/btcsuite/btcd/wire"
)

// Coin is an output that the federation's members can spend: it [Federation.Pays].
type Coin struct {
	OutPoint  wire.OutPoint
	Amount    uint64 // satoshi
	Confirmed bool   // in a Bitcoin block; otherwise the change of a payment on its way
}

// The limits of a payment.
const (
	// MaxWeight is the weight up to which Bitcoin's nodes relay a transaction.
	MaxWeight = 400_000
	// MinRelayRate is the fee rate from which they do, in satoshi per 1000 vbytes.
	MinRelayRate = 1000
)

const (
	emptyInput   = 4 * 41                 // an input without witness, in weight units
	changeWeight = 4 * changeSize         // an output to the federation
	frameWeight  = 4*(4+4+3+3) + (1 + 1)  // version, lock time, the longest counts needed, marker and flag
	maxInputs    = MaxWeight / emptyInput // no payment has as many
)

// Weight returns what a payment of the federation will weigh with its witnesses. (BIP 141)
func (f *Federation) Weight(tx *wire.MsgTx) uint64 {
	return uint64(4*tx.SerializeSizeStripped() + 2 + len(tx.TxIn)*(f.SatisfactionWeight-emptyInput))
}

// virtualSize is what fees are counted by. (BIP 141)
func virtualSize(weight uint64) uint64 { return (weight + 3) / 4 }

// DustLimit is the least amount Bitcoin's nodes relay in an output to a script, in satoshi:
// three times what it costs to make it and to spend it at 1 satoshi a vbyte.
func DustLimit(script []byte) uint64 {
	const spend, spendWitness = 32 + 4 + 1 + 107 + 4, 32 + 4 + 1 + 107/4 + 4
	size := uint64(8 + wire.VarIntSerializeSize(uint64(len(script))) + len(script))
	if isWitnessProgram(script) {
		return 3 * (size + spendWitness)
	}
	return 3 * (size + spend)
}

// isWitnessProgram reports whether a script is one of a witness version. (BIP 141)
func isWitnessProgram(script []byte) bool {
	return len(script) >= 4 && len(script) <= 42 && isWitnessVersion(script[0]) && int(script[1]) == len(script)-2
}

// largest gives coins by falling amounts, in a heap: of a hundred thousand coins a payment
// takes few.
type largest struct {
	coins []Coin
	heap  []int32
}

// newLargest takes the coins that are wanted and worth an output.
func newLargest(coins []Coin, wanted func(*Coin) bool) *largest {
	l := &largest{coins: coins, heap: make([]int32, 0, len(coins))}
	for i := range coins {
		if c := &coins[i]; c.Amount >= dust && c.Amount <= maxSatoshi && wanted(c) {
			l.heap = append(l.heap, int32(i))
		}
	}
	for i := len(l.heap)/2 - 1; i >= 0; i-- {
		l.sink(i)
	}
	return l
}

// next takes the largest coin.
func (l *largest) next() (*Coin, bool) {
	if len(l.heap) == 0 {
		return nil, false
	}
	first, last := l.heap[0], len(l.heap)-1
	l.heap[0] = l.heap[last]
	l.heap = l.heap[:last]
	l.sink(0)
	return &l.coins[first], true
}

func (l *largest) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(l.heap) {
			return
		}
		if right := child + 1; right < len(l.heap) && l.before(right, child) {
			child = right
		}
		if !l.before(child, i) {
			return
		}
		l.heap[i], l.heap[child] = l.heap[child], l.heap[i]
		i = child
	}
}

func (l *largest) before(a, b int) bool {
	return compareCoins(&l.coins[l.heap[a]], &l.coins[l.heap[b]]) < 0
}

// compareCoins orders by falling amount, then by outpoint.
func compareCoins(a, b *Coin) int {
	return cmp.Or(cmp.Compare(b.Amount, a.Amount), compareOutPoints(a.OutPoint, b.OutPoint))
}

func compareOutPoints(a, b wire.OutPoint) int {
	return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
}

// settles reports whether coins pay a target exactly or leave change worth an output.
func settles(sum, target uint64) bool { return sum == target || sum >= target+dust }

// choose returns the coins of a payment of target: the forced ones, then as few others as
// do, which leave either nothing or change worth an output; it is false when there are
// none, or more are needed than most.
//
// Confirmed coins alone are tried first, then all. The largest are taken until they do, and
// the last of them is exchanged for the smallest that still does. It takes a time in the
// number of coins and no more, and depends on nothing but its arguments.
func choose(coins []Coin, forced map[wire.OutPoint]bool, target uint64, most int) ([]Coin, bool) {
	var base []Coin
	var sum uint64
	for i := range coins {
		if c := &coins[i]; forced[c.OutPoint] && c.Amount <= maxSatoshi {
			base, sum = append(base, *c), sum+c.Amount
		}
	}
	if settles(sum, target) && len(base) > 0 {
		return base, len(base) <= most
	}
	for _, all := range []bool{false, true} {
		pool := newLargest(coins, func(c *Coin) bool { return (all || c.Confirmed) && !forced[c.OutPoint] })
		if more, ok := pool.take(sum, target, most-len(base)); ok {
			return append(base, more...), true
		}
	}
	return nil, false
}

// take chooses from the pool alone, on top of what is there already.
func (l *largest) take(sum, target uint64, most int) ([]Coin, bool) {
	var taken []Coin
	for !settles(sum, target) || len(taken) == 0 {
		c, ok := l.next()
		if !ok || len(taken) >= most {
			return nil, false
		}
		taken, sum = append(taken, *c), sum+c.Amount
	}
	last := &taken[len(taken)-1]
	before := sum - last.Amount
	for _, i := range l.heap {
		if c := &l.coins[i]; settles(before+c.Amount, target) && compareCoins(last, c) < 0 {
			*last = *c
		}
	}
	return taken, true
}
