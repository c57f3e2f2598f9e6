package migration

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Columns of the store: the three letters every key begins with. (consensus.md C19)
const (
	ColumnChain   = "chi" // 32 x 0x05 or 0x06 -> head or latest PoW block
	ColumnBlocks  = "blk" // root -> signed block, MessagePack
	ColumnHeights = "bbh" // height, big endian -> root
	ColumnAuxPow  = "axh" // height of an AuxPoW header, big endian -> root
	ColumnFees    = "fee" // root -> fee accumulator in wei, 32 bytes big endian
	ColumnScan    = "scn" // 32 x 0x07 -> Bitcoin height scanned last, u32 little-endian
)

// columns in the order of keys.
var columns = []string{ColumnAuxPow, ColumnHeights, ColumnBlocks, ColumnChain, ColumnFees, ColumnScan}

// Keys of the records that exist once.
const (
	keyHead      = 0x05
	keyLatestPow = 0x06
	keyScan      = 0x07
)

// OtherKeys counts, in [Records], keys of no column this version knows.
const OtherKeys = "other"

// Records counts the records of a store by column.
type Records map[string]uint64

var strictRead = &opt.ReadOptions{DontFillCache: true, Strict: opt.StrictAll}

// get returns a record's value, nil if there is none.
func (s *Store) get(column string, key []byte) (value []byte, err error) {
	err = guard("reading "+column, func() (err error) {
		value, err = s.db.Get(append([]byte(column), key...), strictRead)
		if errors.Is(err, leveldb.ErrNotFound) {
			value, err = nil, nil
		}
		return err
	})
	return value, err
}

func single(key byte) []byte { return bytes.Repeat([]byte{key}, 32) }

// identify makes sure that this is a store of blocks at all.
func (s *Store) identify() error {
	head, err := s.get(ColumnChain, single(keyHead))
	if err != nil || head != nil {
		return err
	}
	blocks := false
	err = s.each([]byte(ColumnBlocks), func(key, _ []byte) bool {
		blocks = bytes.HasPrefix(key, []byte(ColumnBlocks))
		return false
	})
	if err != nil {
		return err
	}
	if blocks {
		return fault.New(fault.Corrupt, "legacy store: %s has blocks and no head record; restore the store", s.path)
	}
	return fault.New(fault.Invalid, "legacy store: %s is a LevelDB store without an Alys chain: it has neither head nor blocks; name the chain_db of a legacy node", s.path)
}

// each calls visit for the records from key start on until it returns false.
// Key and value are valid during the call only.
func (s *Store) each(start []byte, visit func(key, value []byte) bool) error {
	return guard("reading all records", func() error {
		i := s.db.NewIterator(nil, strictRead)
		defer i.Release()
		for ok := i.Seek(start); ok && visit(i.Key(), i.Value()); {
			ok = i.Next()
		}
		return i.Error()
	})
}

// Count reads the whole store, checking every checksum, and counts its records.
func (s *Store) Count(ctx context.Context) (Records, error) {
	records := make(Records)
	for _, column := range columns {
		records[column] = 0
	}
	var failed error
	err := s.each(nil, func(key, _ []byte) bool {
		column := OtherKeys
		if len(key) > 3 {
			if _, known := records[string(key[:3])]; known {
				column = string(key[:3])
			}
		}
		records[column]++
		failed = stopped(ctx, "counting records")
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return records, nil
}

// Head returns the block the legacy node took for its head.
func (s *Store) Head() (message.BlockID, error) { return s.position(keyHead, "head") }

// LatestPow returns the last block with an AuxPoW header that the legacy node
// imported, genesis at first.
func (s *Store) LatestPow() (message.BlockID, error) {
	return s.position(keyLatestPow, "latest PoW block")
}

func (s *Store) position(key byte, what string) (message.BlockID, error) {
	value, err := s.get(ColumnChain, single(key))
	if err != nil {
		return message.BlockID{}, err
	}
	if value == nil {
		return message.BlockID{}, fault.New(fault.Corrupt, "legacy store: the record of the %s is missing; restore the store", what)
	}
	id, err := decodePosition(value)
	return id, fault.Wrap(fault.Corrupt, err, "legacy store: record of the "+what)
}

// decodePosition reads the value of a chi record: root and height, SSZ.
func decodePosition(value []byte) (message.BlockID, error) {
	if len(value) != 40 {
		return message.BlockID{}, fault.New(fault.Corrupt, "%d bytes, want 40; restore the store", len(value))
	}
	return message.BlockID{Root: common.Hash(value[:32]), Number: binary.LittleEndian.Uint64(value[32:])}, nil
}

// SignedBlock returns the stored bytes of a block, nil if it is not stored.
func (s *Store) SignedBlock(root common.Hash) ([]byte, error) {
	return s.get(ColumnBlocks, root[:])
}

// RootAt returns what the height index has for a height. The index keeps entries
// of branches that were abandoned: it says that a block existed, not that it is
// on the head's branch.
func (s *Store) RootAt(height uint64) (root common.Hash, found bool, err error) {
	return s.rootUnder(ColumnHeights, height)
}

// AuxPowAt returns what the index of AuxPoW headers has for a header's height,
// with the same restriction as [Store.RootAt]. Genesis is under 0.
func (s *Store) AuxPowAt(height uint64) (root common.Hash, found bool, err error) {
	return s.rootUnder(ColumnAuxPow, height)
}

func (s *Store) rootUnder(column string, height uint64) (root common.Hash, found bool, err error) {
	value, err := s.get(column, binary.BigEndian.AppendUint64(nil, height))
	if err != nil || value == nil {
		return common.Hash{}, false, err
	}
	root, err = decodeRoot(value)
	if err != nil {
		return common.Hash{}, false, fault.New(fault.Corrupt, "legacy store: %s record of height %d: %w", column, height, err)
	}
	return root, true, nil
}

func decodeRoot(value []byte) (common.Hash, error) {
	if len(value) != 32 {
		return common.Hash{}, fault.New(fault.Corrupt, "%d bytes, want 32; restore the store", len(value))
	}
	return common.Hash(value), nil
}

// Fees returns the fee accumulator after a block in wei. (consensus.md C6)
func (s *Store) Fees(root common.Hash) (wei *big.Int, found bool, err error) {
	value, err := s.get(ColumnFees, root[:])
	if err != nil || value == nil {
		return nil, false, err
	}
	wei, err = decodeFees(value)
	if err != nil {
		return nil, false, fault.New(fault.Corrupt, "legacy store: fee record of %s: %w", root, err)
	}
	return wei, true, nil
}

func decodeFees(value []byte) (*big.Int, error) {
	if len(value) != 32 {
		return nil, fault.New(fault.Corrupt, "%d bytes, want 32; restore the store", len(value))
	}
	return new(big.Int).SetBytes(value), nil
}

// Scanned returns the Bitcoin height up to which the legacy node looked for
// peg-ins. The record is rewritten only when a block was scanned.
func (s *Store) Scanned() (height uint32, found bool, err error) {
	value, err := s.get(ColumnScan, single(keyScan))
	if err != nil || value == nil {
		return 0, false, err
	}
	height, err = decodeScanned(value)
	return height, err == nil, fault.Wrap(fault.Corrupt, err, "legacy store: record of the scanned Bitcoin height")
}

func decodeScanned(value []byte) (uint32, error) {
	if len(value) != 4 {
		return 0, fault.New(fault.Corrupt, "%d bytes, want 4; restore the store", len(value))
	}
	return binary.LittleEndian.Uint32(value), nil
}
