// Command logs measures durable appends: the journal beside raw Pebble, etcd's
// WAL, raft-wal, CometBFT's WAL and tidwall/wal, in one run, with the same events
// on the same disk.
//
//	make bench-journal [CELL=2s]
//
// To compare two versions of the journal on a busy machine, run a part of it with
// each by turns: -two -writers 8,64 -batches 1,100.
//
// It is a module of its own, so that these libraries are not among the
// dependencies of the node; go.work beside it makes it use the journal of this
// tree. Nothing passes or fails here: the figures are for reading.
//
// # What a cell is
//
// A number of writers, each appending batches of 256-byte payloads one after
// the other, each batch durable before the next. Cells of one shape run for
// the same time, log after log, so that a disk that changes changes for all. The
// latency is that of one durable batch as its writer sees it; allocations are
// those of the whole process.
//
// # How each log is used
//
//   - alys journal, raw Pebble: by all writers at once; they group commits
//     themselves. Of the journal only AppendBatch is under a lock, since one
//     sequencer decides about the order; waiting is not.
//   - etcd WAL, raft-wal, tidwall/wal: one goroutine takes everything that
//     waits, up to 4096 entries, and writes it as one append with one sync, as
//     etcd's raft loop and raft's leader loop do. Their writers wait for it.
//   - CometBFT WAL: one goroutine as in consensus, Write for each message and
//     WriteSync for the last of a batch.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const payloadBytes = 256

// maxCellBytes ends a cell early, to bound the room it takes on disk.
const maxCellBytes = 1 << 30

// eventLog is one of the logs compared.
type eventLog interface {
	// append writes payloads in order and returns when they are durable. It is
	// called by many goroutines.
	append(payloads [][]byte) error
	close() error
}

type contender struct {
	name     string
	verified bool // reading checks a checksum or hash of every byte
	open     func(dir string) (eventLog, error)
}

// Shapes of the cells.
var (
	writerCounts = []int{1, 8, 64, 256}
	batchSizes   = []int{1, 10, 100, 1000}
)

// into returns the setter of a flag that is a list of positive numbers.
func into(list *[]int) func(string) error {
	return func(text string) error {
		*list = nil
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || n >= len(payloads) {
				return fmt.Errorf("%q is no number from 1 to %d", part, len(payloads)-1)
			}
			*list = append(*list, n)
		}
		return nil
	}
}

