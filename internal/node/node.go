package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	actorengine "github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/lease"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/internal/scrub"
	"github.com/AnduroProject/alys-go/internal/settle"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/journal/witness"
	"github.com/AnduroProject/alys-go/projections/peers"
	"github.com/AnduroProject/alys-go/projections/peg"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Fact is a published domain event.
type Fact = actors.Fact

// Node is one node. Create it with [Open].
type Node struct {
	opt         Options
	log         *slog.Logger
	started     time.Time
	journal     *journal.Journal
	snapshots   *snapshot.Store
	scrubber    *scrub.Scrubber // nil when it is switched off
	index       *index.Index    // nil when it cannot be used
	ledger      *peg.Ledger     // of the peg; nil when it cannot be used
	backend     *rpcBackend
	pegSeen     pegGlance
	notary      *Notary // nil without index; of one goroutine at a time, with notaryLock
	notaryLock  sync.Mutex
	witnesses   *witness.Book       // nil without notary
	noteKey     *checkpoint.NoteKey // nil of a node that is no member
	members     memberPeers
	exchange    exchange // with a peer; nil without peers
	memo        *memo.Memo
	embedded    *engine.Embedded
	external    *engine.External // instead of embedded
	engine      *engineEdge
	bitcoin     *bitcoinEdge // nil without a Bitcoin node
	bitcoinNode bitcoin.Node
	development *developmentBitcoin // with bitcoinNode in this process; else nil
	runtime     *actors.Runtime
	releasing   atomic.Pointer[actors.Runtime] // runtime, for the journal: an upgrade appends before there is one
	answers     *answerEdge
	signer      *signerEdge
	pegSigner   *pegSignerEdge
	peers       *peersEdge
	leases      []*lease.Lease
	record      *peers.Store // of peers; nil without peers, or when it cannot be used
	peersSeen   peersGlance
	recovered   restart.Recovered
	config      *message.NodeConfigured
	rules       *spec.Chain
	genesisRoot common.Hash
	settled     *settle.Store
	audit       *audit // nil for a journal that began at genesis
	slot        time.Duration
	view        view
	branch      *branch
	queue       queue
	rpc         *rpc.Server // nil when it is off
	stop        context.CancelCauseFunc
}

// Open opens the data directory and recovers.
// Errors: Invalid for wrong options or a locked directory, Corrupt for damage
// and divergence, [ErrRefused] when the options contradict the journal.
func Open(ctx context.Context, o Options) (*Node, error) {
	o.defaults()
	n := &Node{opt: o, log: o.Logger, started: time.Now(), memo: memo.New(), answers: newAnswerEdge(), signer: &signerEdge{key: o.AuthorityKey}, peers: newPeersEdge(&o.P2P)}
	n.view.onFact = []func(Fact){func(f Fact) { o.Telemetry.Metrics.Fact(f.Message) }, newEventLog(n.log, n.view.snapshot).fact}
	if o.Levels != nil {
		o.Levels.Height(func() uint64 { return n.view.snapshot().Head.Number })
	}
	if o.OnFact != nil {
		n.view.onFact = append(n.view.onFact, o.OnFact)
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "data directory")
	}
	if err := newDiskWatch(&n.opt).look(); err != nil {
		return nil, err
	}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	stage := func(name string) { n.opt.Telemetry.Health.Stage(name, 0, 0) }
	stage("opening the journal")
	if err := n.openJournal(ctx); err != nil {
		return err
	}
	rules, err := n.chainRules() // before anything is kept of a first run
	if err != nil {
		return err
	}
	stage("opening the execution layer")
	genesis, err := n.openExecution(ctx)
	if err != nil {
		return err
	}
	if err := n.openBitcoin(rules); err != nil {
		return err
	}
	if n.config, err = n.configuration(rules, genesis); err != nil {
		return err
	}
	if err := n.takeLeases(n.config, rules); err != nil {
		return err
	}
	n.slot, n.rules, n.genesisRoot = time.Duration(rules.SlotDuration)*time.Millisecond, rules, block.Genesis(rules, *genesis).Block.Root()
	if err := n.openSettled(); err != nil {
		return err
	}
	if err := n.keepGenesis(); err != nil {
		return err
	}
	n.openIndex()
	n.openLedger()
	n.openRecord()
	if err := n.openNotary(); err != nil {
		return err
	}
	if err := n.openWitness(); err != nil {
		return err
	}
	n.memo.Prepare(n.config) // approvals are checked ahead from the first block on
	n.view.now = ViewOf(chainState(n.recovered.Machine))
	n.branch = recentBranch(chainState(n.recovered.Machine))
	n.queue.raw = chainState(n.recovered.Machine).Work
	n.queue.waiting = len(n.queue.raw) > 0
	if err := n.openRPC(); err != nil {
		return err
	}
	n.runtime = actors.NewRuntime(actors.Options{
		Journal: n.journal, Machine: n.recovered.Machine,
		Clock:     n.now,
		Edges:     n.edges(),
		OnFact:    n.fact,
		Snapshots: n.snapshots, SnapshotTurns: n.opt.SnapshotTurns, SnapshotBytes: n.opt.SnapshotBytes, SnapshotAt: n.recovered.Snapshot,
		SnapshotEvery: n.opt.SnapshotEvery, Behaviour: Behaviour, Logger: n.log,
	})
	n.releasing.Store(n.runtime)
	n.opt.Telemetry.opened(n, rules)
	stage("handling what the last run left")
	return nil
}

