package journal_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/faultfs"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// crashEnv switches this lane on: the number of seeded runs.
const crashEnv = "ALYS_CRASH_RUNS"

// model is what a journal must hold, kept as text beside it. It shares nothing
// with the code under test.
type model struct {
	mu     sync.Mutex
	events []string      // by sequence, from 1; handed to Append, or about to be
	acked  atomic.Uint64 // told to be durable
}

func (m *model) record(sequence uint64, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events[:sequence-1], text)
}

func (m *model) appended() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.events))
}

// copy returns the model as it is known after a cut.
func (m *model) copy(acked uint64) *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &model{events: append([]string(nil), m.events...)}
	c.acked.Store(acked)
	return c
}

// text is an event with its contents, in words.
func text(e *journal.Event, content func(journal.Hash) ([]byte, error)) (string, error) {
	s := fmt.Sprintf("%d %d %s %s %x %q", e.Sequence, e.Time, e.Actor, e.Type, sha256.Sum256(e.Message), e.Note)
	for _, o := range e.Outputs {
		s += fmt.Sprintf(" %d %s %s %x", o.Kind, o.Target, o.Type, o.Payload)
	}
	if len(e.Message) > journal.InlineMax {
		return s, nil // its contents are the journal's own doing
	}
	for _, h := range e.Contents {
		data, err := content(h)
		if err != nil {
			return s, err
		}
		s += fmt.Sprintf(" content %x", sha256.Sum256(data))
	}
	return s, nil
}

// turn makes an event of random size; one in thirty has a message too long for
// an envelope.
func turn(rng *rand.Rand, sequence uint64, life int) (*journal.Event, []journal.Content) {
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	e := &journal.Event{
		Sequence: sequence, Time: 1_700_000_000_000 + int64(sequence), Actor: "chain", Type: fmt.Sprintf("life.%d", life), Schema: 1,
		Stored: true, Message: random(rng.IntN(400)),
		Outputs: []journal.Output{{Kind: journal.KindEffect, Target: "bank", Type: "pay", Schema: 1, Payload: random(8)}},
	}
	if rng.IntN(30) == 0 {
		e.Message = random(journal.InlineMax + 1)
		return e, nil
	}
	if rng.IntN(4) != 0 {
		return e, nil
	}
	data := random(1 + rng.IntN(5000))
	h := journal.SumContent(data)
	e.Contents = []journal.Hash{h}
	return e, []journal.Content{{Hash: h, Data: data}}
}

func powerOptions(fs vfs.FS, m *model) journal.Options {
	o := journal.Options{FS: fs, Dir: "data/journal", CacheBytes: 1 << 18, Logger: silent}
	if m != nil {
		o.MaxPendingBytes = 1 << 14
		o.OnDurable = func(h journal.Head) { m.acked.Store(h.Sequence) }
	}
	return o
}

// live opens the journal, appends, waits now and then, moves events into the
// archive, copies itself, closes, and does it again. stop ends it early.
func live(fs vfs.FS, m *model, rng *rand.Rand, life int, stop *atomic.Bool) error {
	for range 2 {
		j, err := journal.Open(powerOptions(fs, m))
		if err != nil {
			return err
		}
		err = fillLife(j, m, rng, life, stop)
		if err := errors.Join(err, j.Close()); err != nil {
			return err
		}
	}
	return nil
}

