package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Kinds of peers.
const (
	memberPeer = "member"
	oursPeer   = "ours"
	legacyPeer = "legacy"
)

// peers holds our metrics of peers.
type peers struct {
	connected *prometheus.GaugeVec
	acts      counter
	scores    histogram
	bans      counter
	ranges    counter

	kinds map[string]string // of the connected peers, by peer id; as many as the network actor keeps
}

func (s *Set) registerPeers() {
	p := &s.peers
	p.kinds = make(map[string]string)
	p.connected = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "p2p_peers", Help: "Connected peers."}, []string{"kind"})
	s.registry.MustRegister(p.connected)
	kinds := label{name: "kind", values: []string{memberPeer, oursPeer, legacyPeer}}
	for _, k := range kinds.values {
		p.connected.WithLabelValues(k)
	}
	acts := label{name: "kind"}
	for _, w := range conduct.Weights() {
		acts.values = append(acts.values, w.Kind)
	}
	p.acts = s.counter("p2p_acts_total", "What peers did, good and bad, by kind.", acts)
	p.scores = s.histogram("p2p_score_points", "Scores of peers whenever one is told.", []float64{-100, -50, -20, -10, -1, 0, 1, 10, 20, 50})
	p.bans = s.counter("p2p_bans_total", "Bans of peers and addresses.", label{"by", []string{"score", "operator"}})
	p.ranges = s.counter("p2p_range_requests_total", "Ranges of blocks that peers were asked for.", status(success, failed))
}

// fact counts what the network actor tells. s is for legacy's metrics.
func (p *peers) fact(s *Set, m any) {
	switch m := m.(type) {
	case *message.PeerJoined:
		p.left(m.Peer)
		kind := oursPeer
		switch {
		case m.HasAuthority:
			kind = memberPeer
		case m.Legacy:
			kind = legacyPeer
		}
		p.kinds[m.Peer] = kind
		p.connected.WithLabelValues(kind).Inc()
	case *message.PeerLeft:
		p.left(m.Peer)
	case *message.PeerScored:
		p.scores.observe(float64(m.Score) / 1000)
		for _, a := range m.Acts {
			p.acts.add(int(a.Count), a.Kind)
		}
		return
	case *message.PeerBanned:
		by := "score"
		if m.Operator {
			by = "operator"
		}
		p.bans.inc(by)
		return
	default:
		return
	}
	s.legacy.discoveredPeers.Set(float64(len(p.kinds)))
}

func (p *peers) left(id string) {
	if kind, ok := p.kinds[id]; ok {
		delete(p.kinds, id)
		p.connected.WithLabelValues(kind).Dec()
	}
}

// ranged counts the answer to a request for a range.
func (p *peers) ranged(s *Set, ok bool) {
	p.ranges.inc(outcome(ok))
	s.legacy.syncing.inc(unbounded, outcome(ok))
}
