package peg

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	headerSize   = 80
	maxBlockSize = 4_000_000 // with witnesses (BIP 141)
	leastTx      = 10        // version, two counts, lock time
	annexTag     = 0x50      // of the last witness item (BIP 341)
)

// Scan is what a Bitcoin block has for the federation.
type Scan struct {
	Header [headerSize]byte
	Hash   chainhash.Hash
	Txids  []chainhash.Hash // of all transactions
	Found  []Found          // in the order of the block
}

// Found is a transaction that pays the federation or spends what it holds.
type Found struct {
	Index  uint32
	Raw    []byte // with witnesses; a part of the block's bytes
	Pays   bool   // an output is the federation's, as [Federation.Owns] has it
	Spends bool   // an input's witness ends with the federation's script and control block
}

// ScanBlock reads a block in Bitcoin's serialization without building its transactions,
// and checks its Merkle root. Whatever the bytes are, the error for what is no block is
// graded Invalid. Proof of work, scripts and amounts are the Bitcoin node's to check.
func (f *Federation) ScanBlock(raw []byte) (*Scan, error) {
	if len(raw) < headerSize || len(raw) > maxBlockSize {
		return nil, fault.New(fault.Invalid, "Bitcoin block of %d bytes, want %d to %d; check the Bitcoin node", len(raw), headerSize, maxBlockSize)
	}
	s := &Scan{Header: [headerSize]byte(raw[:headerSize]), Hash: chainhash.DoubleHashH(raw[:headerSize])}
	c := cursor{data: raw, at: headerSize}
	count := c.count(leastTx)
	s.Txids = make([]chainhash.Hash, 0, count)
	digest := txDigest{Hash: sha256.New(), first: make([]byte, 0, sha256.Size)}
	for i := 0; i < count && !c.failed; i++ {
		found := Found{Index: uint32(i)}
		start := c.at
		txid := f.scanTransaction(&c, &digest, &found)
		s.Txids = append(s.Txids, txid)
		if found.Pays || found.Spends {
			found.Raw = raw[start:c.at:c.at]
			s.Found = append(s.Found, found)
		}
	}
	switch root, mutated := MerkleRoot(s.Txids); {
	case c.failed:
		return nil, fault.New(fault.Invalid, "Bitcoin block %s: transaction %d of %d ends at byte %d of %d; check the Bitcoin node", s.Hash, len(s.Txids)-1, count, c.at, len(raw))
	case c.at != len(raw):
		return nil, fault.New(fault.Invalid, "Bitcoin block %s: %d bytes behind its %d transactions; check the Bitcoin node", s.Hash, len(raw)-c.at, count)
	case count == 0 || mutated || root != chainhash.Hash(s.Header[36:68]):
		return nil, fault.New(fault.Invalid, "Bitcoin block %s: its %d transactions do not have its Merkle root; check the Bitcoin node", s.Hash, count)
	}
	return s, nil
}

// scanTransaction passes one transaction and returns its id. (BIP 144)
func (f *Federation) scanTransaction(c *cursor, digest *txDigest, found *Found) (txid chainhash.Hash) {
	version := c.take(4)
	body := c.at
	inputs := c.count(41)
	witnesses := false
	if inputs == 0 {
		// A count of zero is the marker of witnesses, and their flag follows.
		if flag := c.take(1); c.failed || flag[0] != 1 {
			c.failed = true
			return txid
		}
		witnesses, body = true, c.at
		inputs = c.count(41)
	}
	for i := 0; i < inputs && !c.failed; i++ {
		c.take(36)
		c.take(c.count(1))
		c.take(4)
	}
	outputs := c.count(9)
	for i := 0; i < outputs && !c.failed; i++ {
		c.take(8)
		if script := c.take(c.count(1)); f.Owns(script) {
			found.Pays = true
		}
	}
	end := c.at
	for i := 0; witnesses && i < inputs && !c.failed; i++ {
		if f.scanWitness(c) {
			found.Spends = true
		}
	}
	lockTime := c.take(4)
	if c.failed {
		return txid
	}
	digest.Reset()
	digest.Write(version)
	digest.Write(c.data[body:end])
	digest.Write(lockTime)
	return sha256.Sum256(digest.Sum(digest.first))
}

// txDigest is one digest for all transactions of a block.
type txDigest struct {
	hash.Hash
	first []byte
}

// scanWitness passes one input's witness and reports whether it ends, but for an annex,
// with the federation's script and control block. (BIP 341)
func (f *Federation) scanWitness(c *cursor) bool {
	var last [3][]byte // the last items, the last of all first
	items := c.count(1)
	for i := 0; i < items && !c.failed; i++ {
		last[2], last[1], last[0] = last[1], last[0], c.take(c.count(1))
	}
	script, control := last[1], last[0]
	if items > 1 && len(control) > 0 && control[0] == annexTag {
		script, control = last[2], last[1]
	}
	return bytes.Equal(control, f.ControlBlock) && bytes.Equal(script, f.Script)
}

// SpendsFederation reports whether a witness spends a coin of the federation: it ends, but
// for an annex, with the federation's script and control block.
func (f *Federation) SpendsFederation(witness [][]byte) bool {
	n := len(witness)
	if n > 1 && len(witness[n-1]) > 0 && witness[n-1][0] == annexTag {
		n--
	}
	return n > 1 && bytes.Equal(witness[n-1], f.ControlBlock) && bytes.Equal(witness[n-2], f.Script)
}

// cursor reads forward. Once it has failed it gives nothing more.
type cursor struct {
	data   []byte
	at     int
	failed bool
}

func (c *cursor) take(n int) []byte {
	if c.failed || n > len(c.data)-c.at {
		c.failed = true
		return nil
	}
	out := c.data[c.at : c.at+n]
	c.at += n
	return out
}

// count reads a number of things of at least some bytes each; more than the rest can hold
// fail, and so does a number written longer than it must be.
func (c *cursor) count(each int) int {
	first := c.take(1)
	if c.failed {
		return 0
	}
	n, least := uint64(first[0]), uint64(0)
	switch first[0] {
	case 0xfd:
		n, least = c.number(2), 0xfd
	case 0xfe:
		n, least = c.number(4), 1<<16
	case 0xff:
		n, least = c.number(8), 1<<32
	}
	if c.failed || n < least || n > uint64((len(c.data)-c.at)/each) {
		c.failed = true
		return 0
	}
	return int(n)
}

func (c *cursor) number(size int) uint64 {
	var word [8]byte
	copy(word[:], c.take(size))
	return binary.LittleEndian.Uint64(word[:])
}
