package peers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// version is raised with every change of keys or values.
const version = 1

// model folds what a journal has of peers. It implements derived.Model.
type model struct{}

// Version implements derived.Model.
func (model) Version() uint32 { return version }

// Begin implements derived.Model.
func (model) Begin(w derived.Writer, _ func(journal.Hash) ([]byte, error)) derived.Folder {
	return &folder{w: w, peers: map[string]*known{}}
}

// folder folds one batch. Peers that the batch read or changed are written at its end, so
// that one whose head moves every second is written once.
type folder struct {
	w      derived.Writer
	peers  map[string]*known
	counts *counts
}

// decoded makes the facts that the store reads, and the messages, by type name.
var decoded = func() map[string]func() core.Message {
	m := map[string]func() core.Message{}
	for _, make := range []func() core.Message{
		func() core.Message { return &message.PeerJoined{} },
		func() core.Message { return &message.PeerLeft{} },
		func() core.Message { return &message.PeerScored{} },
		func() core.Message { return &message.PeerBanned{} },
		func() core.Message { return &message.PeerUnbanned{} },
		func() core.Message { return &message.PeerConnected{} },
		func() core.Message { return &message.PeersReported{} },
	} {
		m[make().Type()] = make
	}
	return m
}()

// Fold implements derived.Folder. Facts come first: a message tells the head of a peer that
// its own turn may have taken in.
func (f *folder) Fold(e *journal.Event) error {
	for i := range e.Outputs {
		o := &e.Outputs[i]
		if o.Kind != journal.KindFact {
			continue
		}
		if err := f.take(e, uint32(i), o.Type, o.Schema, o.Payload); err != nil {
			return err
		}
	}
	if e.Stored && e.Outcome == journal.OutcomeOK {
		return f.take(e, 0, e.Type, e.Schema, e.Message)
	}
	return nil
}

