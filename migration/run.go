package migration

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// batch is a run of blocks on the way to the node.
type batch struct {
	message *message.BlocksReceived
	first   uint64
	last    uint64
	bytes   uint64
	noFees  uint64
	paid    *big.Int // fees of these blocks in wei
	err     error    // instead of the rest; the last batch then
}

// Run reads the store from beginning to end and hands it over. It returns when
// the node reported the end of the import, at the first block that the store or
// the node finds wrong, or when ctx ends. Run is called once.
//
// Errors about one block are a [BlockError]. A node that refuses a block stops
// the import at once; blocks below it stay connected, and a later import may go
// on above them with [Options.From].
func (im *Import) Run(ctx context.Context, target Target) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := im.open(ctx); err != nil {
		return im.result, err
	}
	im.mu.Lock()
	im.running, im.cancel = im.branch, cancel
	failed := im.failed
	im.mu.Unlock()
	if failed != nil {
		return im.result, failed
	}
	digest := im.digest(ctx)
	began := time.Now()
	err := im.pump(ctx, target)
	if err == nil {
		err = im.finish(ctx, target, digest)
	}
	im.result.Elapsed = time.Since(began)
	if s := im.result.Elapsed.Seconds(); s > 0 {
		im.result.BlocksPerSecond = float64(im.result.Sent) / s
	}
	return im.result, err
}

