package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// golden is the example of docs/formats/journal.md.
var goldenEvent = Event{
	Sequence: 300, Time: 1_700_000_000_123, Actor: "chain", Type: "block", Schema: 1,
	Cause: Ref{Sequence: 299, Index: 2}, Stored: true, Message: []byte{0xaa, 0xbb},
	Outputs: []Output{
		{Kind: KindSend, Target: "bridge", Type: "pay", Schema: 3, Class: 0, Priority: 1, Payload: []byte{0x01}},
		{Kind: KindFact, Type: "head", Schema: 1},
	},
	Contents: []Hash{SumContent([]byte("block"))},
}

const goldenHex = "0215" + // version, flags: stored, cause, contents
	"ac02" + "f6a1abfef962" + // sequence, time
	"05636861696e" + "05626c6f636b" + "01" + // actor, type, schema
	"ab02" + "02" + // cause
	"02aabb" + // message
	"02" + // outputs
	"01" + "06627269646765" + "03706179" + "03" + "00" + "01" + "0101" +
	"02" + "00" + "0468656164" + "01" + "00" + "00" + "00" +
	"01" + "496aca80e4d8f29fb8e8cd816c3afb48d3f103970b3a2ee1600c08ca67326dee"

// Hashes over the example, computed with another SHA-256 than Go's.
const (
	goldenOrigin = "a8c602186e33c61e1130a31bc3172456925e12c29336ddb95e5ae21fac149f1f"
	goldenLink   = "d926221f1bf9dd1b4ed95fef6ad4e1a9d993af4bed6fbdcd02e55b60338396af"
)

func TestGoldenEnvelope(t *testing.T) {
	if got := hex.EncodeToString(goldenEvent.AppendTo(nil)); got != goldenHex {
		t.Fatalf("got  %s\nwant %s", got, goldenHex)
	}
	if got := hex.EncodeToString(goldenEvent.AppendVersionTo(nil, 1)); got != "01"+goldenHex[2:] {
		t.Fatalf("version 1: %s", got)
	}
	origin := Origin(ID{0x0f})
	if got := origin.String(); got != goldenOrigin {
		t.Fatalf("origin %s, want %s", got, goldenOrigin)
	}
	if got := Link(origin, goldenEvent.AppendTo(nil)).String(); got != goldenLink {
		t.Fatalf("link %s, want %s", got, goldenLink)
	}
}

func genEvent(rt *rapid.T) *Event {
	short := rapid.StringN(0, 20, 80)
	data := rapid.SliceOfN(rapid.Byte(), 0, 300)
	e := &Event{
		Sequence: rapid.Uint64Min(1).Draw(rt, "sequence"),
		Time:     rapid.Int64().Draw(rt, "time"),
		Actor:    short.Draw(rt, "actor"),
		Type:     short.Draw(rt, "type"),
		Schema:   rapid.Uint32().Draw(rt, "schema"),
		Stored:   rapid.Bool().Draw(rt, "stored"),
	}
	if e.Sequence == 1 {
		e.Stored = true
	}
	if e.Sequence > 1 && (!e.Stored || rapid.Bool().Draw(rt, "caused")) {
		e.Cause = Ref{Sequence: rapid.Uint64Range(1, e.Sequence-1).Draw(rt, "cause"), Index: rapid.Uint32().Draw(rt, "index")}
	}
	if e.Stored {
		e.Message = data.Draw(rt, "message")
	}
	if rapid.Bool().Draw(rt, "failed") {
		e.Outcome, e.Note = OutcomeFailed, short.Draw(rt, "note")
	}
	e.Outputs = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Output {
		return Output{
			Kind: Kind(rapid.IntRange(1, 3).Draw(rt, "kind")), Target: short.Draw(rt, "target"), Type: short.Draw(rt, "type"),
			Schema: rapid.Uint32().Draw(rt, "schema"), Class: rapid.Byte().Draw(rt, "class"), Priority: rapid.Byte().Draw(rt, "priority"),
			Payload: data.Draw(rt, "payload"),
		}
	}), 0, 6).Draw(rt, "outputs")
	for i := range rapid.IntRange(0, 20).Draw(rt, "contents") {
		e.Contents = append(e.Contents, Hash{byte(i), 1})
	}
	return e
}

