package own

import (
	"sync"

	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"
)

// Bounds of requests. (docs/formats/peer-protocol.md, Limits)
const (
	streamsOfPeer    = 8  // of one protocol
	servedOfPeer     = 16 // requests of one peer that is no member
	servedAtOnce     = 64 // requests of all members, and as many of all others
	requestsASecond  = 20
	requestsAtOnce   = 60
	sessionsASecond  = 0.2 // each is told of as a peer that goes and comes, which is kept for ever
	sessionsAtOnce   = 8
	maxRemembered    = 4096     // peers whose rate is remembered
	maxLargeBytes    = 32 << 20 // taken in at once of members, and as much of all others
	maxLargeAtOnce   = 4        // the same in blocks
	maxLargeOfOne    = 1        // of one who is no member
	maxLargeOfMember = 2        // a member's two last, when it makes one after the other
	blocksWaiting    = 4        // large blocks that wait to be announced to one peer
	rememberedBlocks = 1024
)

// limits counts what peers ask for.
type limits struct {
	mu      sync.Mutex
	peers   map[libp2p.ID]*allowance
	members int // served now
	others  int
}

// allowance is what one peer has.
type allowance struct {
	rate     *rate.Limiter
	sessions *rate.Limiter
	streams  map[protocol.ID]int
	served   int
}

func newLimits() *limits { return &limits{peers: map[libp2p.ID]*allowance{}} }

// of returns a peer's allowance. Those who do nothing now make room for a new one: their
// rate begins again, which a peer gains nothing by, since each connection costs more.
func (l *limits) of(id libp2p.ID) *allowance {
	if a := l.peers[id]; a != nil {
		return a
	}
	if len(l.peers) >= maxRemembered {
		for other, a := range l.peers {
			if len(a.streams) == 0 {
				delete(l.peers, other)
			}
		}
	}
	a := &allowance{
		rate:     rate.NewLimiter(requestsASecond, requestsAtOnce),
		sessions: rate.NewLimiter(sessionsASecond, sessionsAtOnce),
		streams:  map[protocol.ID]int{},
	}
	l.peers[id] = a
	return a
}

// session reports whether a peer may open one more session now.
func (l *limits) session(id libp2p.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(id).sessions.Allow()
}

// verdict on one more stream.
type verdict uint8

const (
	served verdict = iota
	tooMany
	tooOften
	busy
)

// stream takes in one more stream; done must be called for one that is served. Members are
// served whatever others ask for: who reads an answer slowly is served for minutes.
func (l *limits) stream(id libp2p.ID, member bool, p protocol.ID) (v verdict, done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, all := l.of(id), &l.others
	if member {
		all = &l.members
	}
	switch {
	case a.streams[p] >= streamsOfPeer:
		return tooMany, nil
	case !a.rate.Allow():
		return tooOften, nil
	case *all >= servedAtOnce || !member && a.served >= servedOfPeer:
		return busy, nil
	}
	a.streams[p]++
	a.served++
	*all++
	return served, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		*all--
		a.served--
		if a.streams[p]--; a.streams[p] == 0 {
			delete(a.streams, p)
		}
	}
}
