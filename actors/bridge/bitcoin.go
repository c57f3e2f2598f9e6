package bridge

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

const (
	// leastWindow is how many Bitcoin blocks are kept at least: two days.
	leastWindow = 288
	// The pause before Bitcoin is asked again doubles from pauseFirstMs to pauseMostMs.
	pauseFirstMs = 1000
	pauseMostMs  = 60_000
	// denseKnown is how many ids below the top are told to the edge one by one; then the
	// distance doubles.
	denseKnown = 12
)

// Following is where following Bitcoin stands.
type Following struct {
	Asked    core.Ref // the request that waits for its answer
	Pause    core.Ref // the timer before the next request
	Attempts uint32   // requests without an answer in a row
	Network  string   // the node's chain, as it first said
	Top      message.BitcoinID
	HasTop   bool
	Tip      message.BitcoinID // of the node
	FeeRate  uint64            // the node's estimate; zero for none
	Lost     *message.BitcoinLost
	// Match is up to where an answer agreed with what was followed without reaching
	// where it parts; zero when the last one did.
	Match uint64
	// Peak is the highest that Top was above any block that is followed: a node may tell of
	// one reorganisation in steps, each of them small.
	Peak uint64
	// Left: the node's chain has none of the blocks that were followed.
	Left bool

	// Fresh: the node has answered in this run. Syncing: it was in its initial download.
	Fresh, Syncing bool
	// Said is what the chain actor was told in this run, or nothing.
	Said *message.BitcoinCurrent
}

// fields lists the fields from a number on.
func (b *Following) fields(f *record.Fields, from int) {
	f.Uint64(from, &b.Asked.Sequence)
	f.Uint32(from+1, &b.Asked.Index)
	f.Uint64(from+2, &b.Pause.Sequence)
	f.Uint32(from+3, &b.Pause.Index)
	f.Uint32(from+4, &b.Attempts)
	f.String(from+5, &b.Network)
	f.Uint64(from+6, &b.Top.Height)
	f.Fixed(from+7, b.Top.Hash[:])
	f.Bool(from+8, &b.HasTop)
	f.Uint64(from+9, &b.Tip.Height)
	f.Fixed(from+10, b.Tip.Hash[:])
	f.Uint64(from+11, &b.FeeRate)
	record.Optional(f, from+12, &b.Lost)
	f.Uint64(from+13, &b.Match)
	f.Bool(from+14, &b.Left)
	f.Uint64(from+15, &b.Peak)
	f.Bool(from+16, &b.Fresh)
	f.Bool(from+17, &b.Syncing)
	record.Optional(f, from+18, &b.Said)
}

// Current reports whether Bitcoin is followed to the tip that its node has.
func (s *State) Current() bool {
	b := &s.Following
	return b.HasTop && b.Lost == nil && b.Top == b.Tip
}

// depth is how many confirmations a followed Bitcoin block has: the top has one.
func (s *State) depth(height uint64) uint64 {
	if !s.Following.HasTop || height > s.Following.Top.Height {
		return 0
	}
	return s.Following.Top.Height - height + 1
}

// required is how many confirmations a deposit needs, at least one. (peg.md A1)
func (s *State) required() uint64 { return max(1, uint64(s.rules.spec.Confirmations)) }

// maturity is how deep a coinbase is before Bitcoin lets its outputs be spent.
const maturity = 100

// requiredOf is how many confirmations a deposit needs: one that a coinbase makes cannot
// be spent before it is mature, and what is minted is to be there for payments.
func (s *State) requiredOf(d *Deposit) uint64 {
	if isCoinbase(d.tx) {
		return max(s.required(), maturity)
	}
	return s.required()
}

func isCoinbase(tx *wire.MsgTx) bool {
	return len(tx.TxIn) == 1 && tx.TxIn[0].PreviousOutPoint == wire.OutPoint{Index: wire.MaxPrevOutIndex}
}

