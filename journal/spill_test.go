package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// spilledEvent has a message and outputs that are one byte and some more too
// long for its envelope.
func spilledEvent() *Event {
	return &Event{
		Sequence: 1, Actor: "a", Type: "m", Schema: 1, Stored: true, Message: bytes.Repeat([]byte("a"), InlineMax+1),
		Outputs: []Output{{Kind: KindFact, Type: "f", Schema: 1, Payload: bytes.Repeat([]byte("b"), InlineMax)}},
	}
}

// spilledHex is its envelope, made by another program than this.
const spilledHex = "0271" + // version, flags: stored, contents, message and outputs spilled
	"01" + "00" + "0161" + "016d" + "01" + // sequence, time, actor, type, schema
	"818004" + "008ffc88d3c96a9f307524eb361e47c5222a887fc45fa0c1fb8d429c5c23b430" +
	"8b8004" + "8ada5c8b60fc0c8b0c40d18caaebf236f02bdb199a372241f702aacb05ae6355" +
	"02" + "008ffc88d3c96a9f307524eb361e47c5222a887fc45fa0c1fb8d429c5c23b430" +
	"8ada5c8b60fc0c8b0c40d18caaebf236f02bdb199a372241f702aacb05ae6355"

// collect encodes an event and returns with it a resolver of what it spilled.
func collect(e *Event) ([]byte, Resolver) {
	var contents []Content
	data := e.encode(nil, EnvelopeVersion, &contents)
	return data, func(h Hash) ([]byte, error) {
		for _, c := range contents {
			if c.Hash == h {
				return c.Data, nil
			}
		}
		return nil, fault.New(fault.Invalid, "content %s: %w", h, ErrNotFound)
	}
}

func spilledResolver(h Hash) ([]byte, error) {
	_, resolve := collect(spilledEvent())
	return resolve(h)
}

func TestGoldenSpilled(t *testing.T) {
	data, resolve := collect(spilledEvent())
	if got := hex.EncodeToString(data); got != strings.ReplaceAll(spilledHex, " ", "") {
		t.Fatalf("got  %s\nwant %s", got, spilledHex)
	}
	if got := spilledEvent().AppendTo(nil); !bytes.Equal(got, data) {
		t.Fatalf("without collecting %x", got)
	}
	e, err := DecodeEvent(data, resolve)
	if err != nil {
		t.Fatal(err)
	}
	want := spilledEvent()
	if !bytes.Equal(e.Message, want.Message) || len(e.Outputs) != 1 || !bytes.Equal(e.Outputs[0].Payload, want.Outputs[0].Payload) || len(e.Contents) != 2 {
		t.Fatalf("message of %d bytes, %d outputs, contents %v", len(e.Message), len(e.Outputs), e.Contents)
	}
	if _, err := DecodeEvent(data, nil); !errors.Is(err, ErrSpilled) || !fault.Is(err, fault.Invalid) {
		t.Fatalf("without a resolver: %v", err)
	}
}

// TestSpillBoundary goes through the sizes around the limit, with and without
// the event naming the same bytes itself.
func TestSpillBoundary(t *testing.T) {
	var reused Event
	rapid.Check(t, func(rt *rapid.T) {
		e := genEvent(rt)
		around := rapid.IntRange(-40, 40)
		fill := rapid.SampledFrom([]byte("xy")).Draw(rt, "fill")
		if e.Stored && rapid.Bool().Draw(rt, "long message") {
			e.Message = bytes.Repeat([]byte{fill}, InlineMax+around.Draw(rt, "message"))
		}
		if rapid.Bool().Draw(rt, "long outputs") {
			e.Outputs = append(e.Outputs, Output{Kind: KindFact, Payload: bytes.Repeat([]byte{'x'}, InlineMax-30+around.Draw(rt, "outputs"))})
		}
		if rapid.Bool().Draw(rt, "named") {
			e.Contents = append(e.Contents, SumContent(e.Message))
		}
		data, resolve := collect(e)
		section := len(e.appendOutputs(nil))
		if spilled := data[1]&flagMessageSpilled != 0; spilled != (len(e.Message) > InlineMax) {
			rt.Fatalf("message of %d bytes spilled: %v", len(e.Message), spilled)
		}
		if spilled := data[1]&flagOutputsSpilled != 0; spilled != (section > InlineMax) {
			rt.Fatalf("outputs of %d bytes spilled: %v", section, spilled)
		}
		if err := DecodeEventInto(&reused, data, resolve); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(reused.AppendTo(nil), data) || !bytes.Equal(reused.Message, e.Message) || !bytes.Equal(reused.appendOutputs(nil), e.appendOutputs(nil)) {
			rt.Fatal("the event is not what it was")
		}
		old := e.AppendVersionTo(nil, 1)
		if err := DecodeEventInto(&reused, old, nil); err != nil || !bytes.Equal(reused.AppendVersionTo(nil, old[0]), old) {
			rt.Fatalf("version 1: %v", err)
		}
		if cut := rapid.IntRange(0, len(data)-1).Draw(rt, "cut"); DecodeEventInto(&reused, data[:cut], resolve) == nil {
			rt.Fatalf("the first %d of %d bytes decode", cut, len(data))
		}
	})
}