func fillLife(j *journal.Journal, m *model, rng *rand.Rand, life int, stop *atomic.Bool) error {
	ctx := context.Background()
	for range 10 + rng.IntN(40) {
		if stop.Load() {
			return nil
		}
		next := j.Head().Sequence + 1
		e, contents := turn(rng, next, life)
		words, err := text(e, func(h journal.Hash) ([]byte, error) { return contents[0].Data, nil })
		if err != nil {
			return err
		}
		m.record(next, words)
		if _, err := j.Append(e, contents); err != nil {
			return err
		}
		switch rng.IntN(12) {
		case 0, 1, 2:
			err = j.WaitDurable(ctx, next)
		case 3:
			if d := j.Durable().Sequence; rng.IntN(4) == 0 && d > 2 {
				_, err = j.Archive(ctx, d/2+1, journal.ArchiveOptions{})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check opens a disk after a cut: everything acknowledged is there, nothing but
// what was appended, and every hash is what the bytes give.
func (m *model) check(fs vfs.FS) (head uint64, err error) {
	j, err := journal.Open(powerOptions(fs, nil))
	if err != nil {
		return 0, fmt.Errorf("it does not open: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	head = j.Head().Sequence
	if head < m.acked.Load() {
		return head, fmt.Errorf("head %d, and %d were acknowledged: turns are lost", head, m.acked.Load())
	}
	if head > m.appended() {
		return head, fmt.Errorf("head %d, and only %d were appended: turns are invented", head, m.appended())
	}
	id := j.ID()
	chain := sha256.Sum256(append([]byte("alys journal chain v1\x00"), id[:]...))
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		sequence, envelope, hash := it.Raw()
		if chain = sha256.Sum256(append(chain[:], envelope...)); chain != hash {
			return head, fmt.Errorf("event %d: hash %s, the bytes give %x", sequence, hash, chain)
		}
		e, err := it.Event()
		if err != nil {
			return head, err
		}
		if got, err := text(e, j.Content); err != nil || got != m.events[sequence-1] {
			return head, fmt.Errorf("event %d is %s, appended was %s: %w", sequence, got, m.events[sequence-1], err)
		}
	}
	if err := it.Close(); err != nil {
		return head, err
	}
	_, err = j.Verify(context.Background(), 0, 0, nil)
	return head, err
}

// tally counts what the lane did.
type tally struct{ runs, cuts, faults, opens atomic.Int64 }

// patience bounds one run; none takes a hundredth of it.
const patience = 2 * time.Minute

// watched runs f and fails when it does not come back.
func watched(t *testing.T, what string, f func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Errorf("%s: still running after %s\n%s", what, patience, buf[:runtime.Stack(buf, true)])
	}
}

// spread calls f for every number up to n, on a few goroutines; failed journals
// wait, so there are more than processors.
func spread(t *testing.T, n int, f func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= n && !t.Failed(); i = int(next.Add(1)) {
				f(i)
			}
		})
	}
	workers.Wait()
}

// TestPower is the crash lane.
func TestPower(t *testing.T) {
	runs := 0
	if _, err := fmt.Sscan(os.Getenv(crashEnv), &runs); err != nil || runs < 1 {
		t.Skipf("a slow lane: %s=2000 makes so many seeded runs (make journal-crash)", crashEnv)
	}
	journal.SmallDatabases(t)
	var n tally
	t.Run("seeded runs", func(t *testing.T) {
		spread(t, runs, func(i int) {
			watched(t, fmt.Sprintf("seed %d", i), func() error { return seededRun(uint64(i), &n) })
		})
		t.Logf("%d runs, %d power cuts, %d faults, %d disks checked", n.runs.Load(), n.cuts.Load(), n.faults.Load(), n.opens.Load())
	})
	t.Run("a cut at every operation", func(t *testing.T) { everyCut(t, max(runs/500, 1)) })
	t.Run("a fault at every operation", func(t *testing.T) { everyFault(t, max(runs/1000, 1)) })
}

// seededRun is several lives on one disk, each ended by a power cut in the
// middle of some operation, or by a fault, with any part of what was not synced
// kept.
func seededRun(seed uint64, n *tally) error {
	rng := rand.New(rand.NewPCG(seed, 77))
	disk, m := vfs.NewCrashableMem(), &model{}
	n.runs.Add(1)
	for life := range 1 + rng.IntN(4) {
		at, after := 1+rng.IntN(250), (*vfs.MemFS)(nil)
		var known *model
		var stop atomic.Bool
		var what faultfs.Fault
		kind := max(rng.IntN(6)-2, 0) // a cut half of the time
		if kind > 0 {
			what = faultfs.Fault{Err: []error{syscall.EIO, syscall.ENOSPC}[rng.IntN(2)], After: kind == 2}
		}
		percent, cuts := rng.IntN(101), rand.New(rand.NewPCG(seed, uint64(life)))
		fs := faultfs.Wrap(disk, func(op faultfs.Op) faultfs.Fault {
			if op.Number < at || !op.Write || after != nil && kind != 3 {
				return faultfs.Fault{}
			}
			if kind == 0 { // the power is cut before this operation
				acked := m.acked.Load()
				after = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: cuts})
				known = m.copy(acked)
				stop.Store(true)
				return faultfs.Fault{}
			}
			after = disk // one operation fails, or all from here on
			return what
		})
		err := live(fs, m, rng, life, &stop)
		switch {
		case kind == 0 && err != nil:
			return fmt.Errorf("life %d: %w", life, err)
		case kind > 0 && err != nil && fault.Of(err) != fault.Fatal && fault.Of(err) != fault.Temporary && fault.Of(err) != fault.Corrupt:
			return fmt.Errorf("life %d: graded %v: %w", life, fault.Of(err), err)
		}
		if kind == 0 && after != nil {
			n.cuts.Add(1)
			disk, m = after, known
		} else {
			n.faults.Add(1)
			known = m.copy(m.acked.Load())
			disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: cuts})
			m = known
		}
		n.opens.Add(1)
		head, err := m.check(disk)
		if err != nil {
			return fmt.Errorf("life %d, kind %d at operation %d: %w", life, kind, at, err)
		}
		m.events = m.events[:head]
		m.acked.Store(head)
	}
	return nil
}

