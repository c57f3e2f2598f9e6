package sync

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// State is what the sync actor knows. It is bounded by the number of peers, which the network
// actor bounds, and by the window.
type State struct {
	pointers
	peers *btree.Map[string, *Peer]
	spans *btree.Map[uint64, *Span] // by first height; without a gap from Handed on
	asks  *btree.BTreeG[*Ask]       // that have no answer, by ref
}

// pointers is the part of the state that is one record.
type pointers struct {
	Active    bool   // this node talks to peers
	Quorum    uint32 // of the authorities
	Member    bool   // this node is one of them
	Head      message.BlockID
	Finalized message.BlockID
	Backlog   uint32
	Synced    bool

	Handed   message.BlockID // the last block handed on: the next stands on it
	Proven   message.BlockID // the last of those that a quorum vouches for
	HandedBy string          // who gave what was handed on last
	Guide    string          // the one peer that is asked, after a branch was left

	Now      int64 // milliseconds that this actor has counted; no step of a wall clock is in it
	Last     int64 // time of the last turn, Unix milliseconds
	Timer    core.Ref
	TimerAt  int64 // by Now, as all times of this state
	Moved    int64 // when head, backlog or Handed changed last
	Grew     int64 // when the head grew last
	Noticed  int64 // since when a peer of ours is ahead; 0 while none is
	ProbeAt  int64 // when a peer without a head is asked again
	RetryAt  int64 // nothing is asked before
	Attempts uint32
	Untaken  bool   // it is put off because the chain actor did not take what it was given
	Reason   string // told by the last SyncStalled
	Bytes    uint64 // received since the run began
}

// Fields implements record.Record.
func (p *pointers) Fields(f *record.Fields) {
	f.Bool(1, &p.Active)
	f.Uint32(2, &p.Quorum)
	f.Bool(3, &p.Member)
	id := func(number int, b *message.BlockID) {
		f.Fixed(number, b.Root[:])
		f.Uint64(number+1, &b.Number)
	}
	id(4, &p.Head)
	id(6, &p.Finalized)
	f.Uint32(8, &p.Backlog)
	f.Bool(9, &p.Synced)
	id(10, &p.Handed)
	id(12, &p.Proven)
	f.String(14, &p.HandedBy)
	f.String(15, &p.Guide)
	f.Int64(16, &p.Now)
	f.Int64(17, &p.Last)
	f.Uint64(18, &p.Timer.Sequence)
	f.Uint32(19, &p.Timer.Index)
	f.Int64(20, &p.TimerAt)
	f.Int64(21, &p.Moved)
	f.Int64(22, &p.Grew)
	f.Int64(23, &p.Noticed)
	f.Int64(24, &p.ProbeAt)
	f.Int64(25, &p.RetryAt)
	f.Uint32(26, &p.Attempts)
	f.String(27, &p.Reason)
	f.Uint64(28, &p.Bytes)
	f.Bool(29, &p.Untaken)
}

// Peer is a peer that can be asked. Entries are replaced, never changed.
type Peer struct {
	message.SyncPeer
	Size     uint32 // blocks of the next request
	Single   bool   // gives one block whatever is asked (wire.md 9.6)
	Guess    uint64 // of a legacy peer: up to which height it is asked
	Failures uint32 // in a row
	Rest     int64  // not asked before
	Flying   uint32 // requests without an answer
	Served   uint32 // blocks since it was praised
	Last     int64  // when it was asked last
}

// Fields implements record.Record.
func (p *Peer) Fields(f *record.Fields) {
	p.SyncPeer.Fields(f)
	f.Uint32(20, &p.Size)
	f.Bool(21, &p.Single)
	f.Uint64(22, &p.Guess)
	f.Uint32(23, &p.Failures)
	f.Int64(24, &p.Rest)
	f.Uint32(25, &p.Flying)
	f.Uint32(26, &p.Served)
	f.Int64(27, &p.Last)
}

// Span is a run of heights: wanted, asked for, or here. Entries are replaced, never changed.
type Span struct {
	From  uint64
	Count uint32
	Asked uint32      // requests for it that may still be answered in time
	Tried []TriedPeer // who failed to give it
	Peer  string      // who gave it; empty until then

	Blocks []message.Block
	Parent common.Hash
	Last   common.Hash
	Quorum uint32
	Proven common.Hash
	Bytes  uint64
}

// TriedPeer is a peer that failed to give a span.
type TriedPeer struct {
	Peer string
}

