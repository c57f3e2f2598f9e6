// Package eventjson renders events of the journal as JSON.
//
//	r := eventjson.Renderer{Journal: j, Machine: machine}
//	view, err := r.View(event, hash)
//
// A payload is decoded by its type; one that this program does not know is shown
// as the bytes it has, with the reason.
package eventjson

import (
	"encoding/json"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/journal"
)

// View is an event for people and programs: one line of `alys journal cat --json`.
type View struct {
	Sequence uint64          `json:"sequence"`
	Hash     string          `json:"hash,omitempty"` // chain hash; not known of a proven event
	TimeMs   int64           `json:"time_ms"`
	Actor    string          `json:"actor"`
	Type     string          `json:"type"`
	Schema   uint32          `json:"schema"`
	Cause    string          `json:"cause,omitempty"` // sequence/index of the output that led here
	Outcome  string          `json:"outcome"`
	Note     string          `json:"note,omitempty"`
	Stored   bool            `json:"stored"` // false: the message is the cause's payload
	Message  json.RawMessage `json:"message"`
	Outputs  []Output        `json:"outputs"`
	Contents []string        `json:"contents"`
}

// Output is a send, fact or effect of an event.
type Output struct {
	Kind     string          `json:"kind"`
	Target   string          `json:"target,omitempty"`
	Type     string          `json:"type"`
	Schema   uint32          `json:"schema"`
	Class    uint8           `json:"class,omitempty"`
	Priority uint8           `json:"priority,omitempty"`
	Payload  json.RawMessage `json:"payload"`
}

// Renderer renders events. Machine decodes; it may be in use.
type Renderer struct {
	Journal *journal.Journal // nil for events without one: a message that another event has is not shown
	Machine *actors.Machine
	Limit   int // bytes shown of a byte string, and zero fields left out; 0 for everything
}

// View renders an event.
func (p *Renderer) View(e *journal.Event, hash journal.Hash) (View, error) {
	v := View{
		Sequence: e.Sequence, TimeMs: e.Time, Actor: e.Actor, Type: e.Type, Schema: e.Schema,
		Outcome: e.Outcome.String(), Note: e.Note, Stored: e.Stored, Outputs: []Output{}, Contents: []string{},
	}
	if p.Journal != nil {
		v.Hash = hash.String()
	}
	if !e.Cause.None() {
		v.Cause = e.Cause.String()
	}
	switch {
	case e.Stored:
		v.Message = p.payload(e.Type, e.Schema, e.Message)
	case p.Journal == nil:
		v.Message = json.RawMessage("null")
	default:
		cause, _, err := p.Journal.Event(e.Cause.Sequence)
		if err != nil {
			return v, err
		}
		if int(e.Cause.Index) >= len(cause.Outputs) {
			return v, &journal.CorruptError{Sequence: e.Sequence, What: "it is caused by output " + v.Cause + ", which does not exist"}
		}
		v.Message = p.payload(e.Type, e.Schema, cause.Outputs[e.Cause.Index].Payload)
	}
	for i := range e.Outputs {
		o := &e.Outputs[i]
		v.Outputs = append(v.Outputs, Output{
			Kind: o.Kind.String(), Target: o.Target, Type: o.Type, Schema: o.Schema, Class: o.Class, Priority: o.Priority,
			Payload: p.payload(o.Type, o.Schema, o.Payload),
		})
	}
	for _, c := range e.Contents {
		v.Contents = append(v.Contents, c.String())
	}
	return v, nil
}

// payload decodes by type; a type that this program does not know is shown as
// the bytes it has, with the reason.
func (p *Renderer) payload(typ string, schema uint32, data []byte) json.RawMessage {
	m, err := p.Machine.DecodeMessage(typ, schema, data, nil)
	if err != nil {
		return Payload(struct {
			Undecoded []byte
			Why       string
		}{data, err.Error()}, p.Limit)
	}
	return Payload(m, p.Limit)
}
