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

// buckets holds the token buckets of peers, the latest of them.
type buckets struct {
	now func() time.Time
	mu  sync.Mutex
	of  lru.BasicLRU[string, map[string]*rate.Limiter]
}

func newBuckets(now func() time.Time) *buckets {
	return &buckets{now: now, of: lru.NewBasicLRU[string, map[string]*rate.Limiter](maxPeers)}
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