// Fields implements record.Record.
func (p *TriedPeer) Fields(f *record.Fields) { f.String(1, &p.Peer) }

// Fields implements record.Record.
func (s *Span) Fields(f *record.Fields) {
	f.Uint64(1, &s.From)
	f.Uint32(2, &s.Count)
	f.Uint32(3, &s.Asked)
	record.List(f, 4, &s.Tried)
	f.String(5, &s.Peer)
	record.List(f, 6, &s.Blocks)
	f.Fixed(7, s.Parent[:])
	f.Fixed(8, s.Last[:])
	f.Uint32(9, &s.Quorum)
	f.Fixed(10, s.Proven[:])
	f.Uint64(11, &s.Bytes)
}

func (s *Span) here() bool { return s.Peer != "" }

// end is the height after the last.
func (s *Span) end() uint64 { return s.From + uint64(s.Count) }

// Ask is a request that has no answer. Entries are replaced, never changed.
type Ask struct {
	Ref   core.Ref
	Peer  string
	From  uint64
	Count uint32
	Since int64
	Until int64 // then another is asked
	Left  bool  // its span does not wait for it any more
}

// Fields implements record.Record.
func (a *Ask) Fields(f *record.Fields) {
	f.Uint64(1, &a.Ref.Sequence)
	f.Uint32(2, &a.Ref.Index)
	f.String(3, &a.Peer)
	f.Uint64(4, &a.From)
	f.Uint32(5, &a.Count)
	f.Int64(6, &a.Since)
	f.Int64(7, &a.Until)
	f.Bool(8, &a.Left)
}

func newAsks() *btree.BTreeG[*Ask] {
	return btree.NewBTreeGOptions(func(a, b *Ask) bool {
		return cmp.Or(cmp.Compare(a.Ref.Sequence, b.Ref.Sequence), cmp.Compare(a.Ref.Index, b.Ref.Index)) < 0
	}, btree.Options{NoLocks: true})
}

func newState() *State {
	return &State{peers: new(btree.Map[string, *Peer]), spans: new(btree.Map[uint64, *Span]), asks: newAsks()}
}

// Clone implements core.State.
func (s *State) Clone() core.State {
	c := *s
	c.peers, c.spans, c.asks = s.peers.Copy(), s.spans.Copy(), s.asks.Copy()
	return &c
}

// Snapshot keys: "" the pointers, 'a' with ref a request, 'p' with name a peer, 's' with height
// (big endian) a span.
const (
	askEntry  byte = 'a'
	peerEntry byte = 'p'
	spanEntry byte = 's'
)

func (a *Ask) key() []byte {
	key := binary.BigEndian.AppendUint64([]byte{askEntry}, a.Ref.Sequence)
	return binary.BigEndian.AppendUint32(key, a.Ref.Index)
}

func (p *Peer) key() []byte { return append([]byte{peerEntry}, p.Peer...) }

func (s *Span) key() []byte { return binary.BigEndian.AppendUint64([]byte{spanEntry}, s.From) }

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	var err error
	entry := func(key []byte, r record.Record) bool {
		if err == nil {
			value, _ := record.Encode(r)
			err = yield(key, value)
		}
		return err == nil
	}
	entry(nil, &s.pointers)
	s.asks.Scan(func(a *Ask) bool { return entry(a.key(), a) })
	s.peers.Scan(func(_ string, p *Peer) bool { return entry(p.key(), p) })
	s.spans.Scan(func(_ uint64, span *Span) bool { return entry(span.key(), span) })
	return err
}

// Load implements core.State.
func (s *State) Load(key, value []byte, resolve record.Resolver) error {
	if len(key) == 0 {
		return record.Decode(value, &s.pointers, resolve)
	}
	var (
		canonical []byte
		err       error
	)
	switch key[0] {
	case askEntry:
		a := new(Ask)
		err = record.Decode(value, a, resolve)
		canonical = a.key()
		s.asks.Set(a)
	case peerEntry:
		p := new(Peer)
		err = record.Decode(value, p, resolve)
		canonical = p.key()
		s.peers.Set(p.Peer, p)
	case spanEntry:
		span := new(Span)
		err = record.Decode(value, span, resolve)
		canonical = span.key()
		s.spans.Set(span.From, span)
	default:
		return fault.New(fault.Corrupt, "sync state has no entry %x", key)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(key, canonical) {
		return fault.New(fault.Corrupt, "sync state: the entry under %x has the key %x", key, canonical)
	}
	return nil
}
