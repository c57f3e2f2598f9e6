package node

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/scrub"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/heads"
	"github.com/AnduroProject/alys-go/projections/peg"
)

// sideTasks starts what runs beside the sequencer: control socket, metrics,
// development miner, and the watch of the disk, which alone can stop the node.
func (n *Node) sideTasks(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	start := func(what string, task func(context.Context) error) {
		wg.Go(func() {
			if err := task(ctx); err != nil && ctx.Err() == nil {
				n.log.Warn(what+" ended", "error", err)
			}
		})
	}
	start("watch of the disk", n.watchDisk)
	if n.scrubber != nil {
		start("scrubber", n.scrubber.Run)
	}
	start("control socket", func(ctx context.Context) error {
		return admin.Serve(ctx, n.opt.DataDir, n.adminHandlers())
	})
	start("settling of states", n.settleStates)
	if n.audit != nil {
		start("audit of the blocks before the beginning", n.auditBlocks)
	}
	if n.external != nil {
		start("watch over the execution client", n.watchExecution)
	}
	if n.index != nil {
		start("index of the journal", n.index.Run)
		start("signing of checkpoints", n.signCheckpoints)
		if n.exchange != nil {
			start("witnessing of journals", n.witnessJournals)
		}
	}
	if n.ledger != nil {
		start("ledger of the peg", n.ledger.Run)
	}
	if n.record != nil {
		start("record of peers", n.record.Run)
	}
	if n.rpc != nil {
		start("RPC", n.rpc.Serve)
	}
	if d := n.development; d != nil && n.opt.DevBitcoinInterval > 0 {
		start("miner of the regtest chain", func(ctx context.Context) error { return d.chain.Run(ctx, n.opt.DevBitcoinInterval) })
	}
	if n.opt.DevMiner {
		start("development miner", func(ctx context.Context) error {
			return mergeminer.Run(ctx, mergeminer.Options{
				Client: n, FeeRecipient: n.opt.FeeRecipient, Interval: n.opt.DevMinerInterval, Logger: n.log.With("actor", string(miner.ID)),
			})
		})
	}
	return &wg
}

// Status is what `alys status` shows of a running node.
type Status struct {
	Version     string          `json:"version"`
	Running     bool            `json:"running"`
	Uptime      string          `json:"uptime,omitempty"`
	DataDir     string          `json:"data_dir"`
	Head        BlockStatus     `json:"head"`
	Finalized   BlockStatus     `json:"finalized"`
	LatestPow   BlockStatus     `json:"latest_pow_block"`
	Chain       heads.View      `json:"chain"`
	Producing   bool            `json:"producing"`
	Authority   *uint32         `json:"authority,omitempty"`
	Journal     JournalStatus   `json:"journal"`
	Snapshot    uint64          `json:"newest_snapshot"` // sequence
	Inbox       int             `json:"inbox_waiting"`
	Dropped     uint64          `json:"messages_dropped"`
	FailedTurns uint64          `json:"turns_failed"`
	MemoryMB    uint64          `json:"memory_mb"`
	HTTP        string          `json:"execution_rpc,omitempty"`
	Execution   ExecutionStatus `json:"execution"`
	Peg         *peg.Summary    `json:"peg,omitempty"`   // nil while the ledger cannot tell
	P2P         *P2PStatus      `json:"p2p,omitempty"`   // nil for a node without peers
	Peers       *PeersStatus    `json:"peers,omitempty"` // nil for a node without the network
	Scrub       *scrub.Status   `json:"scrub,omitempty"` // nil when it is switched off
	Audit       *AuditStatus    `json:"audit,omitempty"` // of the blocks before a journal's beginning; nil when it began at genesis
	Settled     uint64          `json:"settled"`         // height of the newest state that is offered to others
	Warnings    []string        `json:"warnings"`
}

// BlockStatus names a block.
type BlockStatus struct {
	Height uint64 `json:"height"`
	Hash   string `json:"hash"`
}

// JournalStatus is the journal's position.
type JournalStatus struct {
	ID      string `json:"id"`
	Head    uint64 `json:"head"`
	Durable uint64 `json:"durable"`
	Hash    string `json:"hash"`    // chain hash at Durable
	Indexed uint64 `json:"indexed"` // last event that queries find by the index
}

