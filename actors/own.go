package actors

import (
	"encoding/binary"

	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// ownState is the runtime's own state: position, sends not yet handled, effects
// without a result. It is a fold of the journal like any actor's state.
type ownState struct {
	sequence uint64
	time     int64
	sends    []pendingSend // oldest first
	effects  *btree.BTreeG[PendingEffect]
}

type pendingSend struct {
	ref     core.Ref
	to      core.ID
	message core.Message
}

// PendingEffect is an effect that has no result yet.
type PendingEffect struct {
	Ref     core.Ref
	Edge    core.Edge
	Class   core.Class
	Request core.Message
	actor   core.ID
}

// Actor returns the actor that the result goes to.
func (e PendingEffect) Actor() core.ID { return e.actor }

func newOwnState() ownState {
	return ownState{effects: btree.NewBTreeGOptions(
		func(a, b PendingEffect) bool { return a.Ref.Before(b.Ref) },
		btree.Options{NoLocks: true},
	)}
}

func (s *ownState) clone() ownState {
	c := *s
	c.sends = append([]pendingSend(nil), s.sends...)
	c.effects = s.effects.Copy()
	return c
}

func (s *ownState) firstSend() (pendingSend, bool) {
	if len(s.sends) == 0 {
		return pendingSend{}, false
	}
	return s.sends[0], true
}

func (s *ownState) effect(ref core.Ref) (PendingEffect, bool) {
	return s.effects.Get(PendingEffect{Ref: ref})
}

// settle moves the state past a turn: its cause is answered, its outputs wait.
func (s *ownState) settle(in Input, t core.Turn, outputs []core.Output) {
	s.sequence, s.time = t.Sequence, t.Time
	if in.Sent {
		s.sends = s.sends[1:]
	} else if !in.Cause.None() {
		s.effects.Delete(PendingEffect{Ref: in.Cause})
	}
	for i, o := range outputs {
		ref := core.Ref{Sequence: t.Sequence, Index: uint32(i)}
		switch {
		case o.Kind == core.Send:
			s.sends = append(s.sends, pendingSend{ref: ref, to: core.ID(o.Target), message: o.Message})
		case o.Kind == core.Effect && o.Class.Pending():
			s.effects.Set(PendingEffect{Ref: ref, Edge: core.Edge(o.Target), Class: o.Class, Request: o.Message, actor: in.Actor})
		}
	}
}

// Entries of the runtime's state in a snapshot: key "" is the position, 'e' and
// 's' with a ref (sequence and index, big endian) are effects and sends.
const (
	effectEntry byte = 'e'
	sendEntry   byte = 's'
)

type position struct {
	Sequence uint64
	Time     int64
}

func (p *position) Fields(f *record.Fields) {
	f.Uint64(1, &p.Sequence)
	f.Int64(2, &p.Time)
}

// waiting is a pending send or effect as a snapshot keeps it.
type waiting struct {
	Actor   string // receiver of the send or of the effect's result
	Edge    string
	Class   uint8
	Type    string
	Schema  uint32
	Payload []byte
}

func (w *waiting) Fields(f *record.Fields) {
	f.String(1, &w.Actor)
	f.String(2, &w.Edge)
	f.Uint8(3, &w.Class)
	f.String(4, &w.Type)
	f.Uint32(5, &w.Schema)
	f.Bytes(6, &w.Payload)
}

func entryKey(kind byte, ref core.Ref) []byte {
	key := make([]byte, 1, 13)
	key[0] = kind
	key = binary.BigEndian.AppendUint64(key, ref.Sequence)
	return binary.BigEndian.AppendUint32(key, ref.Index)
}

func (s *ownState) walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(&position{Sequence: s.sequence, Time: s.time})
	if err := yield(nil, value); err != nil {
		return err
	}
	var err error
	s.effects.Scan(func(e PendingEffect) bool {
		w := waiting{Actor: string(e.actor), Edge: string(e.Edge), Class: uint8(e.Class)}
		err = yieldWaiting(yield, entryKey(effectEntry, e.Ref), w, e.Request)
		return err == nil
	})
	for i := 0; err == nil && i < len(s.sends); i++ {
		send := s.sends[i]
		err = yieldWaiting(yield, entryKey(sendEntry, send.ref), waiting{Actor: string(send.to)}, send.message)
	}
	return err
}

func yieldWaiting(yield func(key, value []byte) error, key []byte, w waiting, m core.Message) error {
	w.Type, w.Schema = m.Type(), m.Schema()
	w.Payload, _ = record.Encode(m)
	value, _ := record.Encode(&w)
	return yield(key, value)
}

// load takes one entry of walk into m's own state.
func (m *Machine) loadOwn(key, value []byte, resolve record.Resolver) error {
	if len(key) == 0 {
		var p position
		err := record.Decode(value, &p, nil)
		m.own.sequence, m.own.time = p.Sequence, p.Time
		return err
	}
	if len(key) != 13 {
		return fault.New(fault.Corrupt, "runtime state entry %x has no position", key)
	}
	ref := core.Ref{Sequence: binary.BigEndian.Uint64(key[1:9]), Index: binary.BigEndian.Uint32(key[9:])}
	var w waiting
	if err := record.Decode(value, &w, nil); err != nil {
		return err
	}
	msg, err := m.DecodeMessage(w.Type, w.Schema, w.Payload, resolve)
	if err != nil {
		return err
	}
	switch key[0] {
	case effectEntry:
		m.own.effects.Set(PendingEffect{Ref: ref, Edge: core.Edge(w.Edge), Class: core.Class(w.Class), Request: msg, actor: core.ID(w.Actor)})
	case sendEntry:
		m.own.sends = append(m.own.sends, pendingSend{ref: ref, to: core.ID(w.Actor), message: msg})
	default:
		return fault.New(fault.Corrupt, "runtime state entry of unknown kind %q", key[0])
	}
	return nil
}

// PendingEffects returns the effects without a result in (sequence, index) order.
func (m *Machine) PendingEffects() []PendingEffect { return m.own.effects.Items() }
