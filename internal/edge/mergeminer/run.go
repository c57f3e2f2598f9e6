package mergeminer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ErrNothingToMine is returned by a Client that has no work: the node is
// syncing, no block follows the finalised one, or a proof for the head is
// queued already.
var ErrNothingToMine = errors.New("nothing to mine")

// Template is what to mine. (consensus.md C13, createauxblock)
type Template struct {
	Hash    chainhash.Hash // the commitment, internal byte order
	ChainID uint32
	Bits    uint32 // compact target
	Height  uint64 // of the aux block, for the log
}

// Client is a node's mining interface. Its methods may be called from any goroutine.
type Client interface {
	// CreateAuxBlock returns work whose fees go to feeRecipient, or ErrNothingToMine.
	CreateAuxBlock(ctx context.Context, feeRecipient common.Address) (Template, error)
	// SubmitAuxBlock hands in the proof for the template with this hash.
	SubmitAuxBlock(ctx context.Context, hash chainhash.Hash, proof *auxpow.AuxPow) error
}

// Clock gives the time of parent blocks and the rhythm of asking.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Options of a miner. Client is required.
type Options struct {
	Client       Client
	FeeRecipient common.Address
	// Interval is the pause between two templates; 0 means DefaultInterval.
	Interval time.Duration
	// Refresh is how long one template is mined, on the system's clock, before
	// another is asked for, and how long, on Clock, an accepted proof is not made
	// again; 0 means DefaultRefresh.
	Refresh time.Duration
	Logger  *slog.Logger // nil means slog.Default()
	Clock   Clock        // nil means the system's
}

// Defaults of Options.
const (
	DefaultInterval = 10 * time.Second
	DefaultRefresh  = 30 * time.Second
)

// Run mines until ctx ends, which is no error. A refused proof and a node that
// does not answer are logged and tried again at the next interval; an error of
// the client that is graded Corrupt or Fatal ends the miner and is returned.
func Run(ctx context.Context, o Options) error {
	if o.Client == nil {
		return fault.New(fault.Invalid, "merge miner has no client to get work from")
	}
	if o.Interval < 0 || o.Refresh < 0 {
		return fault.New(fault.Invalid, "merge miner: interval %s and refresh %s must not be negative", o.Interval, o.Refresh)
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	m := miner{Options: o}
	for {
		err := m.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrNothingToMine):
			o.Logger.Debug("nothing to mine", "reason", err)
		case fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Fatal):
			return err
		default:
			o.Logger.Warn("aux block not mined, tried again at the next interval", "interval", o.Interval, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.Clock.After(o.Interval):
		}
	}
}

// miner remembers the last accepted work: the node gives the same template
// until a block with the proof is made.
type miner struct {
	Options
	accepted   Template
	acceptedAt time.Time
}

// round mines one template.
func (m *miner) round(ctx context.Context) error {
	t, err := m.Client.CreateAuxBlock(ctx, m.FeeRecipient)
	if err != nil {
		return err
	}
	now := m.Clock.Now()
	if t == m.accepted && now.Sub(m.acceptedAt) < m.Refresh {
		m.Logger.Debug("aux block is mined already", "height", t.Height, "hash", t.Hash)
		return nil
	}
	solving, stop := context.WithTimeout(ctx, m.Refresh)
	defer stop()
	proof, err := Solve(solving, t.Hash, t.ChainID, t.Bits, now)
	if err != nil {
		return err
	}
	if err := m.Client.SubmitAuxBlock(ctx, t.Hash, proof); err != nil {
		return err
	}
	m.accepted, m.acceptedAt = t, now
	m.Logger.Info("aux block mined", "height", t.Height, "hash", t.Hash, "parent", proof.BlockHash, "nonce", proof.ParentBlock.Nonce)
	return nil
}
