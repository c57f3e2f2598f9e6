package actors

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Options of a runtime. Journal, Machine and Clock are required; the machine
// must stand at the journal's head.
type Options struct {
	Journal *journal.Journal
	Machine *Machine
	// Clock returns Unix milliseconds. Only the runtime reads it, once a turn.
	Clock func() int64
	// Edges execute effects. An effect for an edge that is not listed is
	// answered by nobody: an error at Start when such effects are pending.
	Edges map[core.Edge]Executor
	// OnFact is called for each fact in order after its turn is durable, on the
	// releasing goroutine: it must be quick.
	OnFact func(Fact)
	// InboxCapacity bounds each priority lane; 0 means 4096.
	InboxCapacity int
	// Snapshots receives a snapshot every SnapshotTurns turns, every SnapshotBytes
	// of messages and contents, and every SnapshotEvery if there was a turn; nil
	// for none.
	Snapshots     *snapshot.Store
	SnapshotTurns uint64        // 0 means 2000
	SnapshotBytes uint64        // 0 means 2 MiB
	SnapshotEvery time.Duration // 0 means five minutes
	// SnapshotAt is the sequence of the snapshot that the machine was recovered
	// from: the turns since then count for the next.
	SnapshotAt uint64
	// MaxTail bounds the turns that a crash leaves to be handled again: with so
	// many since the newest snapshot on disk no message is taken until the one
	// under way is written. One that cannot be written does not stop the node. 0
	// means 90,000.
	MaxTail   uint64
	Behaviour uint32 // version of the cores' rules, for snapshots
	Logger    *slog.Logger
}

// Fact is a published domain event.
type Fact struct {
	Ref     core.Ref
	Cause   core.Ref // of its turn
	Time    int64    // Unix milliseconds
	Actor   core.ID
	Message core.Message
}

// Runtime runs a machine live. Create it with [NewRuntime], call Start once,
// then Run; the end of its context ends it.
type Runtime struct {
	opt     Options
	journal *journal.Journal
	inbox   *inbox
	release *releaser
	snaps   *snapshooter
	looks   looks
	log     *slog.Logger

	machine *Machine      // of the sequencer goroutine once Run began
	stopped chan struct{} // closed when Run has ended

	refused atomic.Uint64 // results and messages that were no turn
	unfit   atomic.Uint64 // messages from edges of a size that is not admitted
	failed  atomic.Uint64 // turns that ended by a panic
	pending atomic.Int64  // effects without a result
}

