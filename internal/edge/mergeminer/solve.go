package mergeminer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// version of the parent block: BIP 9 without any signal.
	version = 0x20000000
	// otherVersion is taken by a chain whose id stands in version's upper half.
	otherVersion = 0x20010000

	headerSize  = 80 // bytes
	timeAt      = 68
	nonceAt     = 76
	extraNonces = 8 // bytes in the coinbase's input script
	scriptSize  = 44

	// rollTime is how many seconds a header's time runs ahead before the extra
	// nonce changes: Bitcoin nodes accept two hours.
	rollTime = 600
	// patience is the number of hashes between two looks at the context.
	patience = 1 << 16
)

// Solve returns a proof of work for root, the commitment to a range of our
// blocks in internal byte order (C8 d), that satisfies the structure rules for
// chainID (C8 g) and meets the compact target bits (C8 f). The parent block's
// time is now, or up to ten minutes later when a second's nonces are used up.
//
// A target of zero, which no work meets, and a time that a Bitcoin header
// cannot carry are Invalid errors. When ctx ends, its error is returned, graded
// Temporary.
func Solve(ctx context.Context, root chainhash.Hash, chainID, bits uint32, now time.Time) (*auxpow.AuxPow, error) {
	return solve(ctx, root, chainID, bits, now, math.MaxUint32)
}

// solve is Solve with the highest nonce to try per header.
func solve(ctx context.Context, root chainhash.Hash, chainID, bits uint32, now time.Time, lastNonce uint32) (*auxpow.AuxPow, error) {
	seconds := now.Unix()
	if seconds < 0 || seconds > math.MaxUint32-rollTime {
		return nil, fault.New(fault.Invalid, "time %s does not fit in a Bitcoin header", now.UTC().Format(time.RFC3339))
	}
	target := auxpow.CheckTarget(bits)
	if target.Sign() == 0 {
		return nil, fault.New(fault.Invalid, "compact target %08x is zero, no work meets it", bits)
	}
	g := grinder{lastNonce: lastNonce}
	target.FillBytes(g.target[:])
	for extra := uint64(0); ; extra++ {
		coinbase := coinbase(root, extra)
		header := wire.BlockHeader{
			Version:    parentVersion(chainID),
			MerkleRoot: coinbase.TxHash(),
			Timestamp:  time.Unix(seconds, 0),
			Bits:       bits,
		}
		found, err := g.grind(ctx, &header)
		if err != nil {
			return nil, fault.Wrap(fault.Temporary, err, "mining commitment "+root.String())
		}
		if found {
			return &auxpow.AuxPow{Coinbase: coinbase, BlockHash: header.BlockHash(), ParentBlock: header}, nil
		}
	}
}

// parentVersion differs from chainID in its upper half, as C8 g demands.
func parentVersion(chainID uint32) int32 {
	if version>>16 == chainID {
		return otherVersion
	}
	return version
}

// coinbase pays nobody: two empty outputs and the commitment as output 2, where
// C8 g looks first. The tree has one leaf, so its root is the commitment, its
// size 1, and any nonce puts our chain in slot 0.
func coinbase(root chainhash.Hash, extra uint64) *wire.MsgTx {
	commitment := make([]byte, 0, scriptSize)
	commitment = append(commitment, 0xfa, 0xbe, 'm', 'm')
	commitment = append(commitment, root[:]...)
	commitment = binary.LittleEndian.AppendUint32(commitment, 1)
	commitment = binary.LittleEndian.AppendUint32(commitment, 0)

	unspendable := []byte{0x6a} // OP_RETURN
	input := binary.LittleEndian.AppendUint64([]byte{extraNonces}, extra)
	tx := wire.NewMsgTx(1)
	tx.AddTxIn(&wire.TxIn{
		PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex},
		SignatureScript:  input,
		Sequence:         wire.MaxTxInSequenceNum,
	})
	tx.AddTxOut(wire.NewTxOut(0, unspendable))
	tx.AddTxOut(wire.NewTxOut(0, unspendable))
	tx.AddTxOut(wire.NewTxOut(0, commitment))
	return tx
}

// grinder tries headers against a target.
type grinder struct {
	target    [32]byte // big endian
	lastNonce uint32
	hashes    uint64
}

// grind varies nonce, then time, until SHA-256d of h is at most the target, and
// reports false when both are used up. h is left as found.
func (g *grinder) grind(ctx context.Context, h *wire.BlockHeader) (bool, error) {
	var buf bytes.Buffer
	if err := h.Serialize(&buf); err != nil {
		return false, err
	}
	raw := [headerSize]byte(buf.Bytes())
	start := binary.LittleEndian.Uint32(raw[timeAt:])
	for later := range uint32(rollTime) {
		binary.LittleEndian.PutUint32(raw[timeAt:], start+later)
		for nonce := uint32(0); ; nonce++ {
			if g.hashes%patience == 0 && ctx.Err() != nil {
				return false, ctx.Err()
			}
			g.hashes++
			binary.LittleEndian.PutUint32(raw[nonceAt:], nonce)
			first := sha256.Sum256(raw[:])
			if hash := sha256.Sum256(first[:]); g.meets(&hash) {
				h.Timestamp = time.Unix(int64(start+later), 0)
				h.Nonce = nonce
				return true, nil
			}
			if nonce == g.lastNonce {
				break
			}
		}
	}
	return false, nil
}

// meets compares the hash, a little-endian number, with the target.
func (g *grinder) meets(hash *[32]byte) bool {
	for i := range g.target {
		if b := hash[31-i]; b != g.target[i] {
			return b < g.target[i]
		}
	}
	return true
}