type cell struct {
	Log       string  `json:"log"`
	Writers   int     `json:"writers"`
	Batch     int     `json:"batch"`
	PerSecond float64 `json:"events_per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	Allocs    float64 `json:"allocs_per_event"`
	Bytes     float64 `json:"bytes_per_event"`
}

func main() {
	parent := flag.String("dir", "", "where to write; the system's temporary directory when empty")
	length := flag.Duration("cell", 2*time.Second, "how long each cell runs")
	asJSON := flag.Bool("json", false, "print the cells as JSON")
	flag.Func("writers", "numbers of writers, with commas between", into(&writerCounts))
	flag.Func("batches", "sizes of batches, with commas between", into(&batchSizes))
	two := flag.Bool("two", false, "only the journal and raw Pebble")
	flag.Parse()
	if *two {
		contenders = contenders[:rawPebble+1]
	}
	dir, err := os.MkdirTemp(*parent, "alys-bench-logs-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = run(dir, *length, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs:", err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
}

func run(dir string, length time.Duration, asJSON bool) error {
	var cells []cell
	fsync, err := fsyncMedian(dir)
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Printf("%s, %d processors, %s, %d-byte payloads, %v a cell\nfsync of 4 KiB, p50 %v\n\n",
			runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly), payloadBytes, length, fsync)
	}
	for _, writers := range writerCounts {
		for _, batch := range batchSizes {
			var row []cell
			for _, c := range contenders {
				m, err := measure(filepath.Join(dir, "cell"), c, writers, batch, length)
				if err != nil {
					return fmt.Errorf("%s, %d writers, batches of %d: %w", c.name, writers, batch, err)
				}
				row = append(row, m)
			}
			cells = append(cells, row...)
			if !asJSON {
				show(row)
			}
		}
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(cells)
	}
	if fsync, err = fsyncMedian(dir); err == nil {
		fmt.Printf("fsync of 4 KiB at the end, p50 %v\n\n", fsync)
		verdict(cells)
	}
	return err
}

// show prints the logs of one shape.
func show(row []cell) {
	fmt.Printf("%d writers, batches of %d\n", row[0].Writers, row[0].Batch)
	for i, m := range row {
		mark := " "
		if contenders[i].verified {
			mark = "v"
		}
		fmt.Printf("  %-14s %s %12.0f events/s  p50 %9.0f µs  p99 %9.0f µs  %7.2f allocs %8.0f B an event  %5.2f x raw Pebble\n",
			m.Log, mark, m.PerSecond, m.P50, m.P99, m.Allocs, m.Bytes, m.PerSecond/row[rawPebble].PerSecond)
	}
	fmt.Println()
}

// verdict compares with what the journal is meant to reach.
func verdict(cells []cell) {
	rows := slices.Collect(slices.Chunk(cells, len(contenders)))
	met := func(ok bool) string {
		if ok {
			return "met"
		}
		return "NOT met"
	}
	for _, row := range rows {
		ours, raw := row[ourJournal], row[rawPebble]
		share := ours.PerSecond / raw.PerSecond
		text := ""
		switch {
		case ours.Writers == 1 && ours.Batch == 1:
			text = fmt.Sprintf("%.2f x raw Pebble (0.45 wanted): %s", share, met(share >= 0.45))
		case ours.Writers >= 8:
			text = fmt.Sprintf("%.2f x raw Pebble (0.8 wanted): %s", share, met(share >= 0.8))
		}
		if ours.Batch >= 10 && len(row) > rawPebble+1 {
			best := cell{}
			for i, m := range row {
				if contenders[i].verified && i != ourJournal && i != rawPebble && m.PerSecond > best.PerSecond {
					best = m
				}
			}
			if text != "" {
				text += "; "
			}
			text += fmt.Sprintf("%.2f x the best other verified log, %s (ahead wanted): %s", ours.PerSecond/best.PerSecond, best.Log, met(ours.PerSecond > best.PerSecond))
		}
		if text != "" {
			fmt.Printf("%3d writers, batches of %4d: %s\n", ours.Writers, ours.Batch, text)
		}
	}
}

// payloads are random, so that no log gains by compressing them.
var payloads = func() [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, 4096)
	for i := range out {
		out[i] = make([]byte, payloadBytes)
		for k := range out[i] {
			out[i][k] = byte(rng.Uint32())
		}
	}
	return out
}()

func measure(dir string, c contender, writers, batch int, length time.Duration) (cell, error) {
	defer os.RemoveAll(dir)
	if err := os.RemoveAll(dir); err != nil {
		return cell{}, err
	}
	log, err := c.open(dir)
	if err != nil {
		return cell{}, err
	}
	var written atomic.Int64
	var failure atomic.Pointer[error]
	latency := make([][]time.Duration, writers)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	started := time.Now()
	end := started.Add(length)
	var wg sync.WaitGroup
	for w := range writers {
		latency[w] = make([]time.Duration, 0, 1<<14)
		wg.Go(func() {
			for at := w * 37; time.Now().Before(end) && written.Load()*payloadBytes < maxCellBytes && failure.Load() == nil; at += batch {
				from := at % (len(payloads) - batch)
				t := time.Now()
				if err := log.append(payloads[from : from+batch]); err != nil {
					failure.Store(&err)
					return
				}
				latency[w] = append(latency[w], time.Since(t))
				written.Add(int64(batch))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(started)
	runtime.ReadMemStats(&after)
	if err := log.close(); err != nil {
		return cell{}, err
	}
	if p := failure.Load(); p != nil {
		return cell{}, *p
	}
	all := slices.Concat(latency...)
	slices.SortFunc(all, func(a, b time.Duration) int { return cmp.Compare(a, b) })
	n := float64(written.Load())
	micro := func(d time.Duration) float64 { return float64(d) / 1e3 }
	return cell{
		Log: c.name, Writers: writers, Batch: batch, PerSecond: n / elapsed.Seconds(),
		P50: micro(all[len(all)/2]), P99: micro(all[len(all)*99/100]),
		Allocs: float64(after.Mallocs-before.Mallocs) / n, Bytes: float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, nil
}

// fsyncMedian is what everything durable waits for.
func fsyncMedian(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	all := make([]time.Duration, 200)
	for i := range all {
		t := time.Now()
		if _, err := f.WriteAt(payloads[0], int64(i)*4096); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		all[i] = time.Since(t)
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Microsecond), nil
}