// everyCut cuts the power before every write and sync of whole lives.
func everyCut(t *testing.T, seeds int) {
	var total atomic.Int64
	busy := make(chan struct{}, 2*runtime.GOMAXPROCS(0)) // bounds the disks in memory
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 78))
		disk, m := vfs.NewCrashableMem(), &model{}
		var checks sync.WaitGroup
		fs := faultfs.Wrap(disk, func(op faultfs.Op) faultfs.Fault {
			if !op.Write {
				return faultfs.Fault{}
			}
			acked := m.acked.Load()
			for _, percent := range []int{0, rng.IntN(101), 100} {
				clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
				known := m.copy(acked)
				total.Add(1)
				busy <- struct{}{}
				checks.Go(func() {
					defer func() { <-busy }()
					watched(t, fmt.Sprintf("seed %d, cut before %v, %d %% kept", seed, op, percent), func() error {
						_, err := known.check(clone)
						return err
					})
				})
			}
			return faultfs.Fault{}
		})
		err := live(fs, m, rand.New(rand.NewPCG(seed, 79)), 0, new(atomic.Bool))
		checks.Wait()
		if err != nil || t.Failed() {
			t.Fatal(err)
		}
	}
	t.Logf("%d lives, %d power cuts", seeds, total.Load())
}

// everyFault lets every operation of a life fail: alone without effect, alone
// after its effect, and for good, as on a full disk.
func everyFault(t *testing.T, seeds int) {
	var total, stopped atomic.Int64
	for seed := range uint64(seeds) {
		run := func(at int, kind string) (operations int, err error) {
			disk, m := vfs.NewCrashableMem(), &model{}
			var hit string
			fs := faultfs.Wrap(disk, func(op faultfs.Op) faultfs.Fault {
				operations = op.Number
				switch {
				case op.Number < at || at == 0:
					return faultfs.Fault{}
				case kind == "full" && op.Write:
					return faultfs.Fault{Err: syscall.ENOSPC}
				case op.Number == at && kind != "full":
					hit = op.String()
					return faultfs.Fault{Err: syscall.EIO, After: kind == "after"}
				}
				return faultfs.Fault{}
			})
			failure := live(fs, m, rand.New(rand.NewPCG(seed, 80)), 0, new(atomic.Bool))
			if failure != nil {
				stopped.Add(1)
				if g := fault.Of(failure); g != fault.Fatal && g != fault.Temporary && g != fault.Corrupt {
					return operations, fmt.Errorf("graded %v: %w", g, failure)
				}
			}
			acked := m.acked.Load()
			for _, percent := range []int{0, 100} {
				known := m.copy(acked)
				clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, uint64(at)))})
				if _, err := known.check(clone); err != nil {
					return operations, fmt.Errorf("%s, the life ended with %v, %d %% of the unsynced kept: %w", hit, failure, percent, err)
				}
			}
			return operations, nil
		}
		operations, err := run(0, "")
		if err != nil {
			t.Fatal(err)
		}
		kinds := strings.Fields("before after full")
		spread(t, operations*len(kinds), func(i int) {
			at, kind := 1+(i-1)/len(kinds), kinds[(i-1)%len(kinds)]
			total.Add(1)
			watched(t, fmt.Sprintf("seed %d, fault %s at operation %d", seed, kind, at), func() error {
				_, err := run(at, kind)
				return err
			})
		})
	}
	t.Logf("%d lives, %d faults, %d of them ended the life", seeds, total.Load(), stopped.Load())
}
