package regtest

import (
	"context"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/database"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Found is a transaction with its place.
type Found struct {
	Raw           []byte
	Block         *chainhash.Hash // nil in the mempool
	Confirmations uint64          // 0 in the mempool
}

// Lookup finds a transaction by its id: in the mempool, or by the index in a block of the
// best chain. CannotJudge is one that is in neither.
func (c *Chain) Lookup(_ context.Context, txid chainhash.Hash) (found Found, err error) {
	err = c.do("look up a transaction", func() error {
		if tx, err := c.pool.FetchTransaction(&txid); err == nil {
			found.Raw, err = encodeTx(tx.MsgTx())
			return err
		}
		region, err := c.index.TxBlockRegion(&txid)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "look up transaction "+txid.String())
		}
		if region == nil {
			return fault.New(fault.CannotJudge, "transaction %s is in no block and not in the mempool", txid)
		}
		height, err := c.chain.BlockHeightByHash(region.Hash)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "bitcoin block "+region.Hash.String())
		}
		err = c.db.View(func(tx database.Tx) error {
			raw, err := tx.FetchBlockRegion(region)
			found.Raw = append([]byte(nil), raw...) // what is stored is valid in the transaction only
			return err
		})
		found.Block, found.Confirmations = region.Hash, uint64(c.chain.BestSnapshot().Height-height)+1
		return fault.Wrap(fault.Corrupt, err, "transaction "+txid.String())
	})
	return found, err
}

// Mempool lists the ids of what waits for a block.
func (c *Chain) Mempool(context.Context) (ids []chainhash.Hash, err error) {
	err = c.do("list the mempool", func() error {
		for _, id := range c.pool.TxHashes() {
			ids = append(ids, *id)
		}
		return nil
	})
	return ids, err
}
