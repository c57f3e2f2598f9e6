package network

import (
	"strings"

	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of the state, whatever peers do.
const (
	maxPeers        = 1024 // connected at once
	maxStandings    = 4096 // remembered, connected ones included
	maxBans         = 1024 // by score
	maxOperatorBans = 1024 // by an operator; more are refused
	maxBook         = 256  // addresses of peers that are no members
	maxGuided       = 64   // of them told to the edge
	maxText         = 200  // bytes of a text that a peer wrote
)

// State is what the network actor remembers.
type State struct {
	pointers
	peers     *btree.Map[string, Peer]     // connected, by peer id
	standings *btree.Map[string, Standing] // by subject
	bans      *btree.Map[string, Ban]      // by subject
	book      *btree.Map[string, Entry]    // by what keeps its meaning longest: authority, peer id, address
}

type pointers struct {
	Configured   bool
	Peers        bool   // this node talks to others
	Members      uint32 // of the federation
	HasAuthority bool
	Authority    uint32
	Guiding      core.Ref // the newest request to the edge, while it is not answered
	GuidedAt     int64    // Unix milliseconds
	BookChanged  bool     // since then
	BansChanged  bool
}

// Fields implements record.Record.
func (p *pointers) Fields(f *record.Fields) {
	f.Bool(1, &p.Configured)
	f.Bool(2, &p.Peers)
	f.Uint32(3, &p.Members)
	f.Bool(4, &p.HasAuthority)
	f.Uint32(5, &p.Authority)
	f.Uint64(6, &p.Guiding.Sequence)
	f.Uint32(7, &p.Guiding.Index)
	f.Int64(8, &p.GuidedAt)
	f.Bool(9, &p.BookChanged)
	f.Bool(10, &p.BansChanged)
}

// Peer is a connected peer.
type Peer struct {
	Subject      string // of its standing
	Address      string
	Listen       string
	Inbound      bool
	Legacy       bool
	HasAuthority bool
	Authority    uint32
	Head         *message.BlockID // replaced as a whole, never changed in place
	Finalized    *message.BlockID
	HeadAt       uint64 // sequence of the turn that told Head
	RttMs        uint32
	Since        int64 // Unix milliseconds
	Sent         int64 // score that the sync actor was told
	Closing      bool  // the edge was asked to disconnect it
}

// Fields implements record.Record.
func (p *Peer) Fields(f *record.Fields) {
	f.String(1, &p.Subject)
	f.String(2, &p.Address)
	f.String(3, &p.Listen)
	f.Bool(4, &p.Inbound)
	f.Bool(5, &p.Legacy)
	f.Bool(6, &p.HasAuthority)
	f.Uint32(7, &p.Authority)
	record.Optional(f, 8, &p.Head)
	record.Optional(f, 9, &p.Finalized)
	f.Uint64(10, &p.HeadAt)
	f.Uint32(11, &p.RttMs)
	f.Int64(12, &p.Since)
	f.Int64(13, &p.Sent)
	f.Bool(14, &p.Closing)
}

// Standing is the reputation of a subject: of a peer of ours by its id, of a legacy peer by
// its IP address, for its id is another after every restart (wire.md 9.1).
type Standing struct {
	Score        int64 // at At
	At           int64 // Unix milliseconds; 0 for none yet
	Told         int64 // score that was last told as a fact
	Untold       []message.PeerAct
	Strikes      uint32 // bans by score
	BanEnds      int64  // of the last one
	HasAuthority bool   // it proved to be a member
	Seen         int64  // when it last connected or did something
}

// Fields implements record.Record.
func (s *Standing) Fields(f *record.Fields) {
	f.Int64(1, &s.Score)
	f.Int64(2, &s.At)
	f.Int64(3, &s.Told)
	record.List(f, 4, &s.Untold)
	f.Uint32(5, &s.Strikes)
	f.Int64(6, &s.BanEnds)
	f.Bool(7, &s.HasAuthority)
	f.Int64(8, &s.Seen)
}

// Ban is a ban in force.
type Ban struct {
	Until    int64 // Unix milliseconds; 0 is for ever
	Operator bool
}

// Fields implements record.Record.
func (b *Ban) Fields(f *record.Fields) {
	f.Int64(1, &b.Until)
	f.Bool(2, &b.Operator)
}

// Entry is an address at which a peer was reached, or says it can be.
type Entry struct {
	Peer         string // empty for a legacy peer
	Address      string
	HasAuthority bool
	Authority    uint32
	Seen         int64 // when it was last known to be right
}

// Fields implements record.Record.
func (e *Entry) Fields(f *record.Fields) {
	f.String(1, &e.Peer)
	f.String(2, &e.Address)
	f.Bool(3, &e.HasAuthority)
	f.Uint32(4, &e.Authority)
	f.Int64(5, &e.Seen)
}

func newState() *State {
	return &State{
		peers: new(btree.Map[string, Peer]), standings: new(btree.Map[string, Standing]),
		bans: new(btree.Map[string, Ban]), book: new(btree.Map[string, Entry]),
	}
}

// Clone implements core.State.
func (s *State) Clone() core.State {
	c := *s
	c.peers, c.standings, c.bans, c.book = s.peers.Copy(), s.standings.Copy(), s.bans.Copy(), s.book.Copy()
	return &c
}

// The sections of the state's entries: key "" is the pointers, others begin with one of these.
const (
	bookKeys     = "a"
	banKeys      = "b"
	peerKeys     = "p"
	standingKeys = "s"
)

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(&s.pointers)
	if err := yield(nil, value); err != nil {
		return err
	}
	if err := walk(s.book, bookKeys, yield); err != nil {
		return err
	}
	if err := walk(s.bans, banKeys, yield); err != nil {
		return err
	}
	if err := walk(s.peers, peerKeys, yield); err != nil {
		return err
	}
	return walk(s.standings, standingKeys, yield)
}

