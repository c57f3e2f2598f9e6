package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// Files of a journal directory.
const (
	lockName     = "LOCK"
	headName     = "HEAD"
	databaseName = "pebble"
	newDatabase  = "pebble.new"
	archiveName  = "archive"
)

// Options say where a journal is and how much memory it may use. Only Dir is
// required.
type Options struct {
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Dir is the journal's directory. Nothing else may be kept in it.
	Dir string
	// ReadOnly opens an existing journal without changing a file, for a copy
	// made by Checkpoint or a stopped node. Append is refused.
	ReadOnly bool
	// MaxPendingBytes is how much Append may queue before it waits for the
	// disk, and with it the size of the largest group commit (an event larger
	// than that is a group of its own). 0 means 8 MiB. Above 12 MiB commits
	// leave the database's fast path.
	MaxPendingBytes int
	// Archive keeps the events that [Journal.Archive] moved out of the database;
	// nil means the directory archive inside Dir.
	Archive archive.Storage
	// CommitDelay is how long the committer gathers events while it is busy,
	// that is when some waited already as the last commit ended. It trades
	// latency for fewer syncs where those are expensive; MaxPendingBytes ends it
	// early. An idle journal commits at once. 0 means not to wait: then a group
	// is what came during the last commit. At most one second.
	CommitDelay time.Duration
	// CacheBytes bounds the block cache; 0 means 64 MiB.
	CacheBytes int64
	// NewID is the identity of a journal that this opening creates; zero means
	// one drawn at random. Only simulations, whose journals have to be the same in
	// every run, may choose it: two journals of one identity cannot be told apart.
	NewID ID
	// Logger receives warnings and errors; nil means slog.Default().
	Logger *slog.Logger
	// OnDurable is called by the committer after each group is on disk, in
	// order, before those who wait for it go on. No event after head counts as
	// durable while it runs: it must be quick, and must not call Close.
	OnDurable func(head Head)

	// For tests: a log that is rotated often, and a Close that is quick after a
	// failure.
	memTableSize uint64
	closeGrace   time.Duration
}

