package regtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/database"
	"github.com/btcsuite/btcd/mempool"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

var _ bitcoin.Node = (*Chain)(nil)

// Software is what [Chain.Info] calls this chain.
const Software = "btcd's chain packages in this process"

// Info implements [bitcoin.Node].
func (c *Chain) Info(context.Context) (info bitcoin.Info, err error) {
	err = c.do("ask the regtest chain", func() error {
		best := c.chain.BestSnapshot()
		info = bitcoin.Info{
			Network: Params().Name, Software: Software, TxIndex: true,
			Height: uint64(best.Height), Tip: best.Hash, Headers: uint64(best.Height),
		}
		return nil
	})
	return info, err
}

// BlockHash implements [bitcoin.Node].
func (c *Chain) BlockHash(_ context.Context, height uint64) (hash chainhash.Hash, err error) {
	err = c.do("read a block hash", func() error {
		best := c.chain.BestSnapshot()
		if height > uint64(best.Height) {
			return fault.New(fault.CannotJudge, "bitcoin block %d is beyond the tip %d", height, best.Height)
		}
		at, err := c.chain.BlockHashByHeight(int32(height))
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("bitcoin block %d", height))
		}
		hash = *at
		return nil
	})
	return hash, err
}

// Header implements [bitcoin.Node].
func (c *Chain) Header(_ context.Context, block chainhash.Hash) (h bitcoin.Header, err error) {
	err = c.do("read a block header", func() error {
		header, err := c.chain.HeaderByHash(&block)
		if err != nil {
			return unknownBlock(block)
		}
		if h.Raw, err = rawHeader(&header); err != nil {
			return err
		}
		// Blocks off the best chain are counted from where they leave it.
		at, off := block, uint64(0)
		for !c.chain.MainChainHasBlock(&at) {
			at, off = header.PrevBlock, off+1
			if header, err = c.chain.HeaderByHash(&at); err != nil {
				return fault.Wrap(fault.Corrupt, err, "bitcoin block "+at.String())
			}
		}
		height, err := c.chain.BlockHeightByHash(&at)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "bitcoin block "+at.String())
		}
		h.Height, h.Confirmations = uint64(height)+off, -1
		if off == 0 {
			h.Confirmations = int64(c.chain.BestSnapshot().Height-height) + 1
		}
		return nil
	})
	return h, err
}

func unknownBlock(block chainhash.Hash) error {
	return fault.New(fault.CannotJudge, "bitcoin block %s is not known", block)
}

func rawHeader(header *wire.BlockHeader) (raw [80]byte, err error) {
	var b bytes.Buffer
	if err := header.Serialize(&b); err != nil {
		return raw, fault.Wrap(fault.Fatal, err, "encode a bitcoin block header")
	}
	copy(raw[:], b.Bytes())
	return raw, nil
}

// Block implements [bitcoin.Node].
func (c *Chain) Block(_ context.Context, block chainhash.Hash) (raw []byte, err error) {
	err = c.do("read a block", func() error {
		raw, err = c.stored(block)
		return err
	})
	return raw, err
}

// stored returns a block that btcd accepted, on the best chain or off it.
func (c *Chain) stored(block chainhash.Hash) (raw []byte, err error) {
	err = c.db.View(func(tx database.Tx) error {
		stored, err := tx.FetchBlock(&block)
		raw = append([]byte(nil), stored...) // what is stored is valid in the transaction only
		return err
	})
	var dbErr database.Error
	if errors.As(err, &dbErr) && dbErr.ErrorCode == database.ErrBlockNotFound {
		return nil, unknownBlock(block)
	}
	return raw, fault.Wrap(fault.Corrupt, err, "bitcoin block "+block.String())
}

// Transaction implements [bitcoin.Node].
func (c *Chain) Transaction(_ context.Context, txid, block chainhash.Hash) (raw []byte, err error) {
	err = c.do("read a transaction", func() error {
		stored, err := c.stored(block)
		if err != nil {
			return err
		}
		b, err := btcutil.NewBlockFromBytes(stored)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "bitcoin block "+block.String())
		}
		for _, tx := range b.Transactions() {
			if *tx.Hash() == txid {
				raw, err = encodeTx(tx.MsgTx())
				return err
			}
		}
		return fault.New(fault.CannotJudge, "bitcoin block %s has no transaction %s", block, txid)
	})
	return raw, err
}

func encodeTx(tx *wire.MsgTx) ([]byte, error) {
	var b bytes.Buffer
	if err := tx.Serialize(&b); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "encode a bitcoin transaction")
	}
	return b.Bytes(), nil
}

// Send implements [bitcoin.Node]: it gives a transaction to the mempool, whose policy is
// btcd's for regtest.
func (c *Chain) Send(_ context.Context, raw []byte) (outcome uint8, reason string, err error) {
	r := bytes.NewReader(raw)
	tx, err := btcutil.NewTxFromReader(r)
	if err != nil || r.Len() > 0 {
		return message.BroadcastRefused, "not a bitcoin transaction", nil
	}
	err = c.do("send a transaction", func() error {
		outcome, reason, err = c.send(tx)
		return err
	})
	if err != nil {
		return message.BroadcastAway, "", err
	}
	return outcome, reason, nil
}

func (c *Chain) send(tx *btcutil.Tx) (outcome uint8, reason string, err error) {
	if c.pool.IsTransactionInPool(tx.Hash()) {
		return message.BroadcastAccepted, "", nil
	}
	region, err := c.index.TxBlockRegion(tx.Hash())
	if err != nil {
		return 0, "", fault.Wrap(fault.Corrupt, err, "look up transaction "+tx.Hash().String())
	}
	if region != nil {
		return message.BroadcastConfirmed, "", nil
	}
	_, err = c.pool.ProcessTransaction(tx, false, false, 0)
	var rule mempool.RuleError
	switch {
	case err == nil:
		return message.BroadcastAccepted, "", nil
	case !errors.As(err, &rule):
		return 0, "", fault.Wrap(fault.Corrupt, err, "give transaction "+tx.Hash().String()+" to the mempool")
	case conflicts(rule):
		return message.BroadcastConflict, err.Error(), nil
	default:
		return message.BroadcastRefused, err.Error(), nil
	}
}

// conflicts reports whether a transaction was refused because an input is spent by another
// or does not exist.
func conflicts(err mempool.RuleError) bool {
	switch e := err.Err.(type) {
	case mempool.TxRuleError:
		// btcd says it of double spends in the mempool and of missing inputs.
		return e.RejectCode == wire.RejectDuplicate
	case blockchain.RuleError:
		return e.ErrorCode == blockchain.ErrMissingTxOut
	}
	return false
}

// FeeRate implements [bitcoin.Node]. There is no market to estimate from.
func (c *Chain) FeeRate(context.Context) (uint64, error) {
	return 0, c.do("ask for a fee rate", func() error { return nil })
}
