package connected_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/projections/connected"
)

// blockBytes is about what a block of a few transfers has.
const blockBytes = 1500

func height(n uint64) index.Term {
	return index.Term{Kind: index.KindOwn, Value: string(binary.BigEndian.AppendUint64(nil, n))}
}

// terms are those of heights, as the node's index has them.
func terms(e *journal.Event, _ func(journal.Hash) ([]byte, error), yield func(index.Kind, []byte)) error {
	for i := range e.Outputs {
		if m, err := connected.Fact(&e.Outputs[i]); err == nil && m != nil {
			yield(index.KindOwn, []byte(height(m.Number).Value))
		}
	}
	return nil
}

// written is a journal of connected blocks that is being written.
type written struct {
	t       testing.TB
	journal *journal.Journal
	index   *index.Index
	reader  connected.Reader
	branch  []connected.Block // by height, as it should be read
	random  *rand.Rand
	next    uint64
}

func write(t testing.TB) *written {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	j, err := journal.Open(journal.Options{Dir: dir + "/journal", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(j, index.Options{Dir: dir + "/index", Extract: index.Extract{Version: 1, Terms: terms}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, x.Close(), j.Close()); err != nil {
			t.Error(err)
		}
	})
	return &written{t: t, journal: j, index: x, reader: connected.Reader{Index: x, Height: height}, random: rand.New(rand.NewPCG(1, 2))}
}

// turn writes an event that reverts some blocks of the branch and connects others, and
// after it events of other kinds.
func (w *written) turn(revert, connect, others int) {
	w.t.Helper()
	w.branch = w.branch[:len(w.branch)-revert]
	e := &journal.Event{Actor: "chain", Type: "asked", Schema: 1, Stored: true, Message: make([]byte, 200)}
	var contents []journal.Content
	for range connect {
		number := uint64(len(w.branch))
		m := &message.BlockConnected{Number: number, Fees: []byte{1}}
		for i := 0; i < len(m.Root); i += 8 {
			binary.BigEndian.PutUint64(m.Root[i:], w.random.Uint64())
		}
		if number > 0 {
			m.Parent = w.branch[number-1].Root
			data := make([]byte, blockBytes)
			copy(data, m.Root[:])
			c := journal.Content{Hash: sha256.Sum256(data), Data: data}
			contents, e.Contents = append(contents, c), append(e.Contents, c.Hash)
			m.Signed = record.Content{Hash: c.Hash}
		}
		payload, _ := record.Encode(m)
		e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: m.Type(), Schema: m.Schema(), Payload: payload})
		w.branch = append(w.branch, connected.Block{Number: number, Root: m.Root, Parent: m.Parent, Signed: journal.Hash(m.Signed.Hash)})
	}
	w.append(e, contents)
	for range others {
		w.append(&journal.Event{Actor: "engine", Type: "other", Schema: 1, Stored: true, Message: make([]byte, 300)}, nil)
	}
}

func (w *written) append(e *journal.Event, contents []journal.Content) {
	w.t.Helper()
	w.next++
	e.Sequence, e.Time = w.next, int64(w.next)
	if _, err := w.journal.Append(e, contents); err != nil {
		w.t.Fatal(err)
	}
}

func (w *written) durable() {
	w.t.Helper()
	if err := w.journal.WaitDurable(context.Background(), w.next); err != nil {
		w.t.Fatal(err)
	}
}

// level waits until the index has everything.
func (w *written) level() {
	w.t.Helper()
	w.durable()
	for deadline := time.Now().Add(2 * time.Minute); w.index.Position().Sequence < w.next; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("the index stands at %d of %d", w.index.Position().Sequence, w.next)
		}
	}
}

// Whatever was reverted, in turns of one block and of many, a run has the blocks of the
// branch, wherever the index stands.
func TestRunsAreOfTheBranch(t *testing.T) {
	w := write(t)
	w.turn(0, 1, 0)
	for range 300 {
		revert := 0
		if w.random.IntN(4) == 0 {
			revert = w.random.IntN(min(len(w.branch), 12))
		}
		w.turn(revert, revert+w.random.IntN(6), w.random.IntN(5))
		if len(w.branch) == 0 || w.random.IntN(3) > 0 {
			continue
		}
		w.durable()
		from := uint64(w.random.IntN(len(w.branch)))
		to := from + uint64(w.random.IntN(len(w.branch)-int(from)))
		w.want(from, to)
	}
	w.level()
	for from := range w.branch {
		w.want(uint64(from), uint64(len(w.branch)-1))
	}
}

