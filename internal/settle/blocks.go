package settle

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// runBlocks is how many blocks one file has; the blocks of a run are fetched from one peer.
	runBlocks = 32
	// runsAhead bounds how many runs are fetched before the run above them is linked.
	runsAhead = 32
	maxRun    = 256 << 20 // bytes of a run: 8 MiB a block
)

// counter adds up what several peers do.
type counter struct {
	mu sync.Mutex
	n  uint64
}

func (c *counter) add(n uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	return c.n
}

// Blocks fetches the blocks 1 to the agreement's, which stand on the genesis that it names, in
// runs from the top down: a run is kept when its last block is the parent of the run above. The
// signatures in them are not looked at here.
func (f *Fetch) Blocks(ctx context.Context, a checkpoint.Agreement) error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return fault.Wrap(fault.Fatal, err, "directory for the blocks")
	}
	c := newCrowd(f.Peers, f.Told)
	want := a.Root
	runs := int((a.Number + runBlocks - 1) / runBlocks)
	for top := runs; top > 0; {
		n := min(top, runsAhead)
		var err error
		if want, top, err = f.someRuns(ctx, c, a.Number, top, n, want); err != nil {
			return err
		}
		f.progress(a.Number-min(a.Number, uint64(top)*runBlocks), a.Number)
	}
	if want != a.Genesis {
		return fault.New(fault.Corrupt, "the blocks below the stated block %s at %d stand on genesis %s, this chain's is %s", a.Root, a.Number, want, a.Genesis)
	}
	return nil
}

// someRuns fetches n runs below and including the top-th, and links them. It returns what the
// run below has to end with, and its number; runs from liars are fetched again in the next call.
func (f *Fetch) someRuns(ctx context.Context, c *crowd, last uint64, top, n int, want common.Hash) (common.Hash, int, error) {
	from := make([]*worker, n) // who sent it; nil when it was there
	err := c.each(ctx, n, func(w *worker, i int) error {
		first, count := runAt(top-i, last)
		if f.has(first, count) {
			return nil
		}
		list, err := fetchRun(ctx, w, first, count)
		if err != nil {
			return err
		}
		from[i] = w
		return f.keepRun(first, list)
	})
	if err != nil {
		return want, top, err
	}
	for i := range n {
		first, count := runAt(top-i, last)
		parent, err := f.link(first, count, want)
		if err != nil {
			if from[i] != nil {
				c.lied(from[i], err)
			}
			// The next call fetches it again, of those that are left.
			return want, top - i, os.Remove(f.runPath(first))
		}
		want = parent
	}
	return want, top - n, nil
}

// runAt returns the first height of a run, counted from 1, and how many blocks it has.
func runAt(run int, last uint64) (first uint64, count int) {
	first = uint64(run-1)*runBlocks + 1
	return first, int(min(runBlocks, last-first+1))
}

// fetchRun asks one peer until the run is whole.
func fetchRun(ctx context.Context, w *worker, first uint64, count int) (list [][]byte, err error) {
	size := 0
	for len(list) < count {
		some, err := w.Blocks(ctx, first+uint64(len(list)), uint32(count-len(list)))
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return nil, fault.New(fault.Temporary, "peer %s has no block %d", w.Name(), first+uint64(len(list)))
		}
		for _, b := range some {
			size += len(b)
		}
		if list = append(list, some...); len(list) > count || size > maxRun {
			return nil, fault.New(fault.Invalid, "peer %s sent %d blocks with %d bytes, asked for were %d from %d", w.Name(), len(list), size, count, first)
		}
	}
	return list, nil
}

func (f *Fetch) runPath(first uint64) string {
	return filepath.Join(f.Dir, fmt.Sprintf("%020d.blocks", first))
}

func (f *Fetch) has(first uint64, count int) bool {
	list, err := f.Run(first)
	return err == nil && len(list) == count
}

func (f *Fetch) keepRun(first uint64, list [][]byte) error {
	var data []byte
	for _, b := range list {
		data = binary.AppendUvarint(data, uint64(len(b)))
		data = append(data, b...)
	}
	return local(writeFile(f.runPath(first), data), "keeping blocks")
}

// Run reads the run of signed blocks that begins at a height that [Fetch.Runs] names.
func (f *Fetch) Run(first uint64) (list [][]byte, err error) {
	data, err := os.ReadFile(f.runPath(first))
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "blocks that were fetched")
	}
	for len(data) > 0 {
		n, used := binary.Uvarint(data)
		if used <= 0 || n > uint64(len(data)-used) {
			return nil, fault.New(fault.Corrupt, "the file of the blocks from %d is cut", first)
		}
		list = append(list, data[used:used+int(n)])
		data = data[used+int(n):]
	}
	return list, nil
}

// Runs returns the heights at which the runs up to a height begin.
func Runs(last uint64) (first []uint64) {
	for h := uint64(1); h <= last; h += runBlocks {
		first = append(first, h)
	}
	return first
}

// link checks that the blocks of a run stand on each other and that the last has the root
// wanted, and returns the parent of the first.
func (f *Fetch) link(first uint64, count int, want common.Hash) (common.Hash, error) {
	list, err := f.Run(first)
	if err != nil {
		return want, err
	}
	if len(list) != count {
		return want, fault.New(fault.Corrupt, "%d blocks from %d, due are %d", len(list), first, count)
	}
	for i := len(list) - 1; i >= 0; i-- {
		b, err := block.Decode(list[i])
		if err != nil {
			return want, err
		}
		number := first + uint64(i)
		if root := b.Block.Root(); root != want || b.Block.Payload.BlockNumber != number {
			return want, fault.New(fault.Invalid, "block %s of height %d where block %s at %d is due", root, b.Block.Payload.BlockNumber, want, number)
		}
		want = b.Block.ParentHash
	}
	return want, nil
}