// maxCommitDelay bounds how long an effect can wait for others.
const maxCommitDelay = time.Second

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return fault.New(fault.Invalid, "journal: no directory given")
	}
	if o.MaxPendingBytes < 0 || o.CacheBytes < 0 {
		return fault.New(fault.Invalid, "journal %s: negative MaxPendingBytes or CacheBytes", o.Dir)
	}
	if o.CommitDelay < 0 || o.CommitDelay > maxCommitDelay {
		return fault.New(fault.Invalid, "journal %s: CommitDelay is %v, it can be 0 to %v", o.Dir, o.CommitDelay, maxCommitDelay)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.MaxPendingBytes == 0 {
		o.MaxPendingBytes = 8 << 20
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.memTableSize == 0 {
		o.memTableSize = memTableSize
	}
	if o.closeGrace == 0 {
		o.closeGrace = closeGrace
	}
	return nil
}

// Journal is an open journal. One goroutine appends; every other method may be
// called from any goroutine.
type Journal struct {
	opt  Options
	id   ID
	plan Plan
	db   *pebble.DB
	// incidents never change while the journal is open.
	incidents []Incident
	cache     *pebble.Cache
	lock      unlocker

	history    *history   // what left the database
	archiving  sync.Mutex // held by the one Archive under way
	forgetting sync.Mutex // held while events leave the database, and by Checkpoint

	head *headFile // nil when read-only; headLoop's until it ends

	durable atomic.Pointer[Head]
	failure atomic.Pointer[error] // the sticky error

	// Owned by the one caller of Append.
	appending sync.Mutex
	tip       Head
	time      int64
	recent    recentHashes
	scratch   []byte         // hash before the event, envelope
	spilled   []Content      // what the envelope has by hash only
	fresh     []freshContent // to be written with the event
	values    []byte         // of fresh

	mu      sync.Mutex
	last    Head          // tip, for everyone else
	queue   *group        // what waits for the committer
	pending int           // bytes queued or being written
	closing bool          // no more Append, no new readers
	readers int           // reads and iterators under way
	work    *sync.Cond    // queue has something, or closing
	space   *sync.Cond    // pending shrank
	idle    *sync.Cond    // readers shrank
	waiters []*waiter     // for durability, by sequence
	hurry   chan struct{} // ends gathering early; has room for one
	held    bool          // a batch is being queued
	batches uint64        // counts them
	spare   *group        // the second group, nil while commitLoop writes it
	applied chan applied  // from commitLoop to headLoop
	done    chan struct{} // closed when both ended; nil when read-only
	failed  chan struct{} // closed by fail

	ended  atomic.Bool // closing, for iterators
	closed sync.Once
	result error // of Close

	stats counters
	dblog *databaseLog
}

type unlocker interface{ Close() error }

// ID returns the journal's identity.
func (j *Journal) ID() ID { return j.id }

// Opened returns what opening found and did.
func (j *Journal) Opened() Plan {
	p := j.plan
	p.Warnings = append([]string(nil), p.Warnings...)
	return p
}

// Head returns the last event appended. It may not be on disk yet.
func (j *Journal) Head() Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Durable returns the last event that is on disk, head file included. It
// survives a crash; what comes after it may not.
func (j *Journal) Durable() Head { return *j.durable.Load() }

// Err returns the error that ended appending, nil while there is none. It has
// grade Fatal: nothing after [Journal.Durable] was written or will be.
func (j *Journal) Err() error {
	if p := j.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Failed is closed when appending ended by a fatal error, which [Journal.Err]
// returns. An appender that waits for other things learns of it here.
func (j *Journal) Failed() <-chan struct{} { return j.failed }

// fail makes the first fatal error sticky and wakes everyone who waits.
func (j *Journal) fail(err error) {
	if !j.failure.CompareAndSwap(nil, &err) {
		return
	}
	j.opt.Logger.Error("journal: appending ends", "dir", j.opt.Dir, "durable", j.Durable().Sequence, "error", err)
	close(j.failed)
	j.hasten()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.work.Broadcast()
	j.space.Broadcast()
	j.idle.Broadcast()
	j.wakeWaiters(math.MaxUint64)
}

// broken reports whether the database stopped in the middle of something, so
// that reads may hang and it cannot be closed.
func (j *Journal) broken() bool {
	select {
	case <-j.dblog.stopped():
		return true
	default:
		return false
	}
}

// waiter is one call of WaitDurable.
type waiter struct {
	sequence uint64
	wake     chan struct{} // has room for the one message that it gets
}

// waiterPool keeps waiters that are on no list and whose channel is empty.
var waiterPool = sync.Pool{New: func() any { return &waiter{wake: make(chan struct{}, 1)} }}

// wakeWaiters wakes those whose event is durable: each has a channel of its own
// and the list is in order, so that a commit wakes nobody who would go back to
// sleep. It needs mu.
func (j *Journal) wakeWaiters(durable uint64) {
	n := 0
	for n < len(j.waiters) && j.waiters[n].sequence <= durable {
		j.waiters[n].wake <- struct{}{}
		n++
	}
	rest := copy(j.waiters, j.waiters[n:])
	clear(j.waiters[rest:])
	j.waiters = j.waiters[:rest]
}

// await adds a waiter. It needs mu.
func (j *Journal) await(sequence uint64) *waiter {
	w := waiterPool.Get().(*waiter)
	w.sequence = sequence
	at := len(j.waiters)
	for at > 0 && j.waiters[at-1].sequence > sequence {
		at--
	}
	j.waiters = slices.Insert(j.waiters, at, w)
	return w
}

// leaveWaiters takes out a waiter that gave up.
func (j *Journal) leaveWaiters(w *waiter) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if at := slices.Index(j.waiters, w); at >= 0 {
		j.waiters = slices.Delete(j.waiters, at, at+1)
	} else {
		<-w.wake
	}
	waiterPool.Put(w)
}

// WaitDurable returns nil once the event of that sequence is on disk, which
// includes that OnDurable has returned for it if the call had to wait. It
// returns the fatal error if the event will never be, ErrClosed if the journal
// was closed before, and the context's error (grade Temporary) when that ends
// first.
func (j *Journal) WaitDurable(ctx context.Context, sequence uint64) error {
	for {
		if j.Durable().Sequence >= sequence {
			return nil
		}
		j.mu.Lock()
		if j.Durable().Sequence >= sequence {
			j.mu.Unlock()
			return nil
		}
		if err := j.Err(); err != nil {
			j.mu.Unlock()
			return err
		}
		if j.closing && sequence > j.last.Sequence || j.opt.ReadOnly {
			j.mu.Unlock()
			return ErrClosed
		}
		w := j.await(sequence)
		j.mu.Unlock()
		select {
		case <-w.wake:
			waiterPool.Put(w)
		case <-ctx.Done():
			j.leaveWaiters(w)
			return fault.Wrap(fault.Temporary, ctx.Err(), fmt.Sprintf("journal: wait for event %d", sequence))
		}
	}
}

// closeGrace is how long Close waits for a database that failed. Pebble gives
// no promise to close after a fatal error.
const closeGrace = 3 * time.Second

// Close writes what is queued, records the head, and releases the directory.
// It waits for reads under way and for iterators to be closed; iterators end
// with ErrClosed at their next step. It returns the sticky error if there is
// one: then it waits some seconds at most, and the directory may stay locked
// until the process ends. Later calls return the same.
func (j *Journal) Close() error {
	j.closed.Do(func() { j.result = j.close() })
	return j.result
}

func (j *Journal) close() error {
	j.ended.Store(true)
	j.hasten()
	j.mu.Lock()
	j.closing = true
	j.work.Broadcast()
	j.space.Broadcast()
	for j.readers > 0 && !j.broken() {
		j.idle.Wait()
	}
	j.mu.Unlock()
	ended := j.awaitCommitter()
	j.mu.Lock()
	j.wakeWaiters(math.MaxUint64)
	j.mu.Unlock()
	if err := j.Err(); err != nil {
		j.abandon(ended)
		return err
	}
	return j.closeClean()
}

// awaitCommitter waits until the committer wrote what is queued. After a fatal
// error it may be stuck inside the database: then it reports false.
func (j *Journal) awaitCommitter() bool {
	if j.done == nil {
		return true
	}
	select {
	case <-j.done:
		return true
	case <-j.failed:
	}
	select {
	case <-j.done:
		return true
	case <-j.dblog.stopped():
		return false
	case <-time.After(j.opt.closeGrace):
		return false
	}
}

// closeClean flushes, so that the next opening replays no log, and leaves the
// head in both slots.
func (j *Journal) closeClean() error {
	var first error
	keep := func(err error, what string) {
		if err != nil && first == nil {
			first = fault.Wrap(fault.Fatal, err, "close journal "+j.opt.Dir+": "+what)
		}
	}
	if j.head != nil {
		err := flush(j.db, j.dblog, j.failed)
		if failure := j.Err(); failure != nil {
			j.abandon(true)
			return failure
		}
		keep(err, "flush")
		keep(j.head.writeBoth(j.Durable()), "head file")
		keep(j.head.close(), "head file")
	}
	keep(closeDatabase(j.db, j.dblog), "database")
	j.cache.Unref()
	keep(j.lock.Close(), "lock")
	return first
}

// abandon closes what a fatal error left. If the database does not close, its
// files and the lock stay open, because its goroutines may still write.
func (j *Journal) abandon(committerEnded bool) {
	finished := make(chan error, 1)
	if committerEnded && !j.broken() {
		go func() { finished <- closeDatabase(j.db, j.dblog) }()
	}
	select {
	case err := <-finished:
		if j.broken() {
			break
		}
		if err = errors.Join(err, j.head.close(), j.lock.Close()); err != nil {
			j.opt.Logger.Warn("journal: closing after the fatal error", "dir", j.opt.Dir, "error", err)
		}
		return
	case <-j.dblog.stopped():
	case <-time.After(j.opt.closeGrace):
	}
	j.opt.Logger.Error("journal: the failed database does not close; its directory stays locked until the process ends", "dir", j.opt.Dir)
}

// enter registers a read, which keeps the database open until leave.
func (j *Journal) enter() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closing {
		return ErrClosed
	}
	j.readers++
	return nil
}

func (j *Journal) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.readers--; j.readers == 0 {
		j.idle.Broadcast()
	}
}
