package peers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// DefaultLimit and MaxLimit bound a list of peers.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Query asks for peers: connected ones first, members before others, then by score.
type Query struct {
	Connected bool  `json:"connected,omitempty" doc:"only those that are connected"`
	Limit     int   `json:"limit,omitempty" doc:"at most so many, 1 to 1000; 0 for 100"`
	Now       int64 `json:"now,omitempty" doc:"Unix milliseconds that scores and bans are computed to; 0 for the clock's"`
}

// List answers a query.
type List struct {
	AsOf      uint64 `json:"asOf" doc:"event of the journal up to which the answer holds"`
	Connected int    `json:"connected" doc:"how many peers are connected"`
	Members   int    `json:"members" doc:"how many distinct members are, this node not counted"`
	Legacy    int    `json:"legacy" doc:"how many of the connected peers speak legacy's protocols only"`
	Known     int    `json:"known" doc:"how many peers are known that are not connected"`
	Peers     []Peer `json:"peers" doc:"the peers"`
}

// Peer is what is known of a peer.
type Peer struct {
	Peer      string   `json:"peer" doc:"peer id"`
	Address   string   `json:"address,omitempty" doc:"multiaddr of the connection, or of the last one"`
	Connected bool     `json:"connected" doc:"it is connected now"`
	Inbound   bool     `json:"inbound" doc:"it connected to this node"`
	Kind      string   `json:"kind" doc:"member, ours, or legacy"`
	Authority *uint32  `json:"authority,omitempty" doc:"of a member: its index among the authorities"`
	Agent     string   `json:"agent,omitempty" doc:"program and version"`
	Protocol  uint32   `json:"protocol,omitempty" doc:"version of our protocol"`
	Score     string   `json:"score" doc:"points, with three decimals"`
	Banned    string   `json:"banned,omitempty" doc:"until when, RFC 3339, or \"for ever\""`
	Head      *Block   `json:"head,omitempty" doc:"the head it told last"`
	Finalized *Block   `json:"finalized,omitempty" doc:"the finalised block it told last"`
	RttMs     uint32   `json:"rttMs,omitempty" doc:"round trip, milliseconds"`
	Met       string   `json:"met" doc:"when it was met, RFC 3339"`
	Since     string   `json:"since,omitempty" doc:"when it connected last, RFC 3339"`
	Left      string   `json:"left,omitempty" doc:"when it left last, RFC 3339"`
	Reason    string   `json:"reason,omitempty" doc:"why it left"`
	Joins     uint64   `json:"joins" doc:"how often it connected"`
	Acts      []Act    `json:"acts" doc:"what it did, by kind"`
	History   []Change `json:"history,omitempty" doc:"newest first, of a single peer only"`

	score int64
}

// Block is a block by root and height.
type Block struct {
	Root   string `json:"root" doc:"root of the block"`
	Number uint64 `json:"number" doc:"its height"`
}

// Act is how often a peer did something.
type Act struct {
	Kind   string `json:"kind" doc:"as in docs/peer-scores.md"`
	Count  uint32 `json:"count" doc:"how often"`
	Detail string `json:"detail,omitempty" doc:"of the last time"`
}

// Change is one entry of a peer's history.
type Change struct {
	Time     string `json:"time" doc:"RFC 3339"`
	What     string `json:"what" doc:"joined, left, scored, banned or unbanned"`
	Score    string `json:"score" doc:"points after it"`
	Acts     []Act  `json:"acts,omitempty" doc:"what led to the score"`
	Until    string `json:"until,omitempty" doc:"of a ban, RFC 3339, or \"for ever\""`
	Reason   string `json:"reason,omitempty" doc:"why"`
	Operator bool   `json:"operator,omitempty" doc:"an operator's decision"`
}

// Ban is one ban in force.
type Ban struct {
	Peer     string `json:"peer,omitempty" doc:"peer id"`
	Address  string `json:"address,omitempty" doc:"IP address"`
	Since    string `json:"since" doc:"RFC 3339"`
	Until    string `json:"until" doc:"RFC 3339, or \"for ever\""`
	Reason   string `json:"reason" doc:"why; score when its acts led to it"`
	Operator bool   `json:"operator" doc:"an operator's decision"`
}

// Bans are the bans in force.
type Bans struct {
	AsOf uint64 `json:"asOf" doc:"event of the journal up to which the answer holds"`
	Bans []Ban  `json:"bans" doc:"the bans, by peer id and address"`
}

