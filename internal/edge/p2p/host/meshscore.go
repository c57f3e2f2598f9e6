package host

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Standing in the mesh, by which gossip chooses whom it exchanges messages with. It is
// apart from the score of the network actor, which decides who is talked to at all.
const (
	// One rejected message costs its square times this weight: four make the peer
	// lose gossip, eight the mesh, and twelve are not even read.
	rejectedWeight = -5
	rejectedHalf   = 0.97 // a second: forgotten to a tenth after about 75
	gossipBelow    = -80
	publishBelow   = -320
	graylistBelow  = -720

	penaltyWeight    = -5 // for grafts within a back-off, and promises not kept
	penaltyThreshold = 6
	penaltyDecay     = 0.97

	topicWeight    = 1
	firstWeight    = 0.5 // for each message that a peer brought first
	firstDecay     = 0.99
	firstCap       = 40
	positiveCap    = 60
	rememberScores = 10 * time.Minute
)

// meshScore returns per-topic scoring that punishes rejected messages and rewards those
// brought first. Deliveries that did not come are not punished: a topic may be silent
// for as long as there is no work or no payment. Nor are addresses shared by several
// peers, as behind one router or on one machine.
func meshScore(topics []string) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	params := &pubsub.PeerScoreParams{
		Topics:                    make(map[string]*pubsub.TopicScoreParams, len(topics)),
		TopicScoreCap:             positiveCap,
		AppSpecificScore:          func(peer.ID) float64 { return 0 },
		BehaviourPenaltyWeight:    penaltyWeight,
		BehaviourPenaltyThreshold: penaltyThreshold,
		BehaviourPenaltyDecay:     penaltyDecay,
		DecayInterval:             time.Second,
		DecayToZero:               0.01,
		RetainScore:               rememberScores,
		SeenMsgTTL:                seenFor,
	}
	for _, name := range topics {
		params.Topics[name] = &pubsub.TopicScoreParams{
			TopicWeight:                    topicWeight,
			TimeInMeshQuantum:              time.Second,
			FirstMessageDeliveriesWeight:   firstWeight,
			FirstMessageDeliveriesDecay:    firstDecay,
			FirstMessageDeliveriesCap:      firstCap,
			InvalidMessageDeliveriesWeight: rejectedWeight,
			InvalidMessageDeliveriesDecay:  rejectedHalf,
		}
	}
	return params, &pubsub.PeerScoreThresholds{
		GossipThreshold: gossipBelow, PublishThreshold: publishBelow, GraylistThreshold: graylistBelow,
		AcceptPXThreshold: 1 << 20, OpportunisticGraftThreshold: 1,
	}
}
