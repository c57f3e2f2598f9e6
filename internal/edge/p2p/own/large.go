package own

import (
	"context"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/lru"
	libp2p "github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// large is a block on its way to peers.
type large struct {
	announce peer.Announce
	compact  *peer.Compact
	signed   *block.Signed
	from     libp2p.ID // who brought it; empty for our own
}

// largeBlocks bounds and remembers blocks in parts.
type largeBlocks struct {
	known *lru.Cache[common.Hash, struct{}]

	mu      sync.Mutex
	members room                          // that nobody else can take
	others  room                          // for all who are no members
	coming  map[common.Hash]chan struct{} // closed when its last bringer ended
}

// room is what is taken in at once.
type room struct {
	blocks int
	bytes  int // announced
	peers  map[libp2p.ID]int
}

// take reserves room for one block of a peer, if there is some.
func (r *room) take(from libp2p.ID, bytes, most int) bool {
	if r.blocks >= maxLargeAtOnce || r.bytes+bytes > maxLargeBytes || r.peers[from] >= most {
		return false
	}
	r.blocks++
	r.bytes += bytes
	r.peers[from]++
	return true
}

func (r *room) leave(from libp2p.ID, bytes int) {
	r.blocks--
	r.bytes -= bytes
	if r.peers[from]--; r.peers[from] == 0 {
		delete(r.peers, from)
	}
}

func newLargeBlocks() *largeBlocks {
	return &largeBlocks{
		known:   lru.NewCache[common.Hash, struct{}](rememberedBlocks),
		members: room{peers: map[libp2p.ID]int{}}, others: room{peers: map[libp2p.ID]int{}},
		coming: map[common.Hash]chan struct{}{},
	}
}

// Publish announces a block to every peer with a session but the one that brought it, once. It
// does not wait for them. The error is of a block that has no compact form.
func (n *Network) Publish(signed *block.Signed, root common.Hash, raw []byte) error {
	if n.large.known.Contains(root) {
		return nil
	}
	return n.publish(signed, root, raw, "")
}

// publish announces a block once, which add makes sure of.
func (n *Network) publish(signed *block.Signed, root common.Hash, raw []byte, from libp2p.ID) error {
	if !peer.Fits(raw) {
		return fault.New(fault.Invalid, "block %s of %d bytes is beyond what the peers' protocol carries", root, len(raw))
	}
	c, err := peer.NewCompact(signed)
	if err != nil {
		return err
	}
	n.large.known.Add(root, struct{}{})
	l := &large{
		announce: peer.Announce{Root: root, Number: signed.Block.Payload.BlockNumber, Bytes: uint32(len(raw))},
		compact:  c, signed: signed, from: from,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, s := range n.sessions {
		if id == from {
			continue
		}
		select {
		case s.blocks <- l:
		default: // it does not take what came before; it will ask for what it misses
		}
	}
	return nil
}

// announce sends large blocks to the session's peer, one after the other.
func (s *session) announce() {
	for {
		select {
		case <-s.done:
			return
		case l := <-s.blocks:
			ctx, done := context.WithTimeout(s.n.ctx, answerTimeout)
			if err := s.n.bring(ctx, s.id, l); err != nil {
				s.n.log.Debug("peer does not take a block", "peer", s.id, "block", l.announce.Root, "error", err)
			}
			done()
		}
	}
}

// bring leads one block to one peer, as far as it wants it.
func (n *Network) bring(ctx context.Context, id libp2p.ID, l *large) error {
	stream, err := n.newStream(ctx, id, Large)
	if err != nil {
		return err
	}
	defer stream.Reset() //nolint:errcheck // after Close it does nothing
	unblock := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer unblock()
	a := n.newAnswer(ctx, id, stream)
	next := func(m peer.Message) (*peer.Want, error) {
		if m != nil {
			if err := a.send(m); err != nil {
				return nil, err
			}
		}
		if err := a.out.Flush(); err != nil {
			return nil, err
		}
		_ = stream.SetReadDeadline(time.Now().Add(bringTimeout))
		got, err := peer.ReadFrame(a.in, peer.KindWant, peer.KindEnd)
		want, _ := got.(*peer.Want)
		return want, err
	}
	want, err := next(&l.announce)
	if err == nil && want != nil && want.Skeleton {
		want, err = next(l.compact)
	}
	if err == nil && want != nil {
		var frames []*peer.Parts
		if want.Skeleton {
			err = fault.New(fault.Invalid, "the skeleton was asked for twice")
		} else if frames, err = peer.Split(l.signed.Block.Payload.Transactions, want.Indexes); err == nil {
			for _, f := range frames {
				if err = a.send(f); err != nil {
					break
				}
			}
			if err == nil {
				want, err = next(nil)
			}
		}
	}
	if err == nil && want != nil {
		err = fault.New(fault.Invalid, "more was asked for than a block has")
	}
	if err != nil {
		if fault.Of(err) == fault.Invalid {
			n.act(id, message.ActProtocol, string(Large)+": "+err.Error())
		}
		return err
	}
	return stream.Close()
}

// bringTimeout is how long a peer may take to decide what it wants of a block: it may wait
// for another peer that brings the same.
const bringTimeout = 30 * time.Second

// otherTimeout is how long one peer's delivery keeps another's waiting.
const otherTimeout = 2 * time.Second

// takeLarge takes in a block that a peer announces.
func (n *Network) takeLarge(a *answer, m peer.Message) (*peer.End, error) {
	l := m.(*peer.Announce)
	done, ok := n.large.begin(a.ctx, a.id, n.isMember(a.id), l)
	if !ok {
		return &peer.End{Code: peer.EndComplete}, nil // known, or no room: it is asked for when it is missed
	}
	defer done()
	p, err := a.puzzle(l, n.opt.Source.Transaction)
	if err != nil {
		return nil, err
	}
	signed, raw, err := p.Block()
	if err != nil {
		return nil, err
	}
	if err := n.opt.Take(a.ctx, a.id, signed, l.Root, raw); err != nil {
		return &peer.End{Code: peer.EndMissing, Reason: peer.Text(err.Error())}, nil
	}
	if !n.large.known.Contains(l.Root) {
		err = n.publish(signed, l.Root, raw, a.id)
	}
	return &peer.End{}, err
}

// puzzle asks for the parts of a block.
func (a *answer) puzzle(l *peer.Announce, have func(common.Hash) []byte) (*peer.Puzzle, error) {
	m, err := a.exchange(&peer.Want{Skeleton: true}, peer.KindCompact)
	if err != nil {
		return nil, err
	}
	p, err := m.(*peer.Compact).Open(l, have)
	if err != nil || len(p.Missing()) == 0 {
		return p, err
	}
	for want := peer.Message(&peer.Want{Indexes: append([]uint64(nil), p.Missing()...)}); len(p.Missing()) > 0; want = nil {
		m, err := a.exchange(want, peer.KindParts)
		if err != nil {
			return nil, err
		}
		if err := p.Take(m.(*peer.Parts)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// exchange sends a frame, if there is one, and reads the next.
func (a *answer) exchange(m peer.Message, due peer.Kind) (peer.Message, error) {
	if m != nil {
		if err := a.send(m); err != nil {
			return nil, err
		}
		if err := a.out.Flush(); err != nil {
			return nil, err
		}
	}
	_ = a.stream.SetReadDeadline(time.Now().Add(a.wait))
	return peer.ReadFrame(a.in, due)
}

// begin reserves what taking a block in needs. ok is false for a block that is known and
// when there is no room. Of two peers that bring the same one waits for the other, shortly.
// Members have room of their own: a block that gossip does not bring is approved by nobody who
// has to ask for it, so that strangers who bring theirs slowly could hold the chain up.
func (b *largeBlocks) begin(ctx context.Context, from libp2p.ID, member bool, l *peer.Announce) (done func(), ok bool) {
	b.mu.Lock()
	other := b.coming[l.Root]
	b.mu.Unlock()
	if other != nil {
		patience := time.NewTimer(otherTimeout)
		defer patience.Stop()
		select {
		case <-other:
		case <-patience.C:
		case <-ctx.Done():
			return nil, false
		}
	}
	if b.known.Contains(l.Root) {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r, most := &b.others, maxLargeOfOne
	if member {
		r, most = &b.members, maxLargeOfMember
	}
	if !r.take(from, int(l.Bytes), most) {
		return nil, false
	}
	mine := make(chan struct{})
	b.coming[l.Root] = mine
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		r.leave(from, int(l.Bytes))
		if b.coming[l.Root] == mine {
			delete(b.coming, l.Root)
		}
		close(mine)
	}, true
}
