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
	"github.com/AnduroProject/alys-go/internal/eventjson"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// shownBytes is how much of a byte string the text form shows.
const shownBytes = 32

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

func (p *eventPrinter) view(e *journal.Event, hash journal.Hash) (eventjson.View, error) {
	r := eventjson.Renderer{Journal: p.journal, Machine: p.machine}
	if !p.json {
		r.Limit = shownBytes
	}
	return r.View(e, hash)
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

func (p *eventPrinter) text(e *journal.Event, v eventjson.View) error {
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