// take folds one message, unless it is none of the store's.
func (f *folder) take(e *journal.Event, output uint32, typ string, schema uint32, data []byte) error {
	make, ok := decoded[typ]
	if !ok {
		return nil
	}
	m := make()
	if err := message.Decode(m, schema, data, nil); err != nil {
		return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("record of peers: event %d: %s", e.Sequence, typ))
	}
	at := place{e.Time, e.Sequence, output}
	switch m := m.(type) {
	case *message.PeerJoined:
		return f.joined(at, m)
	case *message.PeerLeft:
		return f.left(at, m)
	case *message.PeerScored:
		return f.scored(at, m)
	case *message.PeerBanned:
		return f.banned(at, m)
	case *message.PeerUnbanned:
		return f.unbanned(at, m)
	case *message.PeerConnected:
		return f.moved(m.Peer, m.Head, m.Finalized, 0, m.Protocol)
	case *message.PeersReported:
		for i := range m.Peers {
			r := &m.Peers[i]
			if err := f.moved(r.Peer, r.Head, r.Finalized, r.RttMs, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is where a fact stands in the journal.
type place struct {
	time     int64
	sequence uint64
	output   uint32
}

// peer returns what is known of a peer, nil when it was never met.
func (f *folder) peer(id string) (*known, error) {
	if k, ok := f.peers[id]; ok {
		return k, nil
	}
	raw, err := f.w.Get(keyPeer(id))
	if err != nil || raw == nil {
		return nil, err
	}
	k := &known{}
	if err := record.Decode(raw, k, nil); err != nil {
		return nil, derived.Damaged(err, "record of peers: peer "+id)
	}
	f.peers[id] = k
	return k, nil
}

// met returns what is known of a peer, who is met now if it never was.
func (f *folder) met(at place, id string) (*known, error) {
	k, err := f.peer(id)
	if err != nil || k != nil {
		return k, err
	}
	k = &known{First: at.time, Left: at.time}
	f.peers[id] = k
	return k, f.away(id, k, 1)
}

// away counts a peer among those that are not connected, or no more.
func (f *folder) away(id string, k *known, by int) error {
	c, err := f.ofCounts()
	if err != nil {
		return err
	}
	if by < 0 {
		c.Away--
		return f.w.Delete(keyLeft(k.Left, id))
	}
	c.Away++
	return f.w.Set(keyLeft(k.Left, id), nil)
}

func (f *folder) ofCounts() (*counts, error) {
	if f.counts != nil {
		return f.counts, nil
	}
	raw, err := f.w.Get(keyCounts)
	if err != nil {
		return nil, err
	}
	c := &counts{}
	if err := record.Decode(raw, c, nil); err != nil {
		return nil, derived.Damaged(err, "record of peers: counts")
	}
	f.counts = c
	return c, nil
}

func (f *folder) joined(at place, m *message.PeerJoined) error {
	k, err := f.met(at, m.Peer)
	if err != nil {
		return err
	}
	if !k.Connected {
		if err := f.away(m.Peer, k, -1); err != nil {
			return err
		}
	}
	k.Address, k.Inbound, k.Legacy, k.Agent = m.Address, m.Inbound, m.Legacy, m.Agent
	k.HasAuthority, k.Authority = m.HasAuthority, m.Authority
	k.Connected, k.Since, k.Left, k.Reason = true, at.time, 0, ""
	k.Head, k.Finalized, k.RttMs = nil, nil, 0
	k.Joins++
	k.Score, k.ScoredAt = m.Score, at.time
	return f.note(at, m.Peer, k, &change{Kind: changeJoined, Score: m.Score})
}

func (f *folder) left(at place, m *message.PeerLeft) error {
	k, err := f.met(at, m.Peer)
	if err != nil {
		return err
	}
	if k.Connected {
		k.Connected, k.Left = false, at.time
		if err := f.away(m.Peer, k, 1); err != nil {
			return err
		}
	}
	k.Reason, k.Score, k.ScoredAt = m.Reason, m.Score, at.time
	return f.note(at, m.Peer, k, &change{Kind: changeLeft, Score: m.Score, Reason: m.Reason})
}

func (f *folder) scored(at place, m *message.PeerScored) error {
	k, err := f.met(at, m.Peer)
	if err != nil {
		return err
	}
	k.Score, k.ScoredAt = m.Score, at.time
	for _, a := range m.Acts {
		i, found := slices.BinarySearchFunc(k.Acts, a, func(x, y message.PeerAct) int { return strings.Compare(x.Kind, y.Kind) })
		if !found {
			k.Acts = slices.Insert(k.Acts, i, a)
			continue
		}
		k.Acts[i].Count += min(a.Count, ^uint32(0)-k.Acts[i].Count)
		k.Acts[i].Detail = a.Detail
	}
	return f.note(at, m.Peer, k, &change{Kind: changeScored, Score: m.Score, Acts: m.Acts})
}

func (f *folder) banned(at place, m *message.PeerBanned) error {
	b := &ban{Since: at.time, Until: m.Until, Reason: m.Reason, Operator: m.Operator}
	value, _ := record.Encode(b)
	if err := f.w.Set(keyBan(m.Peer, m.Address), value); err != nil || m.Peer == "" {
		return err
	}
	k, err := f.met(at, m.Peer)
	if err != nil {
		return err
	}
	if !m.Operator {
		k.Score, k.ScoredAt = conduct.AfterBan, at.time
	}
	return f.note(at, m.Peer, k, &change{Kind: changeBanned, Score: k.Score, Until: m.Until, Reason: m.Reason, Operator: m.Operator})
}

func (f *folder) unbanned(at place, m *message.PeerUnbanned) error {
	if err := f.w.Delete(keyBan(m.Peer, m.Address)); err != nil || m.Peer == "" {
		return err
	}
	k, err := f.met(at, m.Peer)
	if err != nil {
		return err
	}
	if m.Operator {
		k.Score, k.ScoredAt = 0, at.time
	}
	return f.note(at, m.Peer, k, &change{Kind: changeUnbanned, Score: k.Score, Operator: m.Operator})
}

// moved takes where a connected peer is.
func (f *folder) moved(id string, head, finalized *message.BlockID, rtt, protocol uint32) error {
	k, err := f.peer(id)
	if err != nil || k == nil || !k.Connected {
		return err
	}
	if head != nil {
		k.Head = head
	}
	if finalized != nil {
		k.Finalized = finalized
	}
	if rtt != 0 {
		k.RttMs = rtt
	}
	if protocol != 0 {
		k.Protocol = protocol
	}
	return nil
}

// note appends to a peer's history; the oldest change makes room.
func (f *folder) note(at place, id string, k *known, c *change) error {
	c.Time = at.time
	k.Changes++
	value, _ := record.Encode(c)
	if err := f.w.Set(keyHistory(id, at.sequence, at.output), value); err != nil || k.Changes <= MaxHistory {
		return err
	}
	var oldest []byte
	prefix := historyOf(id)
	err := f.w.Scan(prefix, after(prefix), false, func(key, _ []byte) bool {
		oldest = append([]byte{}, key...)
		return false
	})
	if err != nil || oldest == nil {
		return err
	}
	return f.w.Delete(oldest)
}

// End implements derived.Folder.
func (f *folder) End() error {
	for _, id := range slices.Sorted(maps.Keys(f.peers)) {
		value, _ := record.Encode(f.peers[id])
		if err := f.w.Set(keyPeer(id), value); err != nil {
			return err
		}
	}
	if f.counts == nil {
		return nil
	}
	for f.counts.Away > MaxKnown {
		if err := f.forget(); err != nil {
			return err
		}
	}
	value, _ := record.Encode(f.counts)
	return f.w.Set(keyCounts, value)
}

// forget drops the peer that left longest ago, with its history.
func (f *folder) forget() error {
	var key []byte
	low := []byte{prefixLeft}
	err := f.w.Scan(low, after(low), false, func(k, _ []byte) bool {
		key = append([]byte{}, k...)
		return false
	})
	if err != nil {
		return err
	}
	const head = 1 + 8
	if len(key) < head {
		return derived.Damaged(fmt.Errorf("%d are counted and none is there", f.counts.Away), "record of peers: peers that left")
	}
	id := string(key[head:])
	prefix := historyOf(id)
	drop := [][]byte{key, keyPeer(id)}
	err = f.w.Scan(prefix, after(prefix), false, func(k, _ []byte) bool {
		drop = append(drop, append([]byte{}, k...))
		return true
	})
	for _, k := range drop {
		err = errors.Join(err, f.w.Delete(k))
	}
	f.counts.Away--
	return err
}
