package migration

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/msgpack"
)

// BlockError is an error about one block of the store.
type BlockError struct {
	Height uint64
	Root   common.Hash // key the block is stored under
	Field  string      // the part of it that is wrong, in the words of the block's decoder
	Err    error       // what is wrong; its grade is this error's
}

// Error returns height, root, field and cause.
func (e *BlockError) Error() string {
	return fmt.Sprintf("block at height %d (%s): field %q: %v", e.Height, e.Root, e.Field, e.Err)
}

// Unwrap returns the cause.
func (e *BlockError) Unwrap() error { return e.Err }

// Branch is the chain of blocks from genesis to the head of a store.
type Branch struct {
	store *Store
	roots []common.Hash // by height
	sizes []uint32      // bytes of the signed block, by height
	total uint64        // sum of sizes
}

// Block is one block of a branch, checked as [Branch.Block] says.
type Block struct {
	Height  uint64
	Root    common.Hash
	Data    []byte // as stored: the signed block
	Signed  *block.Signed
	Fees    *big.Int // accumulator after the block in wei
	HasFees bool     // false where the store has no fee record
}

// Branch walks from the head to genesis by parent links. blocks is the number of
// blk records, see [Store.Count]: no branch is longer, so that links in a circle
// end the walk. An error names height and root of the block that is missing or
// whose link is wrong, and is graded Corrupt.
func (s *Store) Branch(ctx context.Context, blocks uint64) (*Branch, error) {
	head, err := s.Head()
	if err != nil {
		return nil, err
	}
	b := &Branch{store: s}
	root, height := head.Root, head.Number
	for {
		if err := stopped(ctx, "walking the branch"); err != nil {
			return nil, err
		}
		parent, size, err := s.link(height, root)
		if err != nil {
			return nil, b.blame(head.Number, 1, err)
		}
		b.roots, b.sizes = append(b.roots, root), append(b.sizes, size)
		b.total += uint64(size)
		end := parent == (common.Hash{})
		if end && height == 0 {
			break
		}
		if end || height == 0 || uint64(len(b.roots)) > blocks {
			return nil, b.blame(head.Number, len(b.roots), &BlockError{height, root, "parent hash", fault.New(fault.Corrupt,
				"is %s: the branch of head %s at height %d does not end in genesis at height 0; restore the store", parent, head.Root, head.Number)})
		}
		root, height = parent, height-1
	}
	slices.Reverse(b.roots)
	slices.Reverse(b.sizes)
	return b, nil
}

// blame looks for the cause of a walk's failure in the last n blocks that were
// walked: one whose content is not what its key says has misled the walk. roots
// are still in the order of the walk, from the height of the head down.
func (b *Branch) blame(head uint64, n int, err error) error {
	for i := max(len(b.roots)-n, 0); i < len(b.roots); i++ {
		data, failed := b.store.SignedBlock(b.roots[i])
		if failed != nil {
			return failed
		}
		if _, wrong := checkBlock(head-uint64(i), b.roots[i], data); wrong != nil {
			return wrong
		}
	}
	return err
}

// link reads no more of a block than its parent.
func (s *Store) link(height uint64, root common.Hash) (parent common.Hash, size uint32, err error) {
	data, err := s.SignedBlock(root)
	if err != nil {
		return parent, 0, &BlockError{height, root, "record", err}
	}
	if data == nil {
		return parent, 0, &BlockError{height, root, "record", fault.New(fault.Corrupt, "the block is not stored; restore the store")}
	}
	if len(data) > block.MaxSize {
		return parent, 0, &BlockError{height, root, "record", fault.New(fault.Corrupt, "%d bytes, at most %d are read", len(data), block.MaxSize)}
	}
	r := msgpack.NewReader(data, block.MaxSize)
	r.Array(2, "signed block")
	r.Array(7, "block")
	r.Hex(parent[:], "parent hash")
	if err := r.Err(); err != nil {
		return parent, 0, decodeError(height, root, err)
	}
	return parent, uint32(len(data)), nil
}

// Len returns the number of blocks, genesis included.
func (b *Branch) Len() uint64 { return uint64(len(b.roots)) }

