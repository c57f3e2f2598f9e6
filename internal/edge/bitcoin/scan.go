package bitcoin

import (
	"bytes"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// scan returns the transactions of a block that pay the federation, as legacy matches
// scripts, or spend its coins, each with its Merkle branch. A block whose transactions are
// not those of its header is refused. (peg.md A3)
func scan(f *peg.Federation, raw []byte) ([]message.BitcoinTransaction, error) {
	var b wire.MsgBlock
	in := bytes.NewReader(raw)
	if err := b.Deserialize(in); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "decoding")
	}
	if in.Len() > 0 || len(b.Transactions) == 0 {
		return nil, fault.New(fault.Invalid, "%d transactions and %d bytes after them", len(b.Transactions), in.Len())
	}
	txids := make([]chainhash.Hash, len(b.Transactions))
	var found []message.BitcoinTransaction
	for i, tx := range b.Transactions {
		txids[i] = tx.TxHash()
		if !concerns(f, tx) {
			continue
		}
		var out bytes.Buffer
		if err := tx.Serialize(&out); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "transaction "+txids[i].String())
		}
		found = append(found, message.BitcoinTransaction{Raw: record.NewContent(out.Bytes()), Index: uint32(i)})
	}
	tree, twins := merkleTree(txids)
	if root := tree[len(tree)-1][0]; root != b.Header.MerkleRoot || twins {
		return nil, fault.New(fault.Invalid, "its transactions are not those of its header, whose Merkle root is %s", b.Header.MerkleRoot)
	}
	for i := range found {
		found[i].Branch = branch(tree, int(found[i].Index))
	}
	return found, nil
}

// concerns tells whether a transaction pays the federation or spends a coin of its.
func concerns(f *peg.Federation, tx *wire.MsgTx) bool {
	for _, out := range tx.TxOut {
		if f.Owns(out.PkScript) {
			return true
		}
	}
	for _, in := range tx.TxIn {
		if spends(f, in.Witness) {
			return true
		}
	}
	return false
}

// spends tells whether a witness is one of the federation's script path. (BIP 341)
func spends(f *peg.Federation, witness wire.TxWitness) bool {
	const annexTag = 0x50
	n := len(witness)
	if n >= 2 && len(witness[n-1]) > 0 && witness[n-1][0] == annexTag {
		n--
	}
	return n >= 2 && bytes.Equal(witness[n-1], f.ControlBlock) && bytes.Equal(witness[n-2], f.Script)
}

// merkleTree returns the levels of the tree over txids, the root last. twins is a level
// with a pair of equal nodes, by which a block can hold transactions twice under the same
// root. (CVE-2012-2459)
func merkleTree(txids []chainhash.Hash) (levels [][]chainhash.Hash, twins bool) {
	level := txids
	levels = append(levels, level)
	for len(level) > 1 {
		next := make([]chainhash.Hash, 0, (len(level)+1)/2)
		for i := 0; i < len(level); i += 2 {
			j := min(i+1, len(level)-1)
			twins = twins || i != j && level[i] == level[j]
			var pair [2 * chainhash.HashSize]byte
			copy(pair[:], level[i][:])
			copy(pair[chainhash.HashSize:], level[j][:])
			next = append(next, chainhash.DoubleHashH(pair[:]))
		}
		level = next
		levels = append(levels, level)
	}
	return levels, twins
}

// branch returns the siblings of a leaf, lowest first.
func branch(levels [][]chainhash.Hash, index int) []message.SigHash {
	var siblings []message.SigHash
	for _, level := range levels[:len(levels)-1] {
		siblings = append(siblings, message.SigHash{Value: level[min(index^1, len(level)-1)]})
		index /= 2
	}
	return siblings
}
