package sync

import (
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

func (s *State) allSpans() (list []*Span) {
	s.spans.Scan(func(_ uint64, span *Span) bool {
		list = append(list, span)
		return true
	})
	return list
}

func (s *State) allAsks() (list []*Ask) {
	s.asks.Scan(func(a *Ask) bool {
		list = append(list, a)
		return true
	})
	return list
}

// next is the height after the last span.
func (s *State) next() uint64 {
	if _, last, ok := s.spans.Max(); ok {
		return last.end()
	}
	return s.Handed.Number + 1
}

// Window returns how many blocks are asked for or wait, in how many spans, and how many bytes that may be.
func (s *State) Window() (blocks uint64, spans int, size uint64) {
	s.spans.Scan(func(_ uint64, span *Span) bool {
		blocks += uint64(span.Count)
		size += span.Bytes + uint64(span.Asked)*maxBytes
		return true
	})
	return blocks, s.spans.Len(), size
}

// dropSpans forgets what is wanted and here.
func (x *turn) dropSpans() {
	x.leaveAsks(func(*Ask) bool { return true })
	x.spans = newState().spans
}

// leaveAsks has spans not wait for requests any more. Their peers still have to answer.
func (x *turn) leaveAsks(which func(*Ask) bool) {
	for _, a := range x.allAsks() {
		if a.Left || !which(a) {
			continue
		}
		left := *a
		left.Left = true
		x.asks.Set(&left)
		if s, ok := x.spans.Get(a.From); ok {
			next := *s
			next.Asked -= min(next.Asked, 1)
			x.spans.Set(next.From, &next)
		}
	}
}

// answered takes out the request that this turn's message answers, or returns nil.
func (x *turn) answered() *Ask {
	a, ok := x.asks.Delete(&Ask{Ref: x.Cause})
	if !ok {
		return nil
	}
	x.change(a.Peer, func(p *Peer) { p.Flying -= min(p.Flying, 1) })
	return a
}

// fill puts an answer into its span. What it lacks is a span of its own.
func (x *turn) fill(s *Span, m *message.RangeFetched) {
	n := uint32(len(m.Blocks))
	x.leaveAsks(func(a *Ask) bool { return a.From == s.From })
	x.spans.Set(s.From, &Span{
		From: s.From, Count: n, Peer: m.Peer, Blocks: m.Blocks,
		Parent: m.Parent, Last: m.Last, Quorum: m.Quorum, Proven: m.Proven, Bytes: m.Bytes,
	})
	if rest := s.Count - n; rest > 0 {
		x.spans.Set(s.From+uint64(n), &Span{From: s.From + uint64(n), Count: rest})
	}
}

// untrust notes that a peer did not give what a span begins with.
func (x *turn) untrust(from uint64, peer string) {
	if s, ok := x.spans.Get(from); ok && !s.here() {
		next := *s
		next.Tried = append(next.Tried[:len(next.Tried):len(next.Tried)], TriedPeer{peer})
		x.spans.Set(from, &next)
	}
}

// again has a span wanted that is here, of another peer if there is one.
func (x *turn) again(s *Span) {
	x.spans.Set(s.From, &Span{From: s.From, Count: s.Count, Tried: []TriedPeer{{s.Peer}}})
}

// ask asks a peer for a span, which is cut to what the peer is asked for at once.
func (x *turn) ask(s *Span, p *Peer) {
	next := *s
	if most := p.most(); next.Asked == 0 && next.Count > most {
		x.spans.Set(s.From+uint64(most), &Span{From: s.From + uint64(most), Count: s.Count - most})
		next.Count = most
	}
	next.Asked++
	x.spans.Set(next.From, &next)
	x.asks.Set(&Ask{
		Ref: x.nextRef(), Peer: p.Peer, From: next.From, Count: next.Count, Since: x.Now, Until: x.Now + answerMs,
	})
	x.change(p.Peer, func(p *Peer) { p.Flying, p.Last = p.Flying+1, x.Now })
	x.out.Effect(PeersEdge, core.Expiring, &message.FetchRange{
		Peer: p.Peer, From: next.From, Count: next.Count, MaxBytes: maxBytes, DeadlineMs: deadlineMs, Legacy: p.Legacy,
	})
}

// nextRef is the ref of the output that is emitted next.
func (x *turn) nextRef() core.Ref {
	return core.Ref{Sequence: x.Sequence, Index: uint32(len(x.out.List()))}
}

// giveUpLate takes spans away from peers that do not get done: the edge bounds the time between
// two blocks, so they drip.
func (x *turn) giveUpLate() {
	for _, late := range x.allAsks() {
		if late.Left || late.Until > x.Now {
			continue
		}
		x.leaveAsks(func(a *Ask) bool { return a.Ref == late.Ref })
		x.untrust(late.From, late.Peer)
		x.blame(late.Peer, message.ActSlow, "the answer is not complete within its time")
		if x.Guide == late.Peer {
			x.Guide = x.anotherGuide()
		}
	}
}