// Bytes returns the size of all blocks as stored.
func (b *Branch) Bytes() uint64 { return b.total }

// Head returns the last block's root and height.
func (b *Branch) Head() message.BlockID {
	return message.BlockID{Root: b.roots[len(b.roots)-1], Number: uint64(len(b.roots) - 1)}
}

// Root returns the root at a height, false above the head.
func (b *Branch) Root(height uint64) (common.Hash, bool) {
	if height >= uint64(len(b.roots)) {
		return common.Hash{}, false
	}
	return b.roots[height], true
}

// Block reads and checks the block at a height: that it decodes and encodes to
// the same bytes, that its root is the key it is stored under, and that it says
// the height it is at. An error is a [BlockError], graded Corrupt. Approvals,
// which are no part of the root, and rules that need other blocks are left to
// the chain actor.
func (b *Branch) Block(height uint64) (*Block, error) {
	root, ok := b.Root(height)
	if !ok {
		return nil, fault.New(fault.Invalid, "legacy store: no block at height %d, the head is at %d", height, len(b.roots)-1)
	}
	data, err := b.store.SignedBlock(root)
	if err != nil {
		return nil, &BlockError{height, root, "record", err}
	}
	if data == nil {
		return nil, &BlockError{height, root, "record", fault.New(fault.Corrupt, "the block is not stored; restore the store")}
	}
	signed, err := checkBlock(height, root, data)
	if err != nil {
		return nil, err
	}
	out := &Block{Height: height, Root: root, Data: data, Signed: signed}
	out.Fees, out.HasFees, err = b.store.Fees(root)
	if err != nil {
		return nil, &BlockError{height, root, "fee", err}
	}
	return out, nil
}

// checkBlock decodes a stored block and compares it with its key and height.
func checkBlock(height uint64, root common.Hash, data []byte) (*block.Signed, error) {
	signed, err := block.Decode(data)
	if err != nil {
		return nil, decodeError(height, root, err)
	}
	wrong := func(field, format string, args ...any) error {
		return &BlockError{height, root, field, fault.New(fault.Corrupt, format+"; restore the store", args...)}
	}
	if !bytes.Equal(signed.Encode(), data) {
		return nil, wrong("encoding", "the block encodes to other bytes than the stored ones")
	}
	if got := signed.Root(); got != root {
		if field := damagedPart(height, &signed.Block); field != "" {
			return nil, wrong(field, "the content has the root %s", got)
		}
		return nil, wrong("root", "the content has the root %s", got)
	}
	if n := signed.Block.Payload.BlockNumber; n != height {
		return nil, wrong("payload: block number", "is %d, by the head record the block is at height %d", n, height)
	}
	return signed, nil
}

// decodeError wraps an error of the block's decoder. Its text is "msgpack: offset
// N: field: what is wrong"; the parts of a field's name are joined by ": ".
func decodeError(height uint64, root common.Hash, err error) error {
	field := err.Error()
	if _, rest, found := strings.Cut(field, ": offset "); found {
		_, field, _ = strings.Cut(rest, ": ")
	}
	if i := strings.LastIndex(field, ": "); i >= 0 {
		field = field[:i]
	} else if strings.HasPrefix(field, "aggregation bits") {
		field = "aggregation bits"
	}
	return &BlockError{height, root, field, fault.New(fault.Corrupt, "%w; restore the store", err)}
}

// checkFees checks a fee record against the one before it. An accumulator
// falls only where an AuxPoW block pays it out. (consensus.md C6)
func checkFees(b *Block, before *big.Int) (of *big.Int, err error) {
	if b.Signed.Block.AuxPowHeader != nil || before == nil {
		return b.Fees, nil
	}
	if b.Fees.Cmp(before) < 0 {
		return nil, &BlockError{b.Height, b.Root, "fee", fault.New(fault.Corrupt,
			"the accumulator is %s wei, below the parent's %s, and the block pays nothing out; restore the store", b.Fees, before)}
	}
	return new(big.Int).Sub(b.Fees, before), nil
}
