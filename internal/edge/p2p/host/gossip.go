package host

import (
	"context"
	"errors"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
)

// Message is one gossip message.
type Message struct {
	Topic  string
	Data   []byte
	From   peer.ID // who handed it to us
	Author peer.ID // who signed it: From, or somebody behind
	// Value is what Judge made of Data, for Heard.
	Value any
}

// Verdict says what becomes of a message.
type Verdict int

// The verdicts of Judge.
const (
	Accept Verdict = iota // forwarded, and given to Heard
	Keep                  // given to Heard only
	Ignore                // neither; nobody is to blame
	Reject                // neither, and From's standing in the mesh falls
)

// How gossip is kept up. Legacy's heartbeat is ten seconds and it asks
// for what it hears of within three of them, so history has to last for more than
// thirty seconds; it remembers ids for sixty. (wire.md 9.2, 9.7)
const (
	heartbeat     = time.Second
	historyLength = 60
	historyGossip = 12
	seenFor       = 2 * time.Minute
	pruneBackoff  = time.Minute
	fanoutFor     = time.Minute
	lazyPeers     = 6
)

// Bounds of what waits to be judged, and to be heard.
const (
	judgeThrottle  = 512
	judgePerTopic  = 128
	waitingToHear  = 256
	waitingKept    = 64
	outboundQueue  = 128
	maxSubscribing = 16 // topics a peer may name at once
)

// openGossip joins legacy's topics.
func (h *Host) openGossip(ctx context.Context) error {
	params := pubsub.DefaultGossipSubParams()
	params.HeartbeatInterval, params.HistoryLength, params.HistoryGossip = heartbeat, historyLength, historyGossip
	params.PruneBackoff, params.FanoutTTL, params.Dlazy = pruneBackoff, fanoutFor, lazyPeers
	topics := gossip.Topics()
	var err error
	h.gossip, err = pubsub.NewGossipSub(ctx, h.net,
		pubsub.WithGossipSubProtocols([]protocol.ID{pubsub.GossipSubID_v11, pubsub.GossipSubID_v10}, pubsub.GossipSubDefaultFeatures),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return gossip.MessageID(m.GetData()) }),
		pubsub.WithMaxMessageSize(gossip.MaxLegacySize),
		pubsub.WithGossipSubParams(params),
		pubsub.WithFloodPublish(true),
		pubsub.WithPeerExchange(false),
		pubsub.WithSeenMessagesTTL(seenFor),
		pubsub.WithPeerScore(meshScore(topics)),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topics...), maxSubscribing)),
		pubsub.WithValidateThrottle(judgeThrottle),
		pubsub.WithPeerOutboundQueueSize(outboundQueue),
	)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "starting gossip")
	}
	h.running.Go(func() { h.hearKept(ctx) })
	h.topics = make(map[string]*pubsub.Topic, len(topics))
	for _, name := range topics {
		if err := h.join(ctx, name); err != nil {
			return fault.Wrap(fault.Fatal, err, "joining topic "+name)
		}
	}
	return nil
}

func (h *Host) join(ctx context.Context, name string) error {
	if err := h.gossip.RegisterTopicValidator(name, h.validate, pubsub.WithValidatorConcurrency(judgePerTopic)); err != nil {
		return err
	}
	topic, err := h.gossip.Join(name)
	if err != nil {
		return err
	}
	h.topics[name] = topic
	sub, err := topic.Subscribe(pubsub.WithBufferSize(waitingToHear))
	if err != nil {
		return err
	}
	h.running.Go(func() { h.hear(ctx, sub) })
	return nil
}

// validate asks Judge. Our own messages were judged by [Host.Publish]'s caller.
func (h *Host) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == h.net.ID() {
		return pubsub.ValidationAccept
	}
	msg := &Message{Topic: m.GetTopic(), Data: m.GetData(), From: from, Author: m.GetFrom()}
	switch h.opt.Judge(msg) {
	case Accept:
		m.ValidatorData = msg
		return pubsub.ValidationAccept
	case Keep:
		select {
		case h.kept <- msg:
		default: // as a subscription that is full
		}
		return pubsub.ValidationIgnore
	case Ignore:
		return pubsub.ValidationIgnore
	default:
		return pubsub.ValidationReject
	}
}

func (h *Host) hear(ctx context.Context, sub *pubsub.Subscription) {
	defer sub.Cancel()
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			return
		}
		if msg, ok := m.ValidatorData.(*Message); ok {
			h.opt.Heard(ctx, msg)
		}
	}
}

// hearKept gives what is not forwarded to Heard.
func (h *Host) hearKept(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-h.kept:
			h.opt.Heard(ctx, m)
		}
	}
}

// Listeners returns how many connected peers take messages on a topic.
func (h *Host) Listeners(topic string) int {
	if t := h.topics[topic]; t != nil {
		return len(t.ListPeers())
	}
	return 0
}

// Publish gossips a message. Errors: Invalid for another topic than legacy's and for
// data above [gossip.MaxData], which legacy would not get; Temporary when gossip does
// not take it now.
func (h *Host) Publish(ctx context.Context, topic string, data []byte) error {
	t := h.topics[topic]
	switch {
	case t == nil:
		return fault.New(fault.Invalid, "topic %q is none of the network's: nothing is published", topic)
	case len(data) > gossip.MaxData:
		return fault.New(fault.Invalid, "message of %d bytes on %s: legacy's frame holds %d, nothing is published", len(data), topic, gossip.MaxData)
	}
	err := t.Publish(ctx, data)
	if errors.Is(err, pubsub.ErrTopicClosed) {
		return fault.Wrap(fault.Temporary, err, "the host is closed")
	}
	return fault.Wrap(fault.Temporary, err, "publishing on "+topic)
}
