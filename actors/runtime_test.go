package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

var silent = slog.New(slog.DiscardHandler)

func newMachine(t failer, id journal.ID) *actors.Machine {
	m, err := actors.NewMachine(id, []core.Core{supervisor.New(), ledger{}, echo{}}, []core.Message{&pay{}, &noted{}, &message.StopProcess{}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rig is a runtime on a file system that can lose power.
type rig struct {
	fs        vfs.FS
	journal   *journal.Journal
	snapshots *snapshot.Store
	machine   *actors.Machine
	runtime   *actors.Runtime
	clock     atomic.Int64

	mu       sync.Mutex
	executed []core.Ref
	requests map[core.Ref]pay
	facts    []uint64 // sequences of facts seen
}

// boot opens what is on fs, recovers and starts. refuse makes the bank answer nothing.
func boot(t failer, fs vfs.FS, mute bool) *rig {
	r := &rig{fs: fs, requests: make(map[core.Ref]pay)}
	var err error
	r.journal, err = journal.Open(journal.Options{FS: fs, Dir: "data/journal", Logger: silent, OnDurable: func(h journal.Head) {
		if r.runtime != nil {
			r.runtime.Durable(h)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.snapshots, err = snapshot.Open(snapshot.Options{FS: fs, Dir: "data/snapshots", Keep: 2, Logger: silent}); err != nil {
		t.Fatal(err)
	}
	r.machine = recoverMachine(t, r.journal, r.snapshots)
	bank := actors.ExecutorFunc(func(_ context.Context, q actors.Request) {
		r.mu.Lock()
		r.executed = append(r.executed, q.Ref)
		r.requests[q.Ref] = *q.Message.(*pay)
		if durable := r.journal.Durable().Sequence; durable < q.Ref.Sequence {
			t.Errorf("effect of turn %d left, durable is %d", q.Ref.Sequence, durable)
		}
		r.mu.Unlock()
		if !mute {
			q.Reply(&paid{Amount: q.Message.(*pay).Amount})
			q.Reply(&paid{Amount: 1 << 40}) // a second answer must not count
		}
	})
	r.runtime = actors.NewRuntime(actors.Options{
		Journal: r.journal, Machine: r.machine, Logger: silent, Snapshots: r.snapshots, SnapshotTurns: 40,
		Clock: func() int64 { return r.clock.Add(3) },
		Edges: map[core.Edge]actors.Executor{"bank": bank},
		OnFact: func(f actors.Fact) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.facts = append(r.facts, f.Ref.Sequence)
			if durable := r.journal.Durable().Sequence; durable < f.Ref.Sequence {
				t.Errorf("fact of turn %d left, durable is %d", f.Ref.Sequence, durable)
			}
		},
	})
	first := actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{Software: "test"}}
	if err := r.runtime.Start(context.Background(), first, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func recoverMachine(t failer, j *journal.Journal, store *snapshot.Store) *actors.Machine {
	m := newMachine(t, j.ID())
	var after journal.Hash
	if store != nil {
		manifest, found, err := store.Newest(func(s snapshot.Manifest) error {
			m = newMachine(t, j.ID())
			return store.Load(s, func(section string, key, value []byte) error {
				return m.Load(section, slices.Clone(key), slices.Clone(value), func(h [32]byte) ([]byte, error) { return j.Content(h) })
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if found {
			after = journal.Hash(manifest.Hash)
		}
	}
	if _, err := replay.Run(context.Background(), j, m, replay.Options{After: after}); err != nil {
		t.Fatal(err)
	}
	return m
}

// work submits deposits, calls between after each, waits until all is handled
// and stops cleanly.
func (r *rig) work(t failer, amounts []uint64, between func(i int)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.runtime.Run(ctx) }()
	for i, amount := range amounts {
		body := record.NewContent(fmt.Appendf(nil, "body of amount %d", amount))
		if err := r.runtime.Submit(ctx, ledgerID, &deposit{Account: uint64(i % 5), Amount: amount, Body: body}, actors.Priority(i%3), actors.Block); err != nil {
			t.Fatal(err)
		}
		between(i)
	}
	// Every message was handled once the counters stand still.
	for {
		before := r.runtime.Counts()
		if err := r.journal.WaitDurable(ctx, before.Sequence); err != nil {
			t.Fatal(err)
		}
		if after := r.runtime.Counts(); after.Waiting == 0 && after.Sequence == before.Sequence {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (r *rig) close(t failer) {
	if err := r.journal.Close(); err != nil {
		t.Fatal(err)
	}
}

func stateDigest(t failer, m *actors.Machine) snapshot.Hash {
	d, err := snapshot.Digests(m.Freeze())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Root(d)
}

// A run replays equal from genesis and from its snapshots, to the same digest.
func TestReplayEqualsRun(t *testing.T) {
	fs := vfs.NewMem()
	r := boot(t, fs, false)
	amounts := make([]uint64, 300)
	for i := range amounts {
		amounts[i] = uint64(i)
	}
	r.work(t, amounts, func(int) {})
	live := stateDigest(t, r.machine)
	counts := r.runtime.Counts()
	if counts.Failed != 2 { // thirteen, and the send to nobody
		t.Errorf("%d turns failed, want 2", counts.Failed)
	}
	s := r.machine.State(ledgerID).(*ledgerState)
	if want := uint64(300*299/2 - 13); s.total != want {
		t.Errorf("total %d, want %d: a failed turn must leave the state alone", s.total, want)
	}
	for name, store := range map[string]*snapshot.Store{"genesis": nil, "snapshot": r.snapshots} {
		if got := stateDigest(t, recoverMachine(t, r.journal, store)); got != live {
			t.Errorf("from %s: digest %x, live %x", name, got, live)
		}
	}
	r.close(t)
}

// Power is cut at any point: what was released stays true, recovery from
// snapshots equals recovery from genesis, until-done effects run again with the
// same content, expiring ones are answered, nothing is paid twice.
func TestPowerCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		crash := fs
		executed := make(map[core.Ref]pay)
		for range rapid.IntRange(1, 3).Draw(t, "lives") {
			tb := failer(t)
			r := boot(tb, crash, rapid.Bool().Draw(t, "mute"))
			amounts := rapid.SliceOfN(rapid.Uint64Range(0, 40), 1, 60).Draw(t, "amounts")
			at := rapid.IntRange(0, len(amounts)-1).Draw(t, "cut")
			cfg := vfs.CrashCloneCfg{
				UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(t, "unsynced"),
				RNG:                 newRand(rapid.Uint64().Draw(t, "seed")),
			}
			var acknowledged journal.Head
			live := crash
			r.work(tb, amounts, func(i int) {
				if i != at {
					return
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				for ref, p := range r.requests {
					if before, ok := executed[ref]; ok && before != p {
						t.Fatalf("effect %v was %v and is %v", ref, before, p)
					}
					executed[ref] = p
				}
				acknowledged = r.journal.Durable()
				crash = live.CrashClone(cfg)
			})
			r.close(tb)
			j, err := journal.Open(journal.Options{FS: crash, Dir: "data/journal", Logger: silent})
			if err != nil {
				t.Fatal(err)
			}
			for ref, p := range executed { // what left the process was asked for by a durable turn
				e, _, err := j.Event(ref.Sequence)
				if err != nil || int(ref.Index) >= len(e.Outputs) {
					t.Fatalf("effect %v was executed, its turn is gone: %v", ref, err)
				}
				if data, _ := record.Encode(&p); string(data) != string(e.Outputs[ref.Index].Payload) {
					t.Fatalf("effect %v was executed with another content", ref)
				}
			}
			if _, hash, err := j.Event(acknowledged.Sequence); err != nil || hash != acknowledged.Hash {
				t.Fatalf("event %d was acknowledged: %v", acknowledged.Sequence, err)
			}
			store, err := snapshot.Open(snapshot.Options{FS: crash, Dir: "data/snapshots", Keep: 2, Logger: silent})
			if err != nil {
				t.Fatal(err)
			}
			fromSnapshot, fromGenesis := recoverMachine(tb, j, store), recoverMachine(tb, j, nil)
			if a, b := stateDigest(tb, fromSnapshot), stateDigest(tb, fromGenesis); a != b {
				t.Fatalf("recovered from a snapshot to %x, from genesis to %x", a, b)
			}
			for _, e := range fromGenesis.PendingEffects() {
				if p, ran := executed[e.Ref]; ran && p != *e.Request.(*pay) {
					t.Fatalf("pending effect %v changed", e.Ref)
				}
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A message an actor does not take, a result nobody waits for and an unknown
// actor are refused without a turn.
func TestRefusedInput(t *testing.T) {
	m := newMachine(t, journal.ID{1})
	for name, in := range map[string]actors.Input{
		"unknown actor":       {Actor: "nobody", Message: &deposit{}},
		"unknown message":     {Actor: echoID, Message: &paid{}},
		"result of no effect": {Actor: ledgerID, Message: &paid{}, Cause: core.Ref{Sequence: 9}},
		"send out of order":   {Actor: ledgerID, Message: &deposit{}, Cause: core.Ref{Sequence: 9}, Sent: true},
	} {
		if _, err := m.Step(in); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if m.Sequence() != 0 {
		t.Errorf("sequence %d after refused input", m.Sequence())
	}
}

// A full lane rejects, drops or blocks as the sender asked; a stopped inbox says so.
func TestBackPressure(t *testing.T) {
	fs := vfs.NewMem()
	r := boot(t, fs, false)
	defer r.close(t)
	ctx, cancel := context.WithCancel(context.Background())
	var busy int
	for range 5000 { // the sequencer does not run: the lane holds 4096
		if err := r.runtime.Submit(ctx, ledgerID, &deposit{Amount: 1}, actors.Low, actors.Reject); errors.Is(err, actors.ErrBusy) {
			busy++
		}
	}
	if busy != 5000-4096 {
		t.Errorf("%d rejected, want %d", busy, 5000-4096)
	}
	if err := r.runtime.Submit(ctx, ledgerID, &deposit{Amount: 1}, actors.Low, actors.Drop); err != nil || r.runtime.Counts().Dropped != 1 {
		t.Errorf("drop: %v, %d counted", err, r.runtime.Counts().Dropped)
	}
	cancel()
	if err := r.runtime.Submit(ctx, ledgerID, &deposit{Amount: 1}, actors.Low, actors.Block); err == nil {
		t.Error("blocked send outlived its context")
	}
}

func BenchmarkMachineStep(b *testing.B) {
	m := newMachine(b, journal.ID{1})
	in := actors.Input{Actor: ledgerID, Message: &deposit{Account: 3, Amount: 5}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Step(in); err != nil {
			b.Fatal(err)
		}
		for next, ok := m.NextSend(); ok; next, ok = m.NextSend() {
			if _, err := m.Step(next); err != nil {
				b.Fatal(err)
			}
		}
	}
}