// Verify does everything Run does that needs no node: it counts, walks and checks
// the whole store from genesis, whatever Options.From says.
func (im *Import) Verify(ctx context.Context) (Result, error) {
	im.options.From, im.options.FromRoot = 0, common.Hash{}
	if err := im.open(ctx); err != nil {
		return im.result, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	for b := range im.read(ctx) {
		if b.err != nil {
			return im.result, b.err
		}
		im.count(b)
		im.progress(b.last)
	}
	if err := stopped(ctx, "verifying"); err != nil {
		return im.result, err
	}
	im.result.Elapsed = time.Since(began)
	if s := im.result.Elapsed.Seconds(); s > 0 {
		im.result.BlocksPerSecond = float64(im.result.Sent) / s
	}
	return im.result, im.store.Unchanged()
}

// open reads what the store says of itself and compares its branch with the
// chain and with the node's head.
func (im *Import) open(ctx context.Context) (err error) {
	r := &im.result
	r.Unused = im.store.Unused()
	r.FeesTotal = new(big.Int)
	if r.Records, err = im.store.Count(ctx); err != nil {
		return err
	}
	if im.branch, err = im.store.Branch(ctx, r.Records[ColumnBlocks]); err != nil {
		return err
	}
	r.Head, r.Blocks = im.branch.Head(), im.branch.Len()
	r.Abandoned = r.Records[ColumnBlocks] - r.Blocks
	if r.LatestPow, err = im.store.LatestPow(); err != nil {
		return err
	}
	if r.Scanned, _, err = im.store.Scanned(); err != nil {
		return err
	}
	genesis, err := im.branch.Block(0)
	if err != nil {
		return err
	}
	if err := im.sameGenesis(genesis.Root); err != nil {
		return err
	}
	if !genesis.Signed.Approvals.Empty() || !genesis.Signed.Approvals.Signature.None() {
		return &BlockError{0, genesis.Root, "approvals", fault.New(fault.Corrupt, "genesis has approvals, which nobody can have given; restore the store")}
	}
	if err := im.openHead(); err != nil {
		return err
	}
	return im.checkFrom()
}

// openHead reads what is known of the head before its turn comes.
func (im *Import) openHead() error {
	r := &im.result
	head, err := im.branch.Block(r.Head.Number)
	if err != nil {
		return err
	}
	if !head.HasFees {
		return &BlockError{head.Height, head.Root, "fee", fault.New(fault.Corrupt, "the head has no fee record; restore the store")}
	}
	r.Fees, r.HeadPayload = head.Fees, head.Signed.Block.Payload.BlockHash
	return nil
}

func (im *Import) checkFrom() error {
	o := im.options
	root, ok := im.branch.Root(o.From)
	switch {
	case !ok:
		return fault.New(fault.Invalid, "the node's head is at height %d, the store's at %d; import into a new node", o.From, im.result.Head.Number)
	case o.FromRoot != (common.Hash{}) && o.FromRoot != root:
		return fault.New(fault.Invalid, "the node's head %s at height %d is not on the store's branch, which has %s there; import into a new node",
			o.FromRoot, o.From, root)
	}
	return nil
}

// read checks the blocks above From and sends them in batches, one ahead of the
// receiver, until ctx ends or a batch with an error was sent.
func (im *Import) read(ctx context.Context) <-chan *batch {
	out := make(chan *batch)
	go func() {
		defer close(out)
		var before *big.Int // accumulator after the block before, nil when not recorded
		if block, err := im.branch.Block(im.options.From); err == nil && block.HasFees {
			before = block.Fees
		}
		for height := im.options.From + 1; height < im.branch.Len(); {
			var b *batch
			b, before = im.readBatch(ctx, height, before)
			height = b.last + 1
			select {
			case out <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return out
}

// readBatch reads the batch that begins at height first.
func (im *Import) readBatch(ctx context.Context, first uint64, before *big.Int) (*batch, *big.Int) {
	b := &batch{message: &message.BlocksReceived{Origin: origin}, first: first, paid: new(big.Int)}
	for height := first; height < im.branch.Len(); height++ {
		size := uint64(im.branch.sizes[height])
		if height > first && (height-first == im.batch.blocks || b.bytes+size > im.batch.bytes) {
			break
		}
		if b.err = stopped(ctx, "reading"); b.err != nil {
			break
		}
		var block *Block
		if block, b.err = im.branch.Block(height); b.err != nil {
			break
		}
		next := message.Block{Signed: record.NewContent(block.Data), HasFees: block.HasFees}
		if block.HasFees {
			var of *big.Int
			if of, b.err = checkFees(block, before); b.err != nil {
				break
			}
			b.paid.Add(b.paid, of)
			next.Fees = block.Fees.Bytes()
			before = block.Fees
		} else {
			b.noFees++
			before = nil
		}
		b.message.Blocks = append(b.message.Blocks, next)
		b.last = height
		b.bytes += size
	}
	return b, before
}

func (im *Import) count(b *batch) {
	r := &im.result
	r.Sent += uint64(len(b.message.Blocks))
	r.Bytes += b.bytes
	r.NoFees += b.noFees
	r.FeesTotal.Add(r.FeesTotal, b.paid)
}

// pump hands batches over while the node keeps up, and returns when the node has
// connected the last block. What precedes a wrong block is handed over and
// connected first, so that the error ends an import that can be continued.
func (im *Import) pump(ctx context.Context, target Target) error {
	var ahead []uint64 // last heights of the batches handed over
	for b := range im.read(ctx) {
		if len(b.message.Blocks) > 0 {
			if len(ahead) == im.batch.ahead {
				if err := im.reached(ctx, ahead[0]); err != nil {
					return err
				}
				ahead = ahead[1:]
			}
			if err := im.hand(ctx, target, b); err != nil {
				return err
			}
			ahead = append(ahead, b.last)
		}
		if b.err != nil {
			if len(ahead) > 0 {
				if err := im.reached(ctx, ahead[len(ahead)-1]); err != nil {
					return err
				}
			}
			return b.err
		}
	}
	return im.reached(ctx, im.result.Head.Number)
}

// reached waits until the node has connected the block at a height.
func (im *Import) reached(ctx context.Context, height uint64) error {
	return im.wait(ctx, func(connected uint64, _ *message.LegacyImported) bool { return connected >= height })
}

func (im *Import) hand(ctx context.Context, target Target, b *batch) error {
	im.count(b)
	err := target.Blocks(ctx, b.message)
	// A refusal ends ctx and with it the hand-over: it is the better reason.
	if _, _, failed := im.state(); failed != nil {
		return failed
	}
	if err != nil {
		return fault.Wrap(fault.Of(err), err, fmt.Sprintf("legacy import: handing over the blocks %d to %d", b.first, b.last))
	}
	return nil
}

type digested struct {
	source [32]byte
	err    error
}

// digest computes the source digest while blocks are executed.
func (im *Import) digest(ctx context.Context) <-chan digested {
	out := make(chan digested, 1)
	go func() {
		source, err := im.store.Digest(ctx)
		out <- digested{source, err}
	}()
	return out
}

// finish compares the ends of both sides.
func (im *Import) finish(ctx context.Context, target Target, digest <-chan digested) error {
	d := <-digest
	if d.err != nil {
		return d.err
	}
	if err := im.store.Unchanged(); err != nil {
		return err
	}
	r := &im.result
	r.Source = d.source
	head, latest := r.Head, r.LatestPow
	err := target.LegacyHead(ctx, &message.LegacyHead{
		Head: &head, LatestPow: &latest, Fees: r.Fees.Bytes(), Rescan: r.Scanned,
		Blocks: r.Blocks, Abandoned: r.Abandoned, Source: r.Source,
	})
	if err != nil {
		return fault.Wrap(fault.Of(err), err, "legacy import: handing over the head")
	}
	err = im.wait(ctx, func(_ uint64, imported *message.LegacyImported) bool { return imported != nil })
	if err != nil {
		return err
	}
	_, imported, _ := im.state()
	r.Finalized, r.StateRoot = imported.Finalized, imported.StateRoot
	return nil
}
