package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

// journalFigures measures what the journal costs at rest: verified reading,
// bytes on disk, and opening after a kill. Appending is measured beside other
// logs by internal/bench/logs.
func (b *bench) journalFigures(ctx context.Context) error {
	for _, part := range []func(context.Context) error{b.fsync, b.verified, b.killed} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// verified writes events with random payloads, so that nothing compresses, and
// reads all of them back with every hash computed.
func (b *bench) verified(ctx context.Context) error {
	const n, payload = 1_000_000, 256
	dir := filepath.Join(b.dir, "verified")
	j, err := journal.Open(journal.Options{Dir: dir, Logger: b.log})
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	e := journal.Event{Time: 1_700_000_000_000, Actor: "counter", Type: "load", Schema: 1, Stored: true, Message: make([]byte, payload)}
	for range n {
		e.Sequence++
		e.Time++
		for k := 0; k < payload; k += 8 {
			putUint64(e.Message[k:], rng.Uint64())
		}
		if _, err := j.Append(&e, nil); err != nil {
			return errors.Join(err, j.Close())
		}
	}
	if err := j.Close(); err != nil {
		return err
	}
	if err := b.overhead(filepath.Join(dir, "pebble"), n, payload); err != nil {
		return err
	}
	if j, err = journal.Open(journal.Options{Dir: dir, ReadOnly: true, Logger: b.log}); err != nil {
		return err
	}
	started, used := time.Now(), processorTime()
	report, err := j.Verify(ctx, 0, 0, nil)
	elapsed := time.Since(started)
	used = processorTime() - used
	row("journal, verified sequential read", "%s events/s, %s a second of processor time (floor 1,000,000)",
		thousands(float64(report.Events)/elapsed.Seconds()), thousands(float64(report.Events)/used.Seconds()))
	return errors.Join(err, j.Close(), os.RemoveAll(dir))
}

// overhead says what an event takes on disk beside its payload. Logs that the
// database keeps for its next start are none of it: their room is given back.
func (b *bench) overhead(dir string, events, payload int64) error {
	tables, err := diskBytes(dir, ".sst")
	if err != nil {
		return err
	}
	logs, err := diskBytes(dir, ".log")
	row("journal on disk, 256 random bytes an event", "%.1f bytes over the payload (limit 64); logs kept for reuse: %s bytes in all",
		float64(tables)/float64(events)-float64(payload), thousands(float64(logs)))
	return err
}

// processorTime is what this process has used of all processors.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

// diskBytes is the size of all files below a directory with a suffix.
func diskBytes(dir, suffix string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(d.Name(), suffix) {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// killed has a process write turns, kills it, and measures how long it takes
// from there to the first turn: opening the journal, running again every turn
// (there is no snapshot: the tail is all of it), and a new turn on disk.
func (b *bench) killed(ctx context.Context) error {
	for _, c := range []struct {
		turns int
		limit string
	}{{100_000, "500 ms"}, {1_000_000, "4 s"}} {
		name := fmt.Sprintf("killed-%d", c.turns)
		if err := b.killChild(ctx, name, c.turns); err != nil {
			return err
		}
		if err := b.firstTurn(ctx, name, c.turns, c.limit); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// killChild runs this program as the process that writes, until it says that all
// is on disk, and kills it.
func (b *bench) killChild(ctx context.Context, name string, turns int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, self, "-child", filepath.Join(b.dir, name), "-turns", fmt.Sprint(turns))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return errors.Join(fmt.Errorf("the writing process ended before it was done: %w", err), child.Wait())
	}
	if err := child.Process.Kill(); err != nil {
		return err
	}
	_ = child.Wait() // killed
	return nil
}

// runChild writes turns, says so when all are durable, and waits to be killed.
func (b *bench) runChild(ctx context.Context, dir string, turns int) error {
	b.dir = filepath.Dir(dir)
	r, err := b.open(ctx, filepath.Base(dir), func(c *counted) {
		if c.Count == uint64(turns) {
			fmt.Print("d")
		}
	})
	if err != nil {
		return err
	}
	return r.run(func(ctx context.Context) {
		for i := range turns {
			_ = r.runtime.Submit(ctx, "counter", newLoad(uint64(i), 0), actors.Normal, actors.Block)
		}
		<-ctx.Done()
	})
}

func (b *bench) firstTurn(ctx context.Context, name string, turns int, limit string) error {
	handled := make(chan struct{}, 1)
	started, used := time.Now(), processorTime()
	r := &rig{done: make(chan error, 1), sink: func(c *counted) {
		if c.Count == uint64(turns)+1 {
			handled <- struct{}{}
		}
	}}
	if err := b.openJournal(r, name); err != nil {
		return err
	}
	opened := time.Since(started)
	m, err := b.machine(r.journal.ID())
	if err != nil {
		return err
	}
	report, err := replay.Run(ctx, r.journal, m, replay.Options{})
	if err != nil {
		return errors.Join(err, r.journal.Close())
	}
	b.newRuntime(r, m)
	first := actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{Software: "bench"}}
	if err := r.runtime.Start(ctx, first, nil); err != nil {
		return errors.Join(err, r.journal.Close())
	}
	return r.run(func(ctx context.Context) {
		_ = r.runtime.Submit(ctx, "counter", newLoad(0, 0), actors.Normal, actors.Block)
		<-handled
		elapsed := time.Since(started)
		row(fmt.Sprintf("open after kill -9, %s turns", thousands(float64(turns))), "%v to the first turn (limit %s), %v of processor time; journal open in %v, %d turns run again",
			elapsed.Round(time.Millisecond), limit, (processorTime() - used).Round(time.Millisecond), opened.Round(time.Millisecond), report.Turns)
	})
}
