package p2p

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// reportEvery is how often peers are reported at most. ([message.PeersReported])
const reportEvery = time.Second

// maxTold bounds what waits to be told of connections that come and go.
const maxTold = 1024

// reports tells of peers in order: that they are there, what they did, that they are
// gone. Acts of those who are not there are not told: whoever is nobody cannot have a
// score.
type reports struct {
	deliver func(context.Context, Message) error
	log     *slog.Logger
	queue   chan Message  // PeerConnected and PeerGone
	ended   chan struct{} // closed when nobody takes from queue any more

	mu      sync.Mutex
	present map[string]*message.PeerReport
	changed map[string]bool
}

func newReports(deliver func(context.Context, Message) error, log *slog.Logger) *reports {
	return &reports{deliver: deliver, log: log, queue: make(chan Message, maxTold), ended: make(chan struct{}), present: map[string]*message.PeerReport{}, changed: map[string]bool{}}
}

func (r *reports) connected(m *message.PeerConnected) {
	r.mu.Lock()
	r.present[m.Peer] = &message.PeerReport{Peer: m.Peer}
	r.mu.Unlock()
	r.enqueue(m)
}

func (r *reports) enqueue(m Message) {
	select {
	case r.queue <- m:
	case <-r.ended:
	}
}

func (r *reports) gone(id, reason string) {
	r.mu.Lock()
	_, there := r.present[id]
	delete(r.present, id)
	delete(r.changed, id)
	r.mu.Unlock()
	if there {
		r.enqueue(&message.PeerGone{Peer: id, Reason: reason})
	}
}

// act counts what a peer did.
func (r *reports) act(id, kind, detail string) {
	r.update(id, func(p *message.PeerReport) {
		for i := range p.Acts {
			if p.Acts[i].Kind == kind {
				p.Acts[i].Count++
				p.Acts[i].Detail = detail
				return
			}
		}
		p.Acts = append(p.Acts, message.PeerAct{Kind: kind, Count: 1, Detail: detail})
	})
}

// update changes what is reported next of a peer that is there.
func (r *reports) update(id string, change func(*message.PeerReport)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.present[id]; p != nil {
		change(p)
		r.changed[id] = true
	}
}

// take returns what changed since the last time, nil when nothing did.
func (r *reports) take() *message.PeersReported {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changed) == 0 {
		return nil
	}
	m := &message.PeersReported{Peers: make([]message.PeerReport, 0, len(r.changed))}
	for id := range r.changed {
		m.Peers = append(m.Peers, *r.present[id])
		r.present[id] = &message.PeerReport{Peer: id}
	}
	clear(r.changed)
	slices.SortFunc(m.Peers, func(a, b message.PeerReport) int { return cmp.Compare(a.Peer, b.Peer) })
	for i := range m.Peers {
		slices.SortFunc(m.Peers[i].Acts, func(a, b message.PeerAct) int { return cmp.Compare(a.Kind, b.Kind) })
	}
	return m
}

// run tells until ctx ends.
func (r *reports) run(ctx context.Context) {
	defer close(r.ended)
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-r.queue:
			r.tell(ctx, m)
			continue
		case <-tick.C:
		}
		r.drain(ctx)
		if m := r.take(); m != nil {
			r.tell(ctx, m)
		}
	}
}

// drain tells of connections first: what is reported is of peers that are known.
func (r *reports) drain(ctx context.Context) {
	for {
		select {
		case m := <-r.queue:
			r.tell(ctx, m)
		default:
			return
		}
	}
}

func (r *reports) tell(ctx context.Context, m Message) {
	if err := r.deliver(ctx, m); err != nil && ctx.Err() == nil {
		r.log.Warn("what peers do is not told", "type", m.Type(), "error", err)
	}
}
