package sync

import (
	"encoding/binary"
	"fmt"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// The window: blocks, spans and bytes that are asked for or wait to be handed on.
const (
	windowBlocks = 8192
	windowSpans  = 256
	windowBytes  = 48 << 20
	maxBytes     = 2 << 20 // of one answer
)

// Times in milliseconds.
const (
	tickMs      = 1000
	deadlineMs  = 5000   // for the first block of an answer, and between two
	answerMs    = 20_000 // for a whole answer
	hedgeMs     = 4000   // then the first span is asked of a second peer
	graceMs     = 3000   // for gossip to bring the last blocks
	graceBlocks = 2
	stallMs     = 10_000 // without a movement
	probeMs     = 10_000 // between questions to peers that tell no head
	retryMs     = 2000   // doubled with each attempt
	maxRetryMs  = 60_000
)

// plan makes the next requests.
func (x *turn) plan() {
	known := x.known()
	if x.Now < x.RetryAt {
		return
	}
	x.trim(known)
	x.probe(known)
	x.askAgain(known)
	for {
		blocks, spans, size := x.Window()
		if spans > 0 && (blocks >= windowBlocks || spans >= windowSpans || size+maxBytes > windowBytes) {
			return
		}
		next := x.next()
		p := x.choose(next, known, nil)
		if p == nil {
			return
		}
		count := min(uint64(p.most()), x.upTo(p, known)-next+1, windowBlocks-blocks)
		x.ask(&Span{From: next, Count: uint32(count)}, p)
	}
}

// known is the height up to which blocks are worth asking for because a peer tells to have them: not
// the last ones, while gossip may still bring them.
func (x *turn) known() uint64 {
	ahead, tip := x.ahead(), max(x.Head.Number, x.Handed.Number)
	if ahead <= tip {
		x.Noticed = 0
		return ahead
	}
	if x.Noticed == 0 {
		x.Noticed = x.Now
	}
	if ahead-tip <= graceBlocks && x.Now-x.Noticed < graceMs && x.spans.Len() == 0 {
		return 0
	}
	return ahead
}

// trim drops spans at the end that nobody can give.
func (x *turn) trim(known uint64) {
	for {
		_, last, ok := x.spans.Max()
		if !ok || last.here() || last.Asked > 0 {
			return
		}
		can := false
		x.peers.Scan(func(_ string, p *Peer) bool {
			can = x.upTo(p, max(known, p.height())) >= last.From
			return !can
		})
		if can {
			return
		}
		x.spans.Delete(last.From)
	}
}

// probe asks a peer that tells no head whether there is more, when the head does not grow.
func (x *turn) probe(known uint64) {
	if x.Now < x.ProbeAt || x.spans.Len() > 0 || known > x.Handed.Number || x.Guide != "" || x.Synced && x.Now-x.Grew < probeMs {
		return
	}
	var best *Peer
	x.peers.Scan(func(_ string, p *Peer) bool {
		if p.Legacy && p.Rest <= x.Now && p.Flying == 0 && (best == nil || better(p, best)) {
			best = p
		}
		return true
	})
	if best == nil {
		return
	}
	x.ProbeAt = x.Now + probeMs
	x.change(best.Peer, func(p *Peer) { p.Guess = max(p.Guess, x.Handed.Number+uint64(p.most())) })
}

// askAgain makes requests for spans that are wanted and not asked for, and a second one for the
// first span when it is late: everything waits for it.
func (x *turn) askAgain(known uint64) {
	for i, s := range x.allSpans() {
		if s.here() || s.Asked > 1 {
			continue
		}
		if s.Asked == 1 {
			if i > 0 || !x.slow(s) {
				continue
			}
			if p := x.choose(s.From, max(known, s.end()-1), x.askedOf(s)); p != nil && !x.isAskedOf(s, p.Peer) && x.upTo(p, known) >= s.end()-1 {
				x.ask(s, p)
			}
			continue
		}
		if p := x.choose(s.From, max(known, s.From), s.Tried); p != nil {
			x.ask(s, p)
		}
	}
}

func (x *turn) slow(s *Span) (slow bool) {
	x.asks.Scan(func(a *Ask) bool {
		slow = slow || !a.Left && a.From == s.From && x.Now-a.Since >= hedgeMs
		return true
	})
	return slow
}

// askedOf is who is asked for a span or failed to give it.
func (x *turn) askedOf(s *Span) []TriedPeer {
	list := s.Tried[:len(s.Tried):len(s.Tried)]
	x.asks.Scan(func(a *Ask) bool {
		if a.From == s.From {
			list = append(list, TriedPeer{a.Peer})
		}
		return true
	})
	return list
}

func (x *turn) isAskedOf(s *Span, peer string) (asked bool) {
	x.asks.Scan(func(a *Ask) bool {
		asked = asked || a.From == s.From && a.Peer == peer
		return true
	})
	return asked
}

// lookForStall begins again when the chain actor did not take what it was given, or when nobody
// gives what is wanted.
func (x *turn) lookForStall() {
	if x.Now-x.Moved < stallMs || x.Backlog > 0 || x.Now < x.RetryAt {
		return
	}
	if x.Proven.Number > x.Head.Number {
		reason := fmt.Sprintf("blocks up to %d were handed on and the head stays at %d", x.Proven.Number, x.Head.Number)
		x.rest(x.HandedBy)
		x.begin(x.Head)
		x.stall(reason)
		x.Untaken = true
		return
	}
	_, first, ok := x.spans.Min()
	if ok && (first.here() || first.Asked > 0) || !ok && x.wanted() <= x.Head.Number {
		return
	}
	missing := x.Handed.Number + 1
	x.begin(x.Head)
	x.stall(fmt.Sprintf("of %d peers none gives block %d", x.peers.Len(), missing))
}

// wanted is the highest head that any peer tells, at rest or not.
func (s *State) wanted() (highest uint64) {
	s.peers.Scan(func(_ string, p *Peer) bool {
		highest = max(highest, p.height())
		return true
	})
	return highest
}

// stall tells that the download does not get on, and puts the next attempt off.
func (x *turn) stall(reason string) {
	seed := x.Seed()
	wait := min(int64(retryMs)<<min(x.Attempts, 10), maxRetryMs)
	wait += int64(binary.BigEndian.Uint64(seed[:8]) % uint64(wait/2))
	x.Attempts++
	x.Untaken = false
	x.RetryAt = x.Now + wait
	x.Moved = x.RetryAt // the next attempt has its time
	if reason != x.Reason {
		x.Reason = reason
		x.out.Fact(&message.SyncStalled{Reason: reason, Head: x.Head.Number, Target: x.target(), RetryMs: uint64(wait)})
	}
}

// armTimer sets the timer while something is wanted.
func (x *turn) armTimer() {
	if !x.Timer.None() {
		return
	}
	wait := int64(0)
	switch {
	case x.Now < x.RetryAt:
		wait = x.RetryAt - x.Now
	case x.spans.Len() > 0 || x.wanted() > x.Head.Number || x.Proven.Number > x.Head.Number || x.waiting():
		wait = tickMs
	case x.anyLegacy():
		wait = probeMs
	default:
		return
	}
	x.Timer, x.TimerAt = x.nextRef(), x.Now+wait
	x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: uint64(wait)})
}

// waiting reports whether a request is not given up.
func (s *State) waiting() (waits bool) {
	s.asks.Scan(func(a *Ask) bool {
		waits = !a.Left
		return !waits
	})
	return waits
}

func (s *State) anyLegacy() (found bool) {
	s.peers.Scan(func(_ string, p *Peer) bool {
		found = p.Legacy
		return !found
	})
	return found
}
