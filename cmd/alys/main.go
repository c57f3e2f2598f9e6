package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code. The first SIGINT or
// SIGTERM asks the command to stop, the second ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		cancel()
		<-signals
		_, _ = fmt.Fprintln(stderr, "alys: stopped at once; the journal goes on from its last durable event")
		os.Exit(exitUsage)
	}()
	err := newApp(stdout, stderr).RunContext(ctx, args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "alys:", describe(err))
	}
	return exitCode(err)
}