// Peers lists peers.
func (s *Store) Peers(q Query) (*List, error) {
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		return nil, fault.New(fault.Invalid, "limit %d: give 1 to %d", q.Limit, MaxLimit)
	}
	now := at(q.Now)
	l := &List{Peers: []Peer{}}
	err := s.store.View(func(r derived.Reader, p derived.Position) error {
		l.AsOf = p.Head.Sequence
		bans, err := bansOf(r)
		if err != nil {
			return err
		}
		members := make(map[uint32]bool)
		prefix := []byte{prefixPeer}
		var bad error
		err = r.Scan(prefix, after(prefix), false, func(key, value []byte) bool {
			k := &known{}
			if bad = record.Decode(value, k, nil); bad != nil {
				return false
			}
			l.count(k, members)
			if k.Connected || !q.Connected {
				l.Peers = append(l.Peers, k.view(string(key[1:]), now, bans))
			}
			return true
		})
		if bad != nil {
			return derived.Damaged(bad, "record of peers: a peer")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(l.Peers, func(a, b Peer) int {
		return cmp.Or(-boolean(a.Connected, b.Connected), cmp.Compare(rank(&a), rank(&b)), cmp.Compare(b.score, a.score), cmp.Compare(b.Since, a.Since), cmp.Compare(a.Peer, b.Peer))
	})
	l.Peers = l.Peers[:min(len(l.Peers), q.Limit)]
	return l, nil
}

func boolean(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// rank has members first, by their authority, and legacy peers last.
func rank(p *Peer) uint64 {
	switch {
	case p.Authority != nil:
		return uint64(*p.Authority)
	case p.Kind == "legacy":
		return 1 << 33
	}
	return 1 << 32
}

func (l *List) count(k *known, members map[uint32]bool) {
	if !k.Connected {
		l.Known++
		return
	}
	l.Connected++
	if k.Legacy {
		l.Legacy++
	}
	if k.HasAuthority && !members[k.Authority] {
		members[k.Authority] = true
		l.Members++
	}
}

// Stopped makes the answer one of a node that does not run: nobody is connected to it.
func (l *List) Stopped() {
	l.Known += l.Connected
	l.Connected, l.Members, l.Legacy = 0, 0, 0
	for i := range l.Peers {
		l.Peers[i].Connected = false
	}
}

// Peer returns one peer with its history, nil when it was never met. now is as in [Query].
func (s *Store) Peer(id string, now int64) (*Peer, error) {
	var found *Peer
	err := s.store.View(func(r derived.Reader, _ derived.Position) error {
		raw, err := r.Get(keyPeer(id))
		if err != nil || raw == nil {
			return err
		}
		k := &known{}
		if err := record.Decode(raw, k, nil); err != nil {
			return derived.Damaged(err, "record of peers: peer "+id)
		}
		bans, err := bansOf(r)
		if err != nil {
			return err
		}
		p := k.view(id, at(now), bans)
		prefix := historyOf(id)
		var bad error
		err = r.Scan(prefix, after(prefix), true, func(_, value []byte) bool {
			c := &change{}
			if bad = record.Decode(value, c, nil); bad != nil {
				return false
			}
			p.History = append(p.History, c.view())
			return true
		})
		if bad != nil {
			return derived.Damaged(bad, "record of peers: history of "+id)
		}
		found = &p
		return err
	})
	return found, err
}

// Bans lists the bans in force. now is as in [Query].
func (s *Store) Bans(now int64) (*Bans, error) {
	out := &Bans{Bans: []Ban{}}
	err := s.store.View(func(r derived.Reader, p derived.Position) error {
		out.AsOf = p.Head.Sequence
		bans, err := bansOf(r)
		for _, b := range bans {
			if !b.over(at(now)) {
				out.Bans = append(out.Bans, Ban{
					Peer: b.peer, Address: b.address, Since: date(b.Since), Until: until(b.Until), Reason: b.Reason, Operator: b.Operator,
				})
			}
		}
		return err
	})
	return out, err
}

// named is a ban with whom it is of.
type named struct {
	ban
	peer, address string
}

func (b *named) over(now int64) bool { return b.Until != 0 && b.Until <= now }

func bansOf(r derived.Reader) (bans []named, err error) {
	prefix := []byte{prefixBan}
	var bad error
	err = r.Scan(prefix, after(prefix), false, func(key, value []byte) bool {
		var b named
		if len(key) < 2 {
			bad = fmt.Errorf("key %x", key)
			return false
		}
		if bad = record.Decode(value, &b.ban, nil); bad != nil {
			return false
		}
		if key[1] == 'p' {
			b.peer = string(key[2:])
		} else {
			b.address = string(key[2:])
		}
		bans = append(bans, b)
		return true
	})
	if bad != nil {
		return nil, derived.Damaged(bad, "record of peers: a ban")
	}
	return bans, err
}

func (k *known) view(id string, now int64, bans []named) Peer {
	k.Score, _ = conduct.Decay(k.Score, k.ScoredAt, now)
	p := Peer{
		Peer: id, Address: k.Address, Connected: k.Connected, Inbound: k.Inbound, Agent: k.Agent, Protocol: k.Protocol,
		Kind: "ours", Score: points(k.Score), score: k.Score, Head: block(k.Head), Finalized: block(k.Finalized), RttMs: k.RttMs,
		Met: date(k.First), Since: date(k.Since), Left: date(k.Left), Reason: k.Reason, Joins: k.Joins, Acts: actsOf(k.Acts),
	}
	switch {
	case k.HasAuthority:
		p.Kind, p.Authority = "member", &k.Authority
	case k.Legacy:
		p.Kind = "legacy"
	case k.Joins == 0:
		p.Kind = "unknown"
	}
	for i := range bans {
		if bans[i].peer == id && !bans[i].over(now) {
			p.Banned = until(bans[i].Until)
		}
	}
	return p
}

func block(b *message.BlockID) *Block {
	if b == nil {
		return nil
	}
	return &Block{b.Root.Hex(), b.Number}
}

func actsOf(acts []message.PeerAct) []Act {
	out := make([]Act, 0, len(acts))
	for _, a := range acts {
		out = append(out, Act{a.Kind, a.Count, a.Detail})
	}
	return out
}

var changeNames = map[uint8]string{changeJoined: "joined", changeLeft: "left", changeScored: "scored", changeBanned: "banned", changeUnbanned: "unbanned"}

func (c *change) view() Change {
	v := Change{Time: date(c.Time), What: changeNames[c.Kind], Score: points(c.Score), Reason: c.Reason, Operator: c.Operator}
	if len(c.Acts) > 0 {
		v.Acts = actsOf(c.Acts)
	}
	if c.Kind == changeBanned {
		v.Until = until(c.Until)
	}
	return v
}

// points shows thousandths of a point.
func points(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%03d", sign, v/1000, v%1000)
}

func at(now int64) int64 {
	if now == 0 {
		return time.Now().UnixMilli()
	}
	return now
}

func date(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

func until(ms int64) string {
	if ms == 0 {
		return "for ever"
	}
	return date(ms)
}
