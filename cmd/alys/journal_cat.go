package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// shownBytes is how much of a byte string the text form shows.
const shownBytes = 32

// eventView is one line of `alys journal cat --json`.
type eventView struct {
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
	Outputs  []outputView    `json:"outputs"`
	Contents []string        `json:"contents"`
}

// outputView is a send, fact or effect of an event.
type outputView struct {
	Kind     string          `json:"kind"`
	Target   string          `json:"target,omitempty"`
	Type     string          `json:"type"`
	Schema   uint32          `json:"schema"`
	Class    uint8           `json:"class,omitempty"`
	Priority uint8           `json:"priority,omitempty"`
	Payload  json.RawMessage `json:"payload"`
}

func journalCatCommand() *cli.Command {
	return &cli.Command{
		Name: "cat", Usage: "print events: message, outputs, causes; find them by what is in them",
		Description: `One event is one turn of one actor. Text shows the first 32 bytes of byte
strings, --json (one object a line) shows all. Filters are combined; one given
several times is met by any of its values. --type matches the message and the
outputs, --fact only facts. A block is found by its root or its payload's hash, in
the events that tell of it; a transaction in the event that connects its block.

The index of the journal is used when it is there; otherwise every event is
read, which finds the same.

Examples:
  alys journal cat --limit 20 --reverse
  alys journal cat --actor chain --type block_finalized
  alys journal cat --height 1200 --fact block_connected --fact block_reverted
  alys journal cat --since 2026-11-20T00:00:00Z --until 2026-11-20T01:00:00Z --json
  alys journal cat --from 1000 --to 1010 --json`,
		Flags: append(append(readFlags(), filterFlags()...),
			&cli.BoolFlag{Name: "reverse", Usage: "newest first"},
			&cli.Uint64Flag{Name: "limit", Usage: "end after `N` events"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}),
		Action: journalCat,
	}
}

func journalCat(cc *cli.Context) (err error) {
	q, err := filters(cc)
	if err != nil {
		return err
	}
	q.Reverse = cc.Bool("reverse")
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	machine, err := node.NewMachine(src.journal.ID(), memo.New())
	if err != nil {
		return err
	}
	x, err := src.openIndex(machine, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if why := x.Missing(); why != nil && len(q.All) > 0 {
		s.log.Warn("every event is read, because the index cannot be used; a node builds it again when it runs", "reason", why)
	}
	found, err := x.Find(cc.Context, q)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	out := bufio.NewWriterSize(cc.App.Writer, 64<<10)
	p := &eventPrinter{journal: src.journal, machine: machine, out: out, json: cc.Bool("json")}
	for limit := cc.Uint64("limit"); found.Next(); {
		if err := p.print(found.Event(), found.Hash()); err != nil {
			return errors.Join(err, out.Flush())
		}
		if limit--; limit == 0 {
			break
		}
	}
	return fault.Wrap(fault.Temporary, out.Flush(), "writing events")
}

type eventPrinter struct {
	journal *journal.Journal // nil for an event without one: a message that another event has is not shown
	machine *actors.Machine
	out     io.Writer
	json    bool
}

func (p *eventPrinter) print(e *journal.Event, hash journal.Hash) error {
	v, err := p.view(e, hash)
	if err != nil {
		return err
	}
	if p.json {
		return fault.Wrap(fault.Temporary, json.NewEncoder(p.out).Encode(v), "writing events")
	}
	return p.text(e, v)
}

func (p *eventPrinter) text(e *journal.Event, v eventView) error {
	text := fmt.Sprintf("%d %s %s %s", v.Sequence, time.UnixMilli(v.TimeMs).UTC().Format("2006-01-02T15:04:05.000Z"), v.Actor, v.Type)
	if v.Cause != "" {
		text += " cause " + v.Cause
	}
	if e.Outcome != journal.OutcomeOK {
		text += fmt.Sprintf(" %s: %s", v.Outcome, v.Note)
	}
	text += "\n  message " + string(v.Message) + "\n"
	for _, o := range v.Outputs {
		text += "  " + o.Kind + " "
		if o.Target != "" {
			text += "to " + o.Target + " "
		}
		text += o.Type + " " + string(o.Payload) + "\n"
	}
	_, err := io.WriteString(p.out, text)
	return fault.Wrap(fault.Temporary, err, "writing events")
}

func (p *eventPrinter) view(e *journal.Event, hash journal.Hash) (eventView, error) {
	v := eventView{
		Sequence: e.Sequence, TimeMs: e.Time, Actor: e.Actor, Type: e.Type, Schema: e.Schema,
		Outcome: e.Outcome.String(), Note: e.Note, Stored: e.Stored, Outputs: []outputView{}, Contents: []string{},
	}
	if p.journal != nil {
		v.Hash = hash.String()
	}
	if !e.Cause.None() {
		v.Cause = e.Cause.String()
	}
	switch {
	case e.Stored:
		v.Message = p.payload(e.Type, e.Schema, e.Message)
	case p.journal == nil:
		v.Message = json.RawMessage("null")
	default:
		cause, _, err := p.journal.Event(e.Cause.Sequence)
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
		v.Outputs = append(v.Outputs, outputView{
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
func (p *eventPrinter) payload(typ string, schema uint32, data []byte) json.RawMessage {
	limit := shownBytes
	if p.json {
		limit = 0
	}
	m, err := p.machine.DecodeMessage(typ, schema, data, nil)
	if err != nil {
		return payloadJSON(struct {
			Undecoded []byte
			Why       string
		}{data, err.Error()}, limit)
	}
	return payloadJSON(m, limit)
}