func walk[T any, P interface {
	*T
	record.Record
}](m *btree.Map[string, T], prefix string, yield func(key, value []byte) error) error {
	var err error
	m.Scan(func(key string, v T) bool {
		value, _ := record.Encode(P(&v))
		err = yield([]byte(prefix+key), value)
		return err == nil
	})
	return err
}

// Load implements core.State.
func (s *State) Load(key, value []byte, _ record.Resolver) error {
	if len(key) == 0 {
		return record.Decode(value, &s.pointers, nil)
	}
	switch name := string(key[1:]); string(key[:1]) {
	case bookKeys:
		return load(s.book, name, value)
	case banKeys:
		return load(s.bans, name, value)
	case peerKeys:
		return load(s.peers, name, value)
	case standingKeys:
		return load(s.standings, name, value)
	}
	return fault.New(fault.Corrupt, "network state has no entry %x", key)
}

func load[T any, P interface {
	*T
	record.Record
}](m *btree.Map[string, T], key string, value []byte) error {
	var v T
	if err := record.Decode(value, P(&v), nil); err != nil {
		return err
	}
	m.Set(key, v)
	return nil
}

// Subjects of standings and bans.
const (
	byPeer    = "peer/"
	byAddress = "address/"
)

func (p Peer) ip() string { return ipOf(p.Address) }

// ipOf returns the IP address of a multiaddr, "" when it does not begin with one.
func ipOf(multiaddr string) string {
	parts := strings.SplitN(multiaddr, "/", 4)
	if len(parts) < 3 || parts[0] != "" || parts[1] != "ip4" && parts[1] != "ip6" {
		return ""
	}
	return parts[2]
}

// subject names whose reputation a peer's acts belong to.
func subject(id string, legacy bool, address string) string {
	if ip := ipOf(address); legacy && ip != "" {
		return byAddress + ip
	}
	return byPeer + id
}