func TestDecodeRefusesSpilled(t *testing.T) {
	data, resolve := collect(spilledEvent())
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(data)) }
	other := func(content []byte) Resolver { return func(Hash) ([]byte, error) { return content, nil } }
	long := func(e *Event) []byte { // everything in the envelope
		b := e.AppendVersionTo(nil, 1)
		b[0] = EnvelopeVersion
		return b
	}
	for _, c := range []struct {
		name    string
		data    []byte
		resolve Resolver
		text    string
	}{
		{"version 1", edit(func(b []byte) []byte { b[0] = 1; return b }), resolve, "unknown flags"},
		{"not stored", edit(func(b []byte) []byte { b[1] &^= flagStored; return b }), resolve, "not stored"},
		{"not named", edit(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), resolve, "not named"},
		{"too short for it", edit(func(b []byte) []byte { b[9]--; return b }), resolve, "not of a size"},
		{"of another length", edit(func(b []byte) []byte { b[9]++; return b }), resolve, "has 65537"},
		{"no such content", data, func(Hash) ([]byte, error) { return nil, ErrNotFound }, "not in the journal"},
		{"wrong outputs", data, other(make([]byte, InlineMax+1)), "65547"},
		{"message inline", long(&Event{Sequence: 1, Stored: true, Message: make([]byte, InlineMax+1)}), resolve, "message should be kept"},
		{"outputs inline", long(&Event{Sequence: 1, Stored: true, Outputs: spilledEvent().Outputs}), resolve, "outputs should be kept"},
	} {
		if e, err := DecodeEvent(c.data, c.resolve); err == nil {
			t.Errorf("%s: decodes to event %d", c.name, e.Sequence)
		} else if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v (%v)", c.name, err, fault.Of(err))
		}
	}
}

// TestLargeEvents appends what is far too large for an envelope, and reads it
// back in every way after a restart.
func TestLargeEvents(t *testing.T) {
	fs := vfs.NewMem()
	j := mustOpen(t, memOptions(fs))
	noise := make([]byte, 17<<20)
	for i := 0; i+8 <= len(noise); i += 8 {
		binary.LittleEndian.PutUint64(noise[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	events := []*Event{
		{Sequence: 1, Stored: true, Message: []byte("small")},
		{Sequence: 2, Stored: true, Message: noise},
		{Sequence: 3, Stored: true, Outputs: []Output{{Kind: KindFact, Payload: noise[1:]}, {Kind: KindSend, Target: "x", Payload: []byte("last")}}},
		{Sequence: 4, Stored: true, Message: noise}, // the same bytes again
		{Sequence: 5, Cause: Ref{3, 1}},
	}
	for _, e := range events {
		if _, err := j.Append(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	head := j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Contents != 2 || s.Suppressed != 1 || s.ContentBytes < 2*uint64(len(noise)) {
		t.Fatalf("%+v", s)
	}
	j = mustOpen(t, memOptions(fs))
	defer j.Close()
	same := func(got *Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		want := events[got.Sequence-1]
		if !bytes.Equal(got.Message, want.Message) || !bytes.Equal(got.appendOutputs(nil), want.appendOutputs(nil)) || !bytes.Equal(got.AppendTo(nil), want.AppendTo(nil)) {
			t.Fatalf("event %d is not what was appended", got.Sequence)
		}
	}
	for s := range uint64(len(events)) {
		e, _, err := j.Event(s + 1)
		same(e, err)
	}
	it := j.Iterate(0, true)
	for it.Next() {
		same(it.Event())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil || r.Head != head || r.Contents != 2 || r.Orphans != 0 || r.EventBytes > 4096 {
		t.Fatalf("%+v %v", r, err)
	}
}

// TestSpilledDamage removes and changes the content that holds a message: the
// event must not be read as one without.
func TestSpilledDamage(t *testing.T) {
	h := SumContent(spilledEvent().Message)
	for name, damage := range map[string]func(db *pebble.DB) error{
		"removed": func(db *pebble.DB) error { return db.Delete(appendContentKey(nil, h), pebble.NoSync) },
		"changed": func(db *pebble.DB) error {
			return db.Set(appendContentKey(nil, h), AppendContent(nil, bytes.Repeat([]byte("c"), InlineMax+1)), pebble.NoSync)
		},
		"unreadable": func(db *pebble.DB) error { return db.Set(appendContentKey(nil, h), []byte{9}, pebble.NoSync) },
	} {
		fs := vfs.NewMem()
		j := mustOpen(t, memOptions(fs))
		for s := uint64(1); s <= 2*tailEvents; s++ { // far from what opening looks at
			e := &Event{Sequence: s, Stored: true}
			if s == 1 {
				e = spilledEvent()
			}
			if _, err := j.Append(e, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		edit(t, fs, damage)
		j = mustOpen(t, memOptions(fs))
		_, _, eventErr := j.Event(1)
		it := j.Iterate(1, false)
		it.Next()
		_, iterErr := it.Event()
		_, verifyErr := j.Verify(t.Context(), 0, 0, nil)
		for i, err := range []error{eventErr, iterErr, verifyErr} {
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Sequence != 1 || !strings.Contains(err.Error(), h.String()) || strings.Count(err.Error(), corruptAdvice) != 1 {
				t.Errorf("%s, reader %d: %v", name, i, err)
			}
		}
		if err := errors.Join(it.Close(), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
