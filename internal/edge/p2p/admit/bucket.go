package admit

import (
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common/lru"
	"golang.org/x/time/rate"

	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
)

// allowance is how often a peer may bring something new on a topic. Gossip of a
// federation of 15 with slots of a second is one block, fifteen approvals and as
// many copies of the block a second; each costs one signature check.
type allowance struct {
	rate  rate.Limit
	burst int
}

var allowances = map[string]allowance{
	gossip.TopicConsensusBlock:   {20, 200},
	gossip.TopicApproveBlock:     {60, 400},
	gossip.TopicQueuePow:         {2, 20},
	gossip.TopicPegoutSignatures: {10, 100},
}

// unproven is how much is taken in of all peers together of what anybody can make without
// end: signatures of payments and proofs of work that cannot be judged here, and approvals
// of blocks that were not heard of, which may be any old ones. It is below what one peer is
// allowed, so that a node that passes on what many strangers send is not taken for one that
// sends too much; and it bounds what strangers add to the journal. What is dropped is asked
// for again.
var unproven = map[string]allowance{
	gossip.TopicApproveBlock:     {30, 200},
	gossip.TopicQueuePow:         {1, 10},
	gossip.TopicPegoutSignatures: {5, 50},
}

// unprovenBytes is the same for their bytes.
var unprovenBytes = allowance{16 << 10, 1 << 20}

// buckets holds the token buckets of peers, the latest of them, and those of all together.
type buckets struct {
	now   func() time.Time
	all   map[string]*rate.Limiter
	bytes *rate.Limiter

	mu sync.Mutex
	of lru.BasicLRU[string, map[string]*rate.Limiter]
}

func newBuckets(now func() time.Time) *buckets {
	b := &buckets{
		now: now, of: lru.NewBasicLRU[string, map[string]*rate.Limiter](maxPeers),
		all: make(map[string]*rate.Limiter, len(unproven)), bytes: rate.NewLimiter(unprovenBytes.rate, unprovenBytes.burst),
	}
	for topic, a := range unproven {
		b.all[topic] = rate.NewLimiter(a.rate, a.burst)
	}
	return b
}

// takeUnproven reports whether there is room for one more that nothing is known of.
func (b *buckets) takeUnproven(topic string, size int) bool {
	limiter := b.all[topic]
	return limiter != nil && limiter.AllowN(b.now(), 1) && b.bytes.AllowN(b.now(), size)
}

// take reports whether a peer may bring one more.
func (b *buckets) take(peer, topic string) bool {
	a, ok := allowances[topic]
	if !ok {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	of, ok := b.of.Get(peer)
	if !ok {
		of = make(map[string]*rate.Limiter, len(allowances))
		b.of.Add(peer, of)
	}
	limiter := of[topic]
	if limiter == nil {
		limiter = rate.NewLimiter(a.rate, a.burst)
		of[topic] = limiter
	}
	return limiter.AllowN(b.now(), 1)
}