// Status returns the node's status. It never waits for the sequencer.
func (n *Node) Status() Status {
	c := n.view.snapshot()
	counts := n.runtime.Counts()
	durable := n.journal.Durable()
	s := Status{
		Version: n.opt.Version, Running: true, Uptime: time.Since(n.started).Round(time.Second).String(), DataDir: n.opt.DataDir,
		Head: BlockStatus{c.Head.Number, c.Head.Root.Hex()}, Finalized: BlockStatus{c.Finalized.Number, c.Finalized.Root.Hex()},
		LatestPow: BlockStatus{c.LatestPow.Number, c.LatestPow.Root.Hex()}, Chain: c, Producing: n.config.Producing,
		Journal: JournalStatus{ID: n.journal.ID().String(), Head: counts.Sequence, Durable: durable.Sequence, Hash: durable.Hash.String(),
			Indexed: durable.Sequence - min(n.indexLag(), durable.Sequence)},
		Inbox: counts.Waiting, Dropped: counts.Dropped, FailedTurns: counts.Failed,
		MemoryMB: memoryMB(), HTTP: n.executionHTTP(), Execution: n.executionStatus(), Warnings: n.warnings(),
	}
	if n.config.HasAuthority {
		authority := n.config.Authority
		s.Authority = &authority
	}
	if all, err := n.snapshots.List(); err == nil && len(all) > 0 {
		s.Snapshot = all[0].Sequence
	}
	s.Peg, s.P2P, s.Peers = n.glance(), n.peers.status(), n.peersStatus()
	s.Audit, s.Settled = n.audit.status(), n.settled.Newest()
	if n.scrubber != nil {
		now := n.scrubber.Status()
		s.Scrub = &now
	}
	return s
}

// memoryMB is the memory the Go runtime and its heap hold from the system.
func memoryMB() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return (m.Sys - m.HeapReleased) >> 20
}

func (n *Node) adminHandlers() admin.Handlers {
	return admin.Handlers{
		Development:  n.development.handlers(),
		AllowSigning: func(ctx context.Context, reason string) error { return refusal(n.AllowSigning(ctx, reason)) },
		AssumeSynced: func(ctx context.Context, reason string) error { return refusal(n.AssumeSynced(ctx, reason)) },
		FollowBranch: func(ctx context.Context, root, reason string) error {
			return refusal(n.FollowBranch(ctx, root, reason))
		},
		KeepToBranch: func(ctx context.Context, root, reason string) error {
			return refusal(n.KeepToBranch(ctx, root, reason))
		},
		State: func(ctx context.Context, rangeEnd string) (string, error) {
			statement, err := n.State(ctx, rangeEnd)
			return statement, refusal(err)
		},
		Release: func(ctx context.Context, rangeEnd string, statements []string, reason string) error {
			return refusal(n.ReleaseLock(ctx, rangeEnd, statements, reason))
		},
		Peers:       n.peersHandlers(),
		Peg:         n.PegAnswer,
		ResumePeg:   func(ctx context.Context, reason string) error { return refusal(n.ResumePeg(ctx, reason)) },
		Ready:       func(context.Context) []string { return n.opt.Telemetry.Health.Texts() },
		LogLevels:   n.logLevels,
		SetLogLevel: n.setLogLevel,
		Status:      func(context.Context) (any, error) { return n.Status(), nil },
		Snapshot: func(ctx context.Context) (any, error) {
			m, err := n.runtime.Snapshot(ctx)
			return DescribeSnapshot(m), err
		},
		Archive: func(ctx context.Context, before uint64, segmentBytes int64) (any, error) {
			r, err := n.Archive(ctx, before, journal.ArchiveOptions{SegmentBytes: segmentBytes})
			return r, refusal(err)
		},
		Checkpoint: func(_ context.Context, dir string) (any, error) {
			if err := n.copyJournal(dir); err != nil {
				return nil, err
			}
			return JournalStatus{ID: n.journal.ID().String(), Durable: n.journal.Durable().Sequence}, nil
		},
	}
}

// refusal marks what the node refuses for the socket, which knows no error of the node.
func refusal(err error) error {
	if errors.Is(err, ErrRefused) {
		return errors.Join(err, admin.ErrRefused)
	}
	return err
}