// NewRuntime returns a runtime that does nothing yet.
func NewRuntime(o Options) *Runtime {
	if o.InboxCapacity == 0 {
		o.InboxCapacity = 4096
	}
	if o.SnapshotTurns == 0 {
		o.SnapshotTurns = 2000
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 2 << 20
	}
	if o.MaxTail == 0 {
		o.MaxTail = 90_000
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Runtime{
		opt: o, journal: o.Journal, machine: o.Machine, log: o.Logger,
		stopped: make(chan struct{}), inbox: newInbox(o.InboxCapacity),
	}
	r.release = newReleaser(r)
	r.snaps = newSnapshooter(r)
	return r
}

// Submit puts a message from an edge before an actor. A nil error says that it
// is in the inbox, not that it is durable.
func (r *Runtime) Submit(ctx context.Context, to core.ID, m core.Message, p Priority, o Overflow) error {
	if !r.machine.Accepts(to, m) {
		return fault.New(fault.Invalid, "actor %q takes no %q", to, m.Type())
	}
	if err := r.admitSize(to, m); err != nil {
		return err
	}
	return r.inbox.put(ctx, Input{Actor: to, Message: m}, p, o)
}

// MaxMessage is how many bytes a message from an edge may take, its contents
// included. What the network could make larger is to be cut up at the edge.
const MaxMessage = 16 << 20

// measured are buffers for messages that are measured.
var measured = sync.Pool{New: func() any { return new([]byte) }}

// admitSize refuses what an edge should have refused. The message is encoded
// for that, and again by its turn, which takes its bytes from one place for
// messages from edges, results and replay alike. The first encoding is made on
// the edge's goroutine, not the sequencer's, and costs a small part of a turn
// (BenchmarkSubmitSize); content objects are not copied for it.
func (r *Runtime) admitSize(to core.ID, m core.Message) error {
	buf := measured.Get().(*[]byte)
	data, contents := record.Append((*buf)[:0], m)
	size := len(data)
	if cap(data) <= 1<<20 {
		*buf = data
		measured.Put(buf)
	}
	for i := range contents {
		size += len(contents[i].Data)
	}
	if size > 0 && size <= MaxMessage {
		return nil
	}
	r.unfit.Add(1)
	return fault.New(fault.Invalid, "message %q to actor %q takes %d bytes with its contents, an edge may submit 1 to %d", m.Type(), to, size, MaxMessage)
}

// Durable is to be given to the journal as OnDurable: it releases what waits
// for the turns up to head.
func (r *Runtime) Durable(head journal.Head) { r.release.durable(head.Sequence) }

// Precede handles a message before everything that earlier turns left waiting,
// even their sends: an incident of the journal, which has to change what those
// lead to. It is called before Start, and the turn must emit facts only.
func (r *Runtime) Precede(in Input) error {
	before := r.machine.Sequence()
	if err := r.step(in); err != nil {
		return err
	}
	if r.machine.Sequence() == before {
		return fault.New(fault.Fatal, "actor %q takes no %q, which has to come first", in.Actor, in.Message.Type())
	}
	return nil
}

// Start handles what a crash left: sends first, then the given first message
// (the configuration), then between, which brings the outside level, and last
// the pending effects: until-done ones again, expiring ones as expired.
func (r *Runtime) Start(ctx context.Context, first Input, between func(*Machine) error) error {
	// Effects of the turns below wait for release; only older ones are resumed.
	pending := r.machine.PendingEffects()
	if err := r.drainSends(); err != nil {
		return err
	}
	if err := r.step(first); err != nil {
		return err
	}
	if err := r.drainSends(); err != nil {
		return err
	}
	if err := r.journal.WaitDurable(ctx, r.machine.Sequence()); err != nil {
		return err
	}
	if between != nil {
		if err := between(r.machine); err != nil {
			return err
		}
	}
	return r.release.resume(pending)
}

// Snapshot has a snapshot taken of the running machine and waits for it.
func (r *Runtime) Snapshot(ctx context.Context) (snapshot.Manifest, error) {
	if r.snaps.store == nil {
		return snapshot.Manifest{}, fault.New(fault.Invalid, "this node takes no snapshots")
	}
	done := make(chan asked, 1)
	r.snaps.ask(done)
	select {
	case a := <-done:
		return a.manifest, a.err
	case <-r.stopped:
		return snapshot.Manifest{}, ErrStopped
	case <-ctx.Done():
		return snapshot.Manifest{}, fault.Wrap(fault.Temporary, ctx.Err(), "waiting for the snapshot, which goes on")
	}
}

// TakeSnapshot takes a snapshot of a runtime that neither was started nor runs:
// what a crash left unhandled is handled first, and nothing leaves the process.
func (r *Runtime) TakeSnapshot(ctx context.Context) (snapshot.Manifest, error) {
	if err := r.drainSends(); err != nil {
		return snapshot.Manifest{}, err
	}
	m, err := r.snaps.last("operator")
	if err != nil {
		return m, err
	}
	return m, r.journal.WaitDurable(ctx, r.machine.Sequence())
}

// Run takes messages until ctx ends, which is a clean stop, or a fatal error. The journal's error after a
// failed append is returned; nothing was released after it.
func (r *Runtime) Run(ctx context.Context) error {
	defer close(r.stopped)
	releaserDone := r.release.start(ctx)
	stop := context.AfterFunc(ctx, r.inbox.close)
	defer stop()
	watched := make(chan struct{})
	go func() { // the journal can fail while no message comes
		select {
		case <-r.journal.Failed():
			r.inbox.close()
		case <-watched:
		}
	}()
	err := r.sequence()
	close(watched)
	r.inbox.close()
	r.release.stop()
	<-releaserDone
	r.snaps.refuseWanted()
	r.snaps.writers.Wait() // it reads the journal, which the caller closes next
	return err
}

func (r *Runtime) sequence() error {
	var round []Input
	for {
		var ok bool
		if round, ok = r.inbox.take(round[:0]); !ok {
			if err := r.journal.Err(); err != nil {
				return fault.Wrap(fault.Fatal, err, "the journal takes no more events")
			}
			return r.finish()
		}
		for _, in := range round {
			if err := r.step(in); err != nil {
				return err
			}
			if err := r.drainSends(); err != nil {
				return err
			}
		}
		r.show()
		if err := r.snaps.due(); err != nil {
			return err
		}
	}
}

func (r *Runtime) drainSends() error {
	for {
		in, ok := r.machine.NextSend()
		if !ok {
			return nil
		}
		if err := r.step(in); err != nil {
			return err
		}
	}
}

// step makes one turn and queues it for the journal. An input that is no turn
// is counted; only the journal's failure is an error.
func (r *Runtime) step(in Input) error {
	in.Time = r.opt.Clock()
	turn, err := r.machine.Step(in)
	if err != nil {
		r.refused.Add(1)
		r.log.Warn("message refused", "actor", in.Actor, "type", in.Message.Type(), "error", err)
		return nil
	}
	if turn.Event.Outcome == journal.OutcomeFailed {
		r.failed.Add(1)
		r.log.Error("turn failed", "actor", in.Actor, "seq", turn.Event.Sequence, "cause", turn.Event.Cause, "type", in.Message.Type(), "reason", turn.Event.Note)
	}
	if _, err := r.journal.Append(turn.Event, turn.Contents); err != nil {
		return fault.Wrap(fault.Fatal, err, "the journal takes no more events")
	}
	r.pending.Store(int64(r.machine.own.effects.Len() + len(r.machine.own.sends)))
	r.snaps.count(turn)
	r.release.add(in.Actor, turn)
	return nil
}

// finish writes the last turns of a clean stop: the mark and a snapshot.
func (r *Runtime) finish() error {
	if err := r.step(Input{Actor: core.Supervisor, Message: &message.NodeStopped{Reason: "stopped by the operator"}}); err != nil {
		return err
	}
	if err := r.drainSends(); err != nil {
		return err
	}
	if r.snaps.store != nil {
		if _, err := r.snaps.last("stop"); err != nil && r.journal.Err() != nil {
			return err
		}
	}
	return r.journal.WaitDurable(context.Background(), r.machine.Sequence())
}

// Counts are the runtime's counters since the start.
type Counts struct {
	Sequence uint64 // of the last turn
	Waiting  int    // messages in the inbox
	Dropped  uint64 // dead letters
	Refused  uint64 // inputs that were no turn
	Unfit    uint64 // messages from edges that were empty or too large
	Failed   uint64 // turns that ended by a panic
	Released uint64 // effects handed to edges
	Pending  int    // effects without a result and sends not handled, of the last turn and those before it
}

// Counts returns the counters. It may be called from any goroutine.
func (r *Runtime) Counts() Counts {
	waiting, dropped := r.inbox.depth()
	return Counts{
		Sequence: r.journal.Head().Sequence, Waiting: waiting, Dropped: dropped,
		Refused: r.refused.Load(), Unfit: r.unfit.Load(), Failed: r.failed.Load(), Released: r.release.released.Load(),
		Pending: int(r.pending.Load()),
	}
}
