package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// databaseLog routes Pebble's log to slog and decides about its fatal errors.
type databaseLog struct {
	log *slog.Logger
	// fatal receives what Pebble's own goroutines cannot go on from.
	fatal func(error)
	// damaged counts the reads that met a damaged block.
	damaged atomic.Uint64
	logged  atomic.Int64 // Unix seconds of the last line about background work

	mu     sync.Mutex
	broken chan struct{} // closed when a goroutine was parked
	cause  error         // of the first
}

// backgroundPause is the least time between two lines about failed background
// work, in seconds. Pebble tries again at once, thousands of times a second.
const backgroundPause = 10

// background takes a failure of a flush or compaction. Pebble goes on trying,
// in the hope of more room; a journal whose disk is full or broken ends instead,
// so that the operator hears of it and a stop need not wait for that flush.
func (l *databaseLog) background(err error) {
	now := time.Now().Unix()
	if last := l.logged.Load(); now-last >= backgroundPause && l.logged.CompareAndSwap(last, now) {
		l.log.Error("journal database: background work failed", "error", err)
	}
	if l.fatal != nil && diskFailed(err) {
		l.fatal(fmt.Errorf("%w; free or repair the disk and start again", err))
	}
}

// diskFailed reports whether trying again is of no use.
func diskFailed(err error) bool {
	for _, number := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// Infof logs at debug level: Pebble tells of every flush and compaction.
func (l *databaseLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("journal database: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs at error level.
func (l *databaseLog) Errorf(format string, args ...any) {
	l.log.Error("journal database: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble's state is undefined after it, and its own
// default ends the process without a word to the caller. Inside [guarded] it
// panics, and an error comes of it. Elsewhere, and where Pebble would unlock
// what it does not hold, the goroutine is parked.
func (l *databaseLog) Fatalf(format string, args ...any) {
	err := &databaseError{text: strings.TrimPrefix(fmt.Sprintf(format, args...), "pebble: ")}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err.cause = cause
		}
	}
	l.log.Error("journal database: fatal error", "error", err)
	if onStack(guardedName) && !onStack(rotateName) {
		panic(err)
	}
	l.park(err)
}

// park stops the calling goroutine for ever, after it made the database count
// as broken and the journal fail. Whatever the goroutine holds stays held, so
// nothing goes on from an undefined state; see [attempt] for those who would
// wait for it.
func (l *databaseLog) park(err error) {
	l.mu.Lock()
	first := l.cause == nil
	if first {
		l.cause = err
		close(l.brokenLocked())
	}
	l.mu.Unlock()
	if first && l.fatal != nil {
		l.fatal(err)
	}
	select {}
}

// stopped is closed when the database broke: some goroutine is parked, and a
// call that takes a lock may not return.
func (l *databaseLog) stopped() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.brokenLocked()
}

func (l *databaseLog) brokenLocked() chan struct{} {
	if l.broken == nil {
		l.broken = make(chan struct{})
	}
	return l.broken
}

func (l *databaseLog) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fault.Wrap(fault.Fatal, l.cause, "the journal's database broke")
}

// databaseError is a fatal error of Pebble, with the error it was about.
type databaseError struct {
	text  string
	cause error
}

func (e *databaseError) Error() string { return "pebble: " + e.text }
func (e *databaseError) Unwrap() error { return e.cause }

// panicError is a panic of Pebble that guarded turned into an error.
type panicError struct{ cause error }

func (e *panicError) Error() string { return e.cause.Error() }
func (e *panicError) Unwrap() error { return e.cause }

// guarded calls f, which calls Pebble, and returns its panic as an error. What
// Pebble held at that time stays held: the database is unusable afterwards.
func guarded(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = &panicError{p}
		default:
			err = &panicError{fmt.Errorf("%v", p)}
		}
	}()
	return f()
}

// attempt is guarded for calls that may never return, because this or another
// goroutine was parked inside Pebble: then it returns why. f runs on a
// goroutine of its own, which goes on meanwhile; it must not share memory.
func attempt[T any](l *databaseLog, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = guarded(func() (err error) {
			r.value, err = f()
			return err
		})
		done <- r
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-l.stopped():
	}
	select { // what needs no lock of the parked goroutine still comes to its end
	case r := <-done:
		return r.value, r.err
	case <-time.After(brokenGrace):
		var none T
		return none, l.err()
	}
}

// attempt is [attempt] for calls that return nothing else.
func (l *databaseLog) attempt(f func() error) error {
	_, err := attempt(l, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// brokenGrace is far more than a read takes.
const brokenGrace = 200 * time.Millisecond

// flush writes the memtables to tables. Pebble's own Flush waits for ever when
// the disk is full; this one ends when failed is closed.
func flush(db *pebble.DB, log *databaseLog, failed <-chan struct{}) error {
	flushed, err := attempt(log, db.AsyncFlush)
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-failed:
		return errFlush
	}
}

// errFlush says that a flush was given up for a failure reported elsewhere.
var errFlush = errors.New("the flush was given up")

// Functions that are looked for on a stack.
const (
	guardedName = "/journal.guarded"
	rotateName  = "/pebble/v2.(*DB).rotateWAL"
	markerName  = "/pebble/v2/vfs/atomicfs.(*Marker).Move"
)

// onStack reports whether a function is among the callers.
func onStack(name string) bool {
	pc := make([]uintptr, 256)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}
