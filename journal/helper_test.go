package journal

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func mustOpen(t testing.TB, o Options) *Journal {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	if o.Dir == "" {
		o.Dir = "journal"
	}
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func memOptions(fs vfs.FS) Options { return Options{FS: fs, Dir: "journal", Logger: quiet} }

// event makes the event of a sequence from a seed, always the same one.
func event(seed, sequence uint64) (*Event, []Content) {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	binary.LittleEndian.PutUint64(s[8:], sequence)
	r := rand.NewChaCha8(s)
	rng := rand.New(r)
	bytes := func(n int) []byte {
		b := make([]byte, n)
		_, _ = r.Read(b)
		return b
	}
	e := &Event{
		Sequence: sequence, Time: 1_700_000_000_000 + int64(sequence)*7,
		Actor: []string{"chain", "bridge", "miner"}[rng.IntN(3)], Type: "test.message", Schema: 1,
		Stored: true, Message: bytes(rng.IntN(300)),
	}
	for i := range rng.IntN(4) {
		o := Output{Kind: Kind(1 + rng.IntN(3)), Type: fmt.Sprintf("out.%d", i), Schema: 2, Class: byte(i), Payload: bytes(rng.IntN(100))}
		if o.Kind != KindFact {
			o.Target = "engine"
		}
		e.Outputs = append(e.Outputs, o)
	}
	if sequence > 3 && rng.IntN(3) == 0 {
		e.Cause = Ref{Sequence: sequence - 2, Index: 1}
		if rng.IntN(2) == 0 {
			e.Stored, e.Message = false, nil
		}
	}
	if rng.IntN(10) == 0 {
		e.Outcome, e.Note, e.Outputs = OutcomeFailed, "nil map", nil
	}
	var contents []Content
	if rng.IntN(4) == 0 {
		data := bytes(1 + rng.IntN(6000))
		h := SumContent(data)
		e.Contents = []Hash{h}
		contents = []Content{{Hash: h, Data: data}}
	}
	return e, contents
}

// fill appends the events up to a sequence and waits until they are durable.
func fill(t testing.TB, j *Journal, seed, to uint64) {
	t.Helper()
	for s := j.Head().Sequence + 1; s <= to; s++ {
		e, c := event(seed, s)
		if _, err := j.Append(e, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), to); err != nil {
		t.Fatal(err)
	}
}
