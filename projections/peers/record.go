package peers

import (
	"encoding/binary"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of the store.
const (
	MaxKnown   = 4096 // peers that are not connected
	MaxHistory = 64   // changes of each peer
)

// Prefixes of keys.
const (
	prefixPeer    = 'p' // peer id -> peer
	prefixLeft    = 'l' // time left, peer id -> nothing; of those that are not connected
	prefixHistory = 'h' // peer id, zero byte, sequence, output -> change
	prefixBan     = 'b' // subject -> ban
)

// keyCounts is where the number of peers that are not connected is.
var keyCounts = []byte("n")

func keyPeer(id string) []byte { return append([]byte{prefixPeer}, id...) }

func keyLeft(at int64, id string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{prefixLeft}, uint64(at)), id...)
}

// historyOf begins the keys of a peer's history. A peer id is base58 and has no zero byte.
func historyOf(id string) []byte { return append(append([]byte{prefixHistory}, id...), 0) }

func keyHistory(id string, sequence uint64, output uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(historyOf(id), sequence), output)
}

func keyBan(peer, address string) []byte {
	if peer != "" {
		return append([]byte{prefixBan, 'p'}, peer...)
	}
	return append([]byte{prefixBan, 'a'}, address...)
}

// after is the first key that does not begin with a prefix, whose last byte is not 0xff.
func after(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	end[len(end)-1]++
	return end
}

// known is what the store has of one peer.
type known struct {
	Address      string
	Inbound      bool
	Legacy       bool
	Agent        string
	HasAuthority bool
	Authority    uint32
	Connected    bool
	First        int64 // Unix milliseconds, when it was met
	Since        int64 // when it connected last
	Left         int64 // when it left last; 0 while connected
	Reason       string
	Joins        uint64
	Score        int64 // at ScoredAt
	ScoredAt     int64
	Acts         []message.PeerAct // all of them, by kind
	Head         *message.BlockID
	Finalized    *message.BlockID
	RttMs        uint32
	Changes      uint64 // in the history, those that were dropped included
	Protocol     uint32
}

// Fields implements record.Record.
func (k *known) Fields(f *record.Fields) {
	f.String(1, &k.Address)
	f.Bool(2, &k.Inbound)
	f.Bool(3, &k.Legacy)
	f.String(4, &k.Agent)
	f.Bool(5, &k.HasAuthority)
	f.Uint32(6, &k.Authority)
	f.Bool(7, &k.Connected)
	f.Int64(8, &k.First)
	f.Int64(9, &k.Since)
	f.Int64(10, &k.Left)
	f.String(11, &k.Reason)
	f.Uint64(12, &k.Joins)
	f.Int64(13, &k.Score)
	f.Int64(14, &k.ScoredAt)
	record.List(f, 15, &k.Acts)
	record.Optional(f, 16, &k.Head)
	record.Optional(f, 17, &k.Finalized)
	f.Uint32(18, &k.RttMs)
	f.Uint64(19, &k.Changes)
	f.Uint32(20, &k.Protocol)
}

// Kinds of changes.
const (
	changeJoined uint8 = iota + 1
	changeLeft
	changeScored
	changeBanned
	changeUnbanned
)

// change is one entry of a peer's history.
type change struct {
	Time     int64
	Kind     uint8
	Score    int64
	Acts     []message.PeerAct
	Until    int64 // of a ban; 0 is for ever
	Reason   string
	Operator bool
}

// Fields implements record.Record.
func (c *change) Fields(f *record.Fields) {
	f.Int64(1, &c.Time)
	f.Uint8(2, &c.Kind)
	f.Int64(3, &c.Score)
	record.List(f, 4, &c.Acts)
	f.Int64(5, &c.Until)
	f.String(6, &c.Reason)
	f.Bool(7, &c.Operator)
}

// ban is one ban in force.
type ban struct {
	Since    int64
	Until    int64
	Reason   string
	Operator bool
}

// Fields implements record.Record.
func (b *ban) Fields(f *record.Fields) {
	f.Int64(1, &b.Since)
	f.Int64(2, &b.Until)
	f.String(3, &b.Reason)
	f.Bool(4, &b.Operator)
}

// counts are what is counted over all peers.
type counts struct{ Away uint64 }

// Fields implements record.Record.
func (c *counts) Fields(f *record.Fields) { f.Uint64(1, &c.Away) }