// now returns Unix milliseconds.
func (*Node) now() int64 { return time.Now().UnixMilli() }

// readersWait is how long a journal may be held by a command that reads it beside no
// node, such as a poll of the status at the moment of a restart.
const readersWait = 2 * time.Second

// openUnlocked opens a journal, once a command that reads it is done.
func openUnlocked(ctx context.Context, o journal.Options) (*journal.Journal, error) {
	for deadline := time.Now().Add(readersWait); ; {
		j, err := journal.Open(o)
		if !errors.Is(err, journal.ErrLocked) || time.Now().After(deadline) {
			return j, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// openJournal opens journal and snapshots and recovers the machine.
func (n *Node) openJournal(ctx context.Context) error {
	var err error
	n.journal, err = openUnlocked(ctx, journal.Options{
		Dir: JournalDir(n.opt.DataDir), Archive: n.opt.Archive, CacheBytes: int64(n.opt.JournalCacheMB) << 20,
		MaxPendingBytes: n.opt.MaxPendingBytes, CommitDelay: n.opt.CommitDelay, Logger: n.log,
		OnDurable: func(h journal.Head) {
			if r := n.releasing.Load(); r != nil {
				r.Durable(h)
			}
		},
	})
	if err != nil {
		return err
	}
	if n.snapshots, err = openSnapshots(n.opt.DataDir, n.opt.SnapshotKeep, false, nil, n.log); err != nil {
		return err
	}
	if n.opt.ScrubRate > 0 {
		n.scrubber = scrub.New(scrub.Options{
			Journal: n.journal.Checkpoint, Scratch: filepath.Join(n.opt.DataDir, "scrub"), Snapshots: SnapshotDir(n.opt.DataDir),
			Archive: n.opt.Archive, BytesPerSecond: n.opt.ScrubRate, Logger: n.log,
		})
	}
	if err := n.journalPresent(); err != nil {
		return err
	}
	if n.recovered, err = n.recoverMachine(ctx); err != nil {
		return err
	}
	if c := chainState(n.recovered.Machine).Conflict; c != nil {
		return refused("%s", chain.DescribeConflict(c))
	}
	if r := n.recovered.Report; r.Sequence > 0 {
		n.log.Info("recovered", "seq", r.Sequence, "snapshot", n.recovered.Snapshot, "replayed", r.Turns,
			"height", chainState(n.recovered.Machine).Head.Number, "took", r.Elapsed.Round(time.Millisecond))
	}
	return nil
}

// stopFor ends the node for a cause.
func (n *Node) stopFor(cause error) {
	if n.stop != nil {
		n.stop(cause)
	}
}

func (n *Node) edges() map[core.Edge]actors.Executor {
	edges := map[core.Edge]actors.Executor{
		actorengine.Edge:       n.engine,
		chain.TimerEdge:        &timerEdge{wall: time.Now, start: n.started},
		chain.SignerEdge:       n.signer,
		bridge.SignerEdge:      n.pegSigner,
		miner.AnswerEdge:       n.answers,
		chain.PeersEdge:        n.peers,
		supervisor.ProcessEdge: &processEdge{stop: n.stopFor},
	}
	if n.bitcoin != nil {
		edges[bitcoinName] = n.bitcoin
	}
	for name, x := range edges {
		edges[name] = &metered{edge: name, to: x, t: n.opt.Telemetry}
	}
	return edges
}

// journalPresent refuses an empty journal beside snapshots. They are taken of
// turns that are on disk, so the journal was lost; a member that began again
// from genesis would sign other blocks at heights it has signed before.
func (n *Node) journalPresent() error {
	if n.journal.Head().Sequence > 0 {
		return nil
	}
	all, err := n.snapshots.List()
	if err != nil || len(all) == 0 {
		return err
	}
	return refused("the journal of data directory %s is empty, but snapshot %d of journal %x is there: restore the journal, or use another data directory",
		n.opt.DataDir, all[0].Sequence, all[0].Journal)
}

// content returns the bytes of a content that a message refers to.
func (n *Node) content(c record.Content) ([]byte, error) {
	if c.Data != nil {
		return c.Data, nil
	}
	return n.journal.Content(journal.Hash(c.Hash))
}

// Run runs the node until ctx ends, which is a clean stop, or something fatal
// happens. ready, if not nil, is called when the first message was handled.
func (n *Node) Run(ctx context.Context, ready func()) error {
	ctx, n.stop = context.WithCancelCause(ctx)
	defer n.stop(nil)
	if err := n.tellIncident(); err != nil {
		return err
	}
	first := actors.Input{Actor: core.Supervisor, Message: n.config}
	if err := n.runtime.Start(ctx, first, func(m *actors.Machine) error { return n.levelExecution(ctx, m) }); err != nil {
		return err
	}
	if err := n.openPeers(ctx); err != nil {
		return err
	}
	defer n.closePeers()
	n.log.Info("node running", "height", n.view.snapshot().Head.Number, "data", n.opt.DataDir,
		"start_took", time.Since(n.started).Round(time.Millisecond))
	n.warnHeld()
	n.opt.Telemetry.Health.Running()
	if ready != nil {
		ready()
	}
	side := n.sideTasks(ctx)
	err := n.runtime.Run(ctx)
	cause := context.Cause(ctx)
	n.opt.Telemetry.Health.Raise(health.Stopping, "stopping: the last turns and a snapshot are written")
	n.stop(nil)
	side.Wait()
	if failed := n.signLast(); fault.Is(failed, fault.Corrupt) {
		err = errors.Join(err, failed)
	} else if failed != nil {
		n.log.Warn("no checkpoint was signed at the end", "error", failed)
	}
	if err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("node stopped: %w", err)
	}
	return nil
}

// fact brings the read models up to date with one durable fact.
func (n *Node) fact(f Fact) {
	n.peers.fold(f)
	n.queue.fold(f)
	n.branch.fold(f)
	n.view.fact(f)
}

// Close closes what Open opened. It is safe after a failed Open.
func (n *Node) Close() error {
	var errs []error
	if n.rpc != nil {
		_ = n.rpc.Close() // of a node that never ran; served, it is closed
	}
	if n.pegSigner != nil && n.pegSigner.signer != nil {
		errs = append(errs, n.pegSigner.signer.Close())
	}
	if n.bitcoin != nil {
		n.bitcoin.running.Wait() // for the calls that ended with the runtime
	}
	if n.bitcoinNode != nil {
		errs = append(errs, n.bitcoinNode.Close())
	}
	if n.engine != nil {
		errs = append(errs, n.engine.api.Close())
	}
	if n.index != nil {
		if err := n.index.Close(); err != nil {
			n.log.Warn("closing the index", "error", err)
		}
	}
	if n.ledger != nil {
		if err := n.ledger.Close(); err != nil {
			n.log.Warn("closing the ledger of the peg", "error", err)
		}
	}
	if n.record != nil {
		if err := n.record.Close(); err != nil {
			n.log.Warn("closing the record of peers", "error", err)
		}
	}
	if n.journal != nil {
		errs = append(errs, n.journal.Close())
	}
	return errors.Join(append(errs, n.endLeases())...)
}
