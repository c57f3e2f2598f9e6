package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

// eventBytes is about what one of our turns takes in the journal.
const eventBytes = 360

// fsync measures what everything durable waits for.
func (b *bench) fsync(context.Context) error {
	f, err := os.Create(filepath.Join(b.dir, "fsync"))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 4096)
	const n = 200
	started := time.Now()
	for i := range n {
		if _, err := f.WriteAt(buf, int64(i)*4096); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	row("fsync of 4 KiB, mean", "%v", (time.Since(started) / n).Round(time.Microsecond))
	return nil
}

// rawPebble writes events of our size straight into Pebble, 1000 a synced batch.
func (b *bench) rawPebble(ctx context.Context) error {
	db, err := pebble.Open(filepath.Join(b.dir, "raw"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer db.Close()
	const batchSize = 1000
	value := make([]byte, eventBytes)
	var n uint64
	started := time.Now()
	for time.Since(started) < time.Duration(b.seconds)*time.Second && ctx.Err() == nil {
		batch := db.NewBatch()
		for range batchSize {
			n++
			key := fmt.Appendf(nil, "e%016x", n)
			stamp(value, n, int64(n))
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			return err
		}
	}
	row("raw Pebble, 1000 events a synced batch", "%s events/s", thousands(float64(n)/time.Since(started).Seconds()))
	return nil
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// rig is a runtime with the counting actor on a journal of its own.
type rig struct {
	journal *journal.Journal
	runtime *actors.Runtime
	done    chan error
	sink    func(*counted)
}

func (b *bench) machine(id journal.ID) (*actors.Machine, error) {
	return actors.NewMachine(id, []core.Core{supervisor.New(), counter{}}, []core.Message{&counted{}, &message.StopProcess{}})
}

func (b *bench) open(ctx context.Context, name string, sink func(*counted)) (*rig, error) {
	r := &rig{done: make(chan error, 1), sink: sink}
	if err := b.openJournal(r, name); err != nil {
		return nil, err
	}
	m, err := b.machine(r.journal.ID())
	if err != nil {
		return nil, err
	}
	b.newRuntime(r, m)
	first := actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{Software: "bench"}}
	if err := r.runtime.Start(ctx, first, nil); err != nil {
		return nil, err
	}
	return r, nil
}

func (b *bench) openJournal(r *rig, name string) (err error) {
	r.journal, err = journal.Open(journal.Options{Dir: filepath.Join(b.dir, name), Logger: b.log, OnDurable: func(h journal.Head) {
		if r.runtime != nil {
			r.runtime.Durable(h)
		}
	}})
	return err
}

func (b *bench) newRuntime(r *rig, m *actors.Machine) {
	r.runtime = actors.NewRuntime(actors.Options{
		Journal: r.journal, Machine: m, Logger: b.log,
		Clock: func() int64 { return time.Now().UnixMilli() },
		Edges: map[core.Edge]actors.Executor{"sink": actors.ExecutorFunc(func(_ context.Context, q actors.Request) { r.sink(q.Message.(*counted)) })},
	})
}

// latency measures the way from Submit to a released effect. It comes before the
// measurements that fill the disk's cache, whose writing back would be measured
// instead.
func (b *bench) latency(ctx context.Context) error { return b.paced(ctx, 20_000) }

// run starts the runtime, lets producers work, stops it cleanly.
func (r *rig) run(produce func(ctx context.Context)) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { r.done <- r.runtime.Run(ctx) }()
	produce(ctx)
	cancel()
	if err := <-r.done; err != nil {
		return err
	}
	return r.journal.Close()
}

// saturated measures durable turns per second from four senders that never wait.
func (b *bench) saturated(ctx context.Context) error {
	var released atomic.Uint64
	r, err := b.open(ctx, "saturated", func(*counted) { released.Add(1) })
	if err != nil {
		return err
	}
	var elapsed time.Duration
	var n uint64
	err = r.run(func(ctx context.Context) {
		started := time.Now()
		end := started.Add(time.Duration(b.seconds) * time.Second)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := uint64(0); time.Now().Before(end); i++ {
					_ = r.runtime.Submit(ctx, "counter", newLoad(i, 0), actors.Normal, actors.Block)
				}
			})
		}
		wg.Wait()
		elapsed, n = time.Since(started), released.Load()
	})
	row("durable turns, saturated, 256-byte messages", "%s turns/s (floor 50,000)", thousands(float64(n)/elapsed.Seconds()))
	return err
}

func (b *bench) paced(ctx context.Context, rate int) error {
	var mu sync.Mutex
	var latency []time.Duration
	r, err := b.open(ctx, "paced", func(c *counted) {
		mu.Lock()
		latency = append(latency, time.Duration(time.Now().UnixNano()-c.SentAt))
		mu.Unlock()
	})
	if err != nil {
		return err
	}
	var sent int
	err = r.run(func(ctx context.Context) {
		started := time.Now()
		for time.Since(started) < time.Duration(b.seconds)*time.Second {
			due := int(time.Since(started).Seconds() * float64(rate))
			for ; sent < due; sent++ {
				_ = r.runtime.Submit(ctx, "counter", newLoad(uint64(sent), time.Now().UnixNano()), actors.Normal, actors.Block)
			}
			time.Sleep(200 * time.Microsecond)
		}
		time.Sleep(200 * time.Millisecond)
	})
	slices.Sort(latency)
	if len(latency) > 0 {
		row(fmt.Sprintf("latency to durable at %s turns/s", thousands(float64(rate))), "p50 %v  p99 %v  (%d turns)",
			latency[len(latency)/2].Round(time.Microsecond), latency[len(latency)*99/100].Round(time.Microsecond), len(latency))
	}
	return err
}

// replay measures how fast what saturated wrote is run again.
func (b *bench) replay(ctx context.Context) error {
	j, err := journal.Open(journal.Options{Dir: filepath.Join(b.dir, "saturated"), ReadOnly: true, Logger: b.log})
	if err != nil {
		return err
	}
	defer j.Close()
	m, err := b.machine(j.ID())
	if err != nil {
		return err
	}
	report, err := replay.Run(ctx, j, m, replay.Options{})
	if err != nil {
		return err
	}
	row("replay, every output compared", "%s turns/s (floor 300,000; %d turns)", thousands(float64(report.Turns)/report.Elapsed.Seconds()), report.Turns)
	return nil
}

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
