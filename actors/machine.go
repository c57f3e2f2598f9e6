package actors

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/schema"
	"github.com/AnduroProject/alys-go/journal"
)

// Machine folds messages into states and journal events. It is not safe for
// concurrent use, except [Machine.DecodeMessage].
type Machine struct {
	journal [16]byte
	actors  map[core.ID]*actor
	order   []core.ID // ascending
	types   map[string]reflect.Type
	older   *schema.Upcasters
	own     ownState

	out      core.Out
	event    journal.Event
	contents []journal.Content
	seen     map[journal.Hash]struct{}
	buf      []byte
}

type actor struct {
	core    core.Core
	state   core.State
	accepts map[string]reflect.Type
}

// Input is a message about to be handled.
type Input struct {
	Actor   core.ID
	Message core.Message
	Cause   core.Ref // the effect this is the result of, or the send it is
	Sent    bool     // Cause names a send: the message is not stored again
	Time    int64    // Unix milliseconds; raised to the last turn's if lower
}

// Turn is what one Step made. It is valid until the next Step.
type Turn struct {
	Event    *journal.Event
	Contents []journal.Content // to be stored with the event
	Outputs  []core.Output     // as released: for a failed turn the report to the supervisor
}

// NewMachine returns a machine for the journal with the given identity at
// sequence 0. One of cores must be [core.Supervisor]. requests lists one value
// of each effect request type, which pending effects are decoded by.
func NewMachine(id journal.ID, cores []core.Core, requests []core.Message) (*Machine, error) {
	m := &Machine{
		journal: id,
		actors:  make(map[core.ID]*actor),
		types:   make(map[string]reflect.Type),
		seen:    make(map[journal.Hash]struct{}),
		own:     newOwnState(),
		older:   message.Older(),
	}
	for _, r := range requests {
		if err := m.register(r); err != nil {
			return nil, err
		}
	}
	for _, c := range cores {
		if m.actors[c.ID()] != nil {
			return nil, fault.New(fault.Fatal, "actor %q is listed twice", c.ID())
		}
		a := &actor{core: c, state: c.NewState(), accepts: make(map[string]reflect.Type)}
		for _, msg := range c.Messages() {
			if err := m.register(msg); err != nil {
				return nil, err
			}
			a.accepts[msg.Type()] = reflect.TypeOf(msg).Elem()
		}
		m.actors[c.ID()] = a
		m.order = append(m.order, c.ID())
	}
	slices.Sort(m.order)
	if m.actors[core.Supervisor] == nil {
		return nil, fault.New(fault.Fatal, "no actor %q among the cores", core.Supervisor)
	}
	return m, nil
}

// Upcast replaces the upcasters that older schemas are decoded by; without it
// they are those of package message.
func (m *Machine) Upcast(older *schema.Upcasters) { m.older = older }

// register notes the Go type of a message and refuses two types of one name.
func (m *Machine) register(msg core.Message) error {
	typ := reflect.TypeOf(msg).Elem()
	if known, ok := m.types[msg.Type()]; ok && known != typ {
		return fault.New(fault.Fatal, "message type %q is both %v and %v", msg.Type(), known, typ)
	}
	m.types[msg.Type()] = typ
	return nil
}

func newMessage(t reflect.Type) core.Message { return reflect.New(t).Interface().(core.Message) }

// Sequence returns the sequence of the last turn; 0 before the first.
func (m *Machine) Sequence() uint64 { return m.own.sequence }

// Time returns the time of the last turn in Unix milliseconds.
func (m *Machine) Time() int64 { return m.own.time }

// State returns the state of an actor for reading, or nil. It stays as it is
// until the actor's next turn; use its Clone to keep it longer.
func (m *Machine) State(id core.ID) core.State {
	if a := m.actors[id]; a != nil {
		return a.state
	}
	return nil
}

// NextSend returns the oldest send that waits to be handled.
func (m *Machine) NextSend() (Input, bool) {
	s, ok := m.own.firstSend()
	if !ok {
		return Input{}, false
	}
	return Input{Actor: s.to, Message: s.message, Cause: s.ref, Sent: true}, true
}

// Accepts reports whether an actor takes messages of this type.
func (m *Machine) Accepts(id core.ID, msg core.Message) bool {
	a := m.actors[id]
	return a != nil && a.accepts[msg.Type()] != nil
}

