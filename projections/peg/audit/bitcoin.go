package audit

import (
	"bytes"
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// followed checks the headers of the blocks that were followed and the places of their
// transactions.
func (a *audit) followed(m *message.BitcoinFollowed) error {
	before := m.Ancestor
	for i := range m.Blocks {
		b := &m.Blocks[i]
		a.report.Headers++
		var h wire.BlockHeader
		if err := h.Deserialize(bytes.NewReader(b.Header[:])); err != nil {
			a.differs("Bitcoin block %s at %d has a header that is none: %v", b.Hash, b.Height, err)
			continue
		}
		a.header(b, &h, before)
		before = &message.BitcoinID{Height: b.Height, Hash: b.Hash}
		a.report.Bitcoin, a.report.BitcoinAt = b.Hash.String(), b.Height
		for j := range b.Transactions {
			if err := a.place(b, &h, &b.Transactions[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *audit) header(b *message.BitcoinBlock, h *wire.BlockHeader, before *message.BitcoinID) {
	hash := h.BlockHash()
	if hash != b.Hash {
		a.differs("Bitcoin block %s at %d has the header of %s", b.Hash, b.Height, hash)
	}
	work := slices.Clone(hash[:])
	slices.Reverse(work) // hashes are little-endian numbers
	target := auxpow.CheckTarget(h.Bits)
	if target.Cmp(limit) > 0 || new(big.Int).SetBytes(work).Cmp(target) > 0 {
		a.differs("Bitcoin block %s at %d has not the work that it claims", b.Hash, b.Height)
	}
	if before != nil && (h.PrevBlock != before.Hash || b.Height != before.Height+1) {
		a.differs("Bitcoin block %s at %d does not follow %s at %d", b.Hash, b.Height, before.Hash, before.Height)
	}
}

// limit is the easiest target of any network: regtest's.
var limit = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(1))

func (a *audit) place(b *message.BitcoinBlock, h *wire.BlockHeader, t *message.BitcoinTransaction) error {
	tx, err := a.transaction(t.Raw)
	if err != nil {
		return err
	}
	a.report.Proofs++
	if tx == nil {
		a.differs("Bitcoin block %s at %d: transaction %d cannot be read", b.Hash, b.Height, t.Index)
		return nil
	}
	txid := tx.TxHash()
	branch := make([]chainhash.Hash, 0, len(t.Branch))
	for i := range t.Branch {
		branch = append(branch, t.Branch[i].Value)
	}
	if err := peg.CheckBranch(txid, tx.SerializeSizeStripped(), t.Index, branch, h.MerkleRoot); err != nil {
		a.differs("Bitcoin block %s at %d: transaction %s is not in it: %v", b.Hash, b.Height, txid, err)
		return nil
	}
	a.known[txid] = t.Raw
	a.proven[place{txid, b.Hash}] = true
	return nil
}