// followBitcoin asks for what is new, unless a request or a pause is under way.
func (x *turn) followBitcoin() {
	b := &x.Following
	if x.Config == nil || !x.Config.Bitcoin || !b.Asked.None() || !b.Pause.None() {
		return
	}
	m := &message.FollowBitcoin{Known: x.known(), From: uint64(x.rules.spec.BitcoinStartHeight)}
	if b.HasTop && b.Lost == nil && (b.Fresh || !x.Config.Peers) { // after a loss any answer is news
		tip := b.Tip
		m.Tip = &tip
	}
	b.Asked = x.next()
	x.out.Effect(BitcoinEdge, core.Expiring, m)
}

// known lists followed blocks, highest first: the first few one by one, then with
// doubling distances, and the lowest.
func (s *State) known() (ids []message.BitcoinID) {
	step, skip := uint64(1), uint64(0)
	lowest, _, _ := s.bitcoin.Min()
	s.bitcoin.Reverse(func(height uint64, hash chainhash.Hash) bool {
		if s.Following.Match > 0 && height > s.Following.Match {
			return true
		}
		if skip > 0 && height != lowest {
			skip--
			return true
		}
		ids = append(ids, message.BitcoinID{Height: height, Hash: hash})
		if len(ids) >= denseKnown {
			step *= 2
		}
		skip = step - 1
		return true
	})
	return ids
}

// pause waits before Bitcoin is asked again. The delay counts from now.
func (x *turn) pause() {
	b := &x.Following
	after := min(uint64(pauseFirstMs)<<min(b.Attempts, 10), pauseMostMs)
	b.Attempts++
	b.Pause = x.next()
	x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: after})
}

// lose notes that Bitcoin cannot be judged by, and asks again later.
func (x *turn) lose(grade fault.Grade, format string, args ...any) {
	b := &x.Following
	lost := message.BitcoinLost{Grade: uint8(grade), Reason: fmt.Sprintf(format, args...)}
	if b.Lost == nil || *b.Lost != lost {
		x.out.Fact(&lost)
	}
	b.Lost = &lost
	x.pause()
}

func (x *turn) bitcoinAway(m *message.BitcoinAway) {
	if x.Cause != x.Following.Asked {
		return
	}
	x.Following.Asked = core.Ref{}
	x.lose(fault.Grade(m.Grade), "%s", m.Reason)
}

// bitcoinFollowed takes an answer: all of it or, when it does not fit together, nothing.
func (x *turn) bitcoinFollowed(m *message.BitcoinFollowed) {
	b := &x.Following
	if x.Cause != b.Asked || b.Asked.None() {
		return
	}
	b.Asked = core.Ref{}
	if err := x.take(m); err != nil {
		x.lose(fault.Of(err), "%s", err)
		return
	}
	b.Attempts = 0
	b.Fresh, b.Syncing = true, m.Syncing
	x.followBitcoin()
}

// tellCurrent tells the chain actor whether Bitcoin is followed to its tip, when that
// changed and at the start of a run. The edge asks the node every second and answers as
// soon as something is new or it is away, so that silence means that nothing changed.
// (docs/decisions/0083-synced.md)
func (x *turn) tellCurrent() {
	if x.Config == nil || !x.Config.Peers || !x.Config.Bitcoin {
		return
	}
	b := &x.Following
	now := message.BitcoinCurrent{Current: x.Current() && b.Fresh && !b.Syncing}
	switch {
	case now.Current:
	case b.Lost != nil:
		now.Reason = b.Lost.Reason
	case !b.Fresh:
		now.Reason = "its node has not answered in this run yet"
	case b.Syncing:
		now.Reason = "its node is in its initial download"
	default:
		now.Reason = "its blocks are read up to the node's tip first"
	}
	if b.Said == nil || *b.Said != now {
		b.Said = &now
		x.out.Send(chain, &now)
	}
}
