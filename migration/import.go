package migration

import (
	"context"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// origin names an import's blocks in messages and facts.
const origin = "legacy"

// Bounds of one batch of blocks, and of what is handed over before the node has
// connected it.
const (
	BatchBlocks = 64      // blocks in a batch, at most: the next ones are checked while one is executed
	BatchBytes  = 8 << 20 // bytes in a batch, at most, but for a block that is larger by itself
	BatchAhead  = 4       // batches handed over and not connected yet, at most
)

// Target is the node that takes the blocks.
type Target interface {
	// Blocks hands a batch to the chain actor; it blocks while the node is busy.
	Blocks(ctx context.Context, m *message.BlocksReceived) error
	// LegacyHead ends the import.
	LegacyHead(ctx context.Context, m *message.LegacyHead) error
}

// Options of an import. The zero value imports a whole store.
type Options struct {
	// From is the height of the node's head when an earlier import was stopped;
	// blocks above it are handed over. 0 means a new node.
	From uint64
	// FromRoot is the root of that head. It must be on the store's branch. Zero
	// is allowed with From 0 only.
	FromRoot common.Hash
	// Progress is called now and then from the goroutine of Run, nil for never.
	Progress func(Progress)
}

// Progress is how far an import is.
type Progress struct {
	Done  uint64 // height up to which the node has connected blocks
	Total uint64 // height of the store's head
	Bytes uint64 // of signed blocks that were handed over in this run
}

// Result is what an import led to. After an error it holds what is known so far.
type Result struct {
	Records   Records          // of the store, by column
	Blocks    uint64           // on the branch of the head, genesis included
	Abandoned uint64           // stored and not on that branch
	Sent      uint64           // blocks handed over in this run
	Bytes     uint64           // of them, as stored
	NoFees    uint64           // blocks of this run without a fee record in the store
	Unused    []string         // files of the store without effect, see Store.Unused
	Head      message.BlockID  // of the store
	LatestPow message.BlockID  // of the store
	Finalized *message.BlockID // as the node found it, nil before the end

	HeadPayload common.Hash // payload hash of the head
	StateRoot   common.Hash // of the head, as the node executed it
	Fees        *big.Int    // fee accumulator at the head in wei
	FeesTotal   *big.Int    // wei paid in fees by the blocks of this run
	Scanned     uint32      // Bitcoin height scanned last, 0 when not recorded
	Source      [32]byte    // digest of the store's files, see Store.Digest

	Elapsed         time.Duration // from the first block handed over to the end
	BlocksPerSecond float64
}

// limits are the three bounds above.
type limits struct {
	blocks uint64
	bytes  uint64
	ahead  int
}

// Import carries the blocks of one store to one node. Create it with [New].
type Import struct {
	store   *Store
	genesis common.Hash
	options Options
	batch   limits

	result Result  // of the goroutine of Run
	branch *Branch // set by Run before the first block leaves

	mu        sync.Mutex // guards what follows
	running   *Branch    // branch, for Fact
	connected uint64     // height of the newest block that the node reported
	payload   common.Hash
	imported  *message.LegacyImported
	failed    error
	cancel    context.CancelCauseFunc // of Run's context

	wake chan struct{} // capacity 1: something that Fact guards changed
}

// New prepares an import of store into a node of the given chain: genesis is the
// execution payload of block 0 (consensus.md C3). A store of another chain is
// refused with a grade of Invalid; both genesis roots are named.
func New(store *Store, c *spec.Chain, genesis *block.Payload, options Options) (*Import, error) {
	if genesis.BlockNumber != 0 {
		return nil, fault.New(fault.Invalid, "genesis payload has block number %d, want 0; check the genesis file", genesis.BlockNumber)
	}
	if options.From > 0 && options.FromRoot == (common.Hash{}) {
		return nil, fault.New(fault.Invalid, "import from above height %d: the root of the node's head is missing", options.From)
	}
	im := &Import{
		store: store, genesis: block.Genesis(c, *genesis).Root(), options: options,
		batch:     limits{BatchBlocks, BatchBytes, BatchAhead},
		connected: options.From, wake: make(chan struct{}, 1),
	}
	// The height index is enough to refuse before anything long begins; Run
	// compares the branch itself.
	root, found, err := store.RootAt(0)
	if err != nil {
		return nil, err
	}
	if found {
		if err := im.sameGenesis(root); err != nil {
			return nil, err
		}
	}
	return im, nil
}

func (im *Import) sameGenesis(stored common.Hash) error {
	if stored == im.genesis {
		return nil
	}
	return fault.New(fault.Invalid,
		"legacy store %s: store of another chain: its genesis is %s, chain spec and genesis file give %s; use the files that belong to this store",
		im.store.path, stored, im.genesis)
}

// Fact takes a fact that the node published. It may be called by any goroutine,
// before, during and after Run, and returns at once. Facts that do not concern
// the import are ignored.
func (im *Import) Fact(m core.Message) {
	im.mu.Lock()
	defer im.mu.Unlock()
	switch m := m.(type) {
	case *message.BlockConnected:
		im.blockConnected(m)
	case *message.BlockRefused:
		if m.Origin == origin || im.ours(m.Root, m.Number) {
			im.fail(&BlockError{m.Number, m.Root, m.Field, fault.New(gradeOf(m.Grade), "the node refuses it: %s", m.Reason)})
		}
	case *message.LegacyImported:
		im.imported = m
	case *message.LegacyDiffers:
		im.fail(fault.New(fault.Invalid, "import ended with a difference: %s is %s in the legacy store and %s in the node", m.Field, m.Legacy, m.Ours))
	default:
		return
	}
	select {
	case im.wake <- struct{}{}:
	default:
	}
}

// ours reports whether a block is on the store's branch. A refusal that comes
// from executing a block does not say where the block came from.
func (im *Import) ours(root common.Hash, height uint64) bool {
	if im.running == nil {
		return false
	}
	want, ok := im.running.Root(height)
	return ok && root == want
}

func gradeOf(g uint8) fault.Grade {
	if g < uint8(fault.Temporary) || g > uint8(fault.Fatal) {
		return fault.Fatal
	}
	return fault.Grade(g)
}

func (im *Import) blockConnected(m *message.BlockConnected) {
	want := im.genesis
	if m.Number > 0 {
		if im.running == nil {
			return // of a time before this import
		}
		want, _ = im.running.Root(m.Number)
	}
	if m.Root != want {
		im.fail(&BlockError{m.Number, m.Root, "root", fault.New(fault.Invalid, "the node connected this block, the store's branch has %s; import into a new node", want)})
		return
	}
	if m.Number >= im.connected {
		im.connected, im.payload = m.Number, m.PayloadHash
	}
}

// fail keeps the first failure and stops Run.
func (im *Import) fail(err error) {
	if im.failed != nil {
		return
	}
	im.failed = err
	if im.cancel != nil {
		im.cancel(err)
	}
}

// state returns what facts told so far.
func (im *Import) state() (connected uint64, imported *message.LegacyImported, err error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.connected, im.imported, im.failed
}

// wait returns when done reports true, the node refused something or ctx ended.
func (im *Import) wait(ctx context.Context, done func(connected uint64, imported *message.LegacyImported) bool) error {
	for {
		connected, imported, err := im.state()
		if err != nil {
			return err
		}
		im.progress(connected)
		if done(connected, imported) {
			return nil
		}
		select {
		case <-im.wake:
		case <-ctx.Done():
			return im.stopped(ctx, connected)
		}
	}
}

// stopped turns the end of Run's context into the reason for it.
func (im *Import) stopped(ctx context.Context, connected uint64) error {
	if _, _, err := im.state(); err != nil {
		return err
	}
	return stopped(ctx, fmt.Sprintf("the import, with the node at height %d of %d,", connected, im.result.Head.Number))
}

func (im *Import) progress(connected uint64) {
	if im.options.Progress != nil {
		im.options.Progress(Progress{Done: connected, Total: im.result.Head.Number, Bytes: im.result.Bytes})
	}
}
