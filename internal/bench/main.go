// Command bench prints the figures of docs/performance.md: durable turns, their
// latency, replay, block import, memory, each beside its reference (raw Pebble,
// the execution layer alone) measured in the same run.
//
//	go run ./internal/bench [-seconds 5] [-alys bin/alys]
//	go run ./internal/bench -journal   # reading, size and opening of the journal
//	go run ./internal/bench -chain     # validation, reorganisations, tree, imports
//	go run ./internal/bench -sync      # a chain downloaded from peers on loopback
//	go run ./internal/bench -sizing    # what a federation takes on disk, by measured records
//
// It writes to a temporary directory on the file system of -dir and uses
// loopback only. Nothing passes or fails here: the figures are for reading.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"time"
)

type bench struct {
	dir     string
	alys    string
	data    string
	seconds int
	log     *slog.Logger
}

func main() {
	b := &bench{log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	parent := flag.String("dir", "", "where to write; the system's temporary directory when empty")
	flag.IntVar(&b.seconds, "seconds", 5, "how long each measurement of turns runs")
	flag.StringVar(&b.alys, "alys", "bin/alys", "program whose development node's memory is measured; empty to leave it out")
	flag.StringVar(&b.data, "testdata", "testdata/legacy/chains", "legacy chains to import")
	journalOnly := flag.Bool("journal", false, "measure the journal only: verified reading, size, opening after a kill")
	sizingOnly := flag.Bool("sizing", false, "measure the records of a development node and an import, and compute what a federation takes")
	chainOnly := flag.Bool("chain", false, "measure the chain: validation, reorganisations, memory of the tree, imports beside their reference")
	importsOnly := flag.Bool("imports", false, "measure the imports of the legacy chains only, beside their reference")
	syncOnly := flag.Bool("sync", false, "measure the download of a chain from peers on loopback, beside its reference")
	profile := flag.String("cpuprofile", "", "write a profile of the processor's time to this file")
	child := flag.String("child", "", "write turns to a journal in this directory until killed; used by -journal")
	turns := flag.Int("turns", 0, "how many turns -child writes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *child != "" {
		if err := b.runChild(ctx, *child, *turns); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	parts := []func(context.Context) error{
		b.fsync, b.latency, b.rawPebble, b.saturated, b.replay, b.signatures, b.imports, b.nodeMemory,
	}
	switch {
	case *journalOnly:
		parts = []func(context.Context) error{b.journalFigures}
	case *chainOnly:
		parts = []func(context.Context) error{b.chainFigures}
	case *importsOnly:
		parts = []func(context.Context) error{b.imports, b.generated}
	case *syncOnly:
		parts = []func(context.Context) error{b.syncFigures}
	case *sizingOnly:
		parts = []func(context.Context) error{b.sizing}
	}
	dir, err := os.MkdirTemp(*parent, "alys-bench-")
	if err == nil {
		b.dir = dir
		defer os.RemoveAll(dir)
		fmt.Printf("%s, %d processors, %s\n", runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
		err = profiled(*profile, func() error { return run(ctx, parts) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
}

// profiled calls f while its processor time is written to a file, unless that is "".
func profiled(path string, f func() error) error {
	if path == "" {
		return f()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

func run(ctx context.Context, parts []func(context.Context) error) error {
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func row(what, format string, args ...any) {
	fmt.Printf("%-46s %s\n", what, fmt.Sprintf(format, args...))
}