func TestEnvelopeRoundTrip(t *testing.T) {
	var reused Event
	rapid.Check(t, func(rt *rapid.T) {
		e := genEvent(rt)
		if err := e.Validate(); err != nil {
			rt.Fatal(err)
		}
		data := e.AppendTo(nil)
		got, err := DecodeEvent(data, nil)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got.AppendTo(nil), data) {
			rt.Fatalf("%+v became %+v", e, got)
		}
		if got.Sequence != e.Sequence || got.Time != e.Time || got.Actor != e.Actor || got.Note != e.Note ||
			got.Cause != e.Cause || got.Stored != e.Stored || len(got.Outputs) != len(e.Outputs) || len(got.Contents) != len(e.Contents) {
			rt.Fatalf("%+v became %+v", e, got)
		}
		// Reuse must leave nothing of the event before.
		if err := DecodeEventInto(&reused, data, nil); err != nil || !bytes.Equal(reused.AppendTo(nil), data) {
			rt.Fatalf("reused: %v", err)
		}
		for n := range data {
			if _, err := DecodeEvent(data[:n], nil); err == nil {
				rt.Fatalf("the first %d of %d bytes decode", n, len(data))
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	valid := goldenEvent.AppendTo(nil)
	edit := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), valid...)) }
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"version 0", edit(func(b []byte) []byte { b[0] = 0; return b })},
		{"unknown flag", edit(func(b []byte) []byte { b[1] |= 0x80; return b })},
		{"bytes after the end", edit(func(b []byte) []byte { return append(b, 0) })},
		{"long varint", []byte{1, flagStored, 0x81, 0x00, 0, 0, 0, 0, 0, 0}},
		{"sequence 0", []byte{1, flagStored, 0, 0, 0, 0, 0, 0, 0}},
		{"sequence of 65 bits", []byte{1, flagStored, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0, 0}},
		{"schema of 33 bits", []byte{1, flagStored, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0}},
		{"neither message nor cause", []byte{1, 0, 1, 0, 0, 0, 0, 0}},
		{"empty note", []byte{1, flagStored | flagNote, 1, 0, 0, 0, 0, 0, 0, 0}},
		{"empty contents", []byte{1, flagStored | flagContents, 1, 0, 0, 0, 0, 0, 0, 0}},
		{"empty cause", []byte{1, flagStored | flagCause, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"cause in the future", []byte{1, flagStored | flagCause, 1, 0, 0, 0, 0, 1, 0, 0, 0}},
		{"output of kind 0", []byte{1, flagStored, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
		{"output of kind 4", []byte{1, flagStored, 1, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0}},
		{"too many outputs", []byte{1, flagStored, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"too long message", []byte{1, flagStored, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"too many contents", append([]byte{1, flagStored | flagContents, 1, 0, 0, 0, 0, 0, 0, 0x7f}, make([]byte, 64)...)},
		{"content twice", append([]byte{1, flagStored | flagContents, 1, 0, 0, 0, 0, 0, 0, 2}, make([]byte, 64)...)},
		{"content twice of many", append([]byte{1, flagStored | flagContents, 1, 0, 0, 0, 0, 0, 0, 20}, make([]byte, 640)...)},
	} {
		if e, err := DecodeEvent(c.data, nil); err == nil {
			t.Errorf("%s: decodes to %+v", c.name, e)
		} else if fault.Of(err) != fault.Invalid || errors.Is(err, ErrNewerFormat) {
			t.Errorf("%s: %v (%v)", c.name, err, fault.Of(err))
		}
	}
	newer := edit(func(b []byte) []byte { b[0] = EnvelopeVersion + 1; return b })
	if _, err := DecodeEvent(newer, nil); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("newer version: %v", err)
	}
}

func TestDecodeIntoDoesNotAllocate(t *testing.T) {
	data := goldenEvent.AppendTo(nil)
	var e Event
	if n := leastAllocations(func() {
		if err := DecodeEventInto(&e, data, nil); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// leastAllocations is what one call of f allocates. The count is of the whole
// process, in which databases of other tests may still be at work: the least
// of many counts is that of f alone.
func leastAllocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 1000 {
		least = min(least, testing.AllocsPerRun(1, f))
		if least == 0 {
			break
		}
	}
	return least
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(goldenEvent.AppendTo(nil))
	for s := uint64(1); s < 30; s++ {
		e, _ := event(1, s)
		f.Add(e.AppendTo(nil))
	}
	f.Add([]byte{1, flagStored, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(goldenEvent.AppendVersionTo(nil, 1))
	f.Add(spilledEvent().AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := DecodeEvent(data, spilledResolver)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("grade %v: %v", fault.Of(err), err)
			}
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
		if again := e.AppendVersionTo(nil, data[0]); !bytes.Equal(again, data) {
			t.Fatalf("%x encodes to %x", data, again)
		}
	})
}

func FuzzHeadFile(f *testing.F) {
	slot := encodeSlot(record{ID{1}, Head{5, Hash{2}}})
	f.Add(slot, slot)
	f.Add(slot, []byte{})
	f.Add([]byte("ALYSHEAD"), slot)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		file := make([]byte, headPage)
		copy(file, a)
		r := judgeSlots(append(file, b...))
		if r.state == headOK {
			if s, err := decodeSlot(encodeSlot(r.record)); err != nil || s != r.record {
				t.Fatal("record does not round-trip", err)
			}
		} else if r.detail == nil {
			t.Fatal("no reason given")
		}
	})
}