func (w *written) want(from, to uint64) {
	w.t.Helper()
	got, err := w.reader.Run(w.t.Context(), from, to)
	want := w.branch[from : min(to, from+connected.MaxRun-1)+1]
	if err != nil || len(got) != len(want) {
		w.t.Fatalf("%d to %d of %d: %d blocks, %v", from, to, len(w.branch), len(got), err)
	}
	for i := range got {
		if got[i] != want[i] {
			w.t.Fatalf("%d to %d: %+v, want %+v", from, to, got[i], want[i])
		}
	}
}

// A run above what was connected, and one of a branch that lost its end, give nothing of
// another branch; a long run ends by itself.
func TestRunsThatAreNone(t *testing.T) {
	w := write(t)
	for range 5 {
		w.turn(0, 300, 3)
	}
	w.turn(4, 2, 0) // blocks 1498 and 1499 were reverted, and nothing replaced them
	w.durable()
	ctx := t.Context()
	if got, err := w.reader.Run(ctx, 1500, 1510); len(got) > 0 || err != nil {
		t.Errorf("above all blocks: %d, %v", len(got), err)
	}
	if got, err := w.reader.Run(ctx, 9, 8); len(got) > 0 || err != nil {
		t.Errorf("nothing was asked for: %d, %v", len(got), err)
	}
	if got, err := w.reader.Run(ctx, 1497, 1499); len(got) > 0 || !fault.Is(err, fault.Temporary) {
		t.Errorf("across a reverted end: %d, %v", len(got), err)
	}
	if got, err := w.reader.Run(ctx, 1490, 1510); len(got) > 0 || !fault.Is(err, fault.Temporary) {
		t.Errorf("beyond the end: %d, %v", len(got), err)
	}
	w.want(0, 1497)
	w.want(474, 1497)
}

// A fact that does not decode is corruption, named.
func TestFactThatIsNone(t *testing.T) {
	w := write(t)
	w.turn(0, 3, 0)
	w.append(&journal.Event{
		Actor: "chain", Type: "asked", Schema: 1, Stored: true, Message: []byte{},
		Outputs: []journal.Output{{Kind: journal.KindFact, Type: (&message.BlockConnected{}).Type(), Schema: 1, Payload: []byte("no fact")}},
	}, nil)
	w.turn(0, 2, 0)
	w.durable()
	if got, err := w.reader.Run(t.Context(), 1, 4); len(got) > 0 || !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v, %v", got, err)
	}
	w.want(3, 4)
	if _, sequence, err := w.reader.Last(t.Context(), 2); sequence != 1 || err != nil {
		t.Errorf("block 2 in event %d, %v", sequence, err)
	}
}

// BenchmarkServe gives the bytes of 512 blocks far below the head, of a journal with ten
// events a block: "one by one" asks the index for each height.
func BenchmarkServe(b *testing.B) {
	const blocks, run = 8192, 512
	w := write(b)
	for range blocks {
		w.turn(0, 1, 9)
	}
	w.level()
	give := func(b *testing.B, h journal.Hash) {
		data, err := w.journal.Content(h)
		if err != nil || len(data) != blockBytes {
			b.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	from := func(i int) uint64 { return 1 + uint64(i*2741)%(blocks-run) }
	rate := func(b *testing.B) {
		b.ReportMetric(float64(b.N)*run/b.Elapsed().Seconds(), "blocks/s")
	}
	b.Run("one by one", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			for number := from(i); number < from(i)+run; number++ {
				s, sequence, err := w.reader.Last(b.Context(), number)
				if err != nil || sequence == 0 {
					b.Fatal(err)
				}
				give(b, s.Signed)
			}
		}
		rate(b)
	})
	b.Run("run", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			list, err := w.reader.Run(b.Context(), from(i), from(i)+run-1)
			if err != nil || len(list) != run {
				b.Fatalf("%d blocks, %v", len(list), err)
			}
			for _, s := range list {
				give(b, s.Signed)
			}
		}
		rate(b)
	})
}