// Step handles one message. An error means that the input is no turn at all
// (unknown actor, type the actor does not take, a result nobody waits for) and
// that nothing changed. A handler's panic is not an error: the turn fails.
func (m *Machine) Step(in Input) (Turn, error) {
	a, err := m.admit(in)
	if err != nil {
		return Turn{}, err
	}
	t := core.Turn{
		Journal:  m.journal,
		Sequence: m.own.sequence + 1,
		Time:     max(in.Time, m.own.time),
		Cause:    in.Cause,
	}
	m.event = journal.Event{
		Sequence: t.Sequence,
		Time:     t.Time,
		Actor:    string(in.Actor),
		Type:     in.Message.Type(),
		Schema:   in.Message.Schema(),
		Cause:    journal.Ref(in.Cause),
		Stored:   !in.Sent,
		Outputs:  m.event.Outputs[:0],
		Contents: m.event.Contents[:0],
	}
	m.contents = m.contents[:0]
	clear(m.seen)
	m.buf = m.buf[:0]
	if m.event.Stored {
		m.event.Message = m.encode(in.Message)
	}
	m.run(a, in, t)
	m.own.settle(in, t, m.out.List())
	return Turn{Event: &m.event, Contents: m.contents, Outputs: m.out.List()}, nil
}

func (m *Machine) admit(in Input) (*actor, error) {
	a := m.actors[in.Actor]
	if a == nil {
		return nil, fault.New(fault.Invalid, "no actor %q", in.Actor)
	}
	if a.accepts[in.Message.Type()] == nil {
		return nil, fault.New(fault.Invalid, "actor %q takes no %q", in.Actor, in.Message.Type())
	}
	switch {
	case in.Cause.None():
		if in.Sent {
			return nil, fault.New(fault.Invalid, "a send without a cause")
		}
	case in.Sent:
		if s, ok := m.own.firstSend(); !ok || s.ref != in.Cause {
			return nil, fault.New(fault.Invalid, "send %d/%d is not the next one", in.Cause.Sequence, in.Cause.Index)
		}
	default:
		if e, ok := m.own.effect(in.Cause); !ok || e.actor != in.Actor {
			return nil, fault.New(fault.Invalid, "actor %q waits for no effect %d/%d", in.Actor, in.Cause.Sequence, in.Cause.Index)
		}
	}
	return a, nil
}

// run lets the core handle the message and records outputs, or the failure.
func (m *Machine) run(a *actor, in Input, t core.Turn) {
	m.out.Reset()
	next := a.state.Clone()
	if reason, failed := m.handle(a.core, next, in.Message, t); failed {
		m.out.Reset()
		m.event.Outcome = journal.OutcomeFailed
		m.event.Note = reason
		m.event.Outputs = m.event.Outputs[:0]
		if in.Actor != core.Supervisor {
			m.out.Send(core.Supervisor, &core.ActorFailed{Actor: string(in.Actor), Message: in.Message.Type(), Reason: reason})
		}
	} else {
		a.state = next
	}
	for _, o := range m.out.List() {
		m.event.Outputs = append(m.event.Outputs, journal.Output{
			Kind: journal.Kind(o.Kind), Target: o.Target, Class: uint8(o.Class),
			Type: o.Message.Type(), Schema: o.Message.Schema(), Payload: m.encode(o.Message),
		})
	}
}

// handle is the turn boundary: the one place where a panic of a core ends.
func (m *Machine) handle(c core.Core, s core.State, msg core.Message, t core.Turn) (reason string, failed bool) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			reason, failed = p.Error(), true
		case string:
			reason, failed = p, true
		default:
			// Other values could print addresses, which differ from run to run.
			reason, failed = fmt.Sprintf("panic of type %T", p), true
		}
	}()
	c.Handle(s, msg, t, &m.out)
	for _, o := range m.out.List() {
		if o.Kind != core.Send {
			continue
		}
		if to := m.actors[core.ID(o.Target)]; to == nil || to.accepts[o.Message.Type()] == nil {
			return fmt.Sprintf("actor %q takes no %q", o.Target, o.Message.Type()), true
		}
	}
	return "", false
}

// encode appends a message to the turn's buffer and notes its contents.
func (m *Machine) encode(msg core.Message) []byte {
	start := len(m.buf)
	buf, contents := record.Append(m.buf, msg)
	m.buf = buf
	for _, c := range contents {
		h := journal.Hash(c.Hash)
		if _, ok := m.seen[h]; ok {
			continue
		}
		m.seen[h] = struct{}{}
		m.event.Contents = append(m.event.Contents, h)
		if c.Data != nil {
			m.contents = append(m.contents, journal.Content{Hash: h, Data: c.Data})
		}
	}
	return buf[start:len(buf):len(buf)]
}

// DecodeMessage decodes a message of the named type and schema, as journaled.
// It may be called while another goroutine steps the machine.
func (m *Machine) DecodeMessage(typ string, schema uint32, data []byte, resolve record.Resolver) (core.Message, error) {
	goType, ok := m.types[typ]
	if !ok {
		return nil, fault.New(fault.Invalid, "message type %q is not known to this program", typ)
	}
	msg := newMessage(goType)
	if err := m.older.Decode(msg, schema, data, resolve); err != nil {
		return nil, err
	}
	return msg, nil
}
