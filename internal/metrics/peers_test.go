package metrics_test

import (
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/metrics"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Peers are counted by kind while they are connected, however often one is told of.
func TestPeers(t *testing.T) {
	s := metrics.New()
	for _, m := range []core.Message{
		&message.PeerJoined{Peer: "a"}, &message.PeerJoined{Peer: "b", Legacy: true}, &message.PeerJoined{Peer: "c", HasAuthority: true},
		&message.PeerJoined{Peer: "a", HasAuthority: true}, &message.PeerLeft{Peer: "b"}, &message.PeerLeft{Peer: "b"}, &message.PeerLeft{Peer: "never"},
		&message.PeerScored{Peer: "a", Score: -3_000, Acts: []message.PeerAct{{Kind: message.ActGap, Count: 2}, {Kind: "no such kind", Count: 5}}},
		&message.PeerBanned{Peer: "d"}, &message.PeerBanned{Address: "1.2.3.4", Operator: true},
	} {
		s.Fact(m)
	}
	s.Answered("peers", &message.FetchRange{}, &message.RangeFetched{}, time.Second)
	s.Answered("peers", &message.FetchRange{}, &message.RangeFailed{}, time.Second)
	for name, want := range map[string]float64{
		`p2p_peers{kind=member}`: 2, `p2p_peers{kind=ours}`: 0, `p2p_peers{kind=legacy}`: 0,
		`chain_discovered_peers`: 2, `p2p_acts_total{kind=gap}`: 2, `p2p_acts_total{kind=other}`: 5, `p2p_score_points`: 1,
		`p2p_bans_total{by=score}`: 1, `p2p_bans_total{by=operator}`: 1,
		`p2p_range_requests_total{status=success}`: 1, `p2p_range_requests_total{status=failed}`: 1,
		`chain_syncing_operation_totals{start_height=any,status=failed}`: 1,
	} {
		if have := sample(t, s, name); have != want {
			t.Errorf("%s is %v, want %v", name, have, want)
		}
	}
}
