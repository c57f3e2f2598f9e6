package regtest

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/blockchain/indexers"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/database"
	_ "github.com/btcsuite/btcd/database/ffldb" // the database of btcd
	"github.com/btcsuite/btcd/mempool"
	"github.com/btcsuite/btcd/mining"
	"github.com/btcsuite/btcd/txscript"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	blocksName   = "blocks"
	databaseName = "chain"
	damagedName  = "DAMAGED" // while it exists, the next opening makes the database again

	// Ready is the height that the first opening mines to: from the next block on
	// segwit and taproot bind, and coins of the faucet have matured. Regtest counts
	// miners' signals in windows of 144 blocks: defined, started, locked in. (BIP 9)
	Ready = 432

	// MinFeeRate is the least fee rate that the mempool takes, in satoshi per 1000
	// bytes: btcd's default.
	MinFeeRate = 1000

	utxoCacheBytes = 16 << 20
	cacheEntries   = 1000
)

// Params are the parameters of the chain.
func Params() *chaincfg.Params { return &chaincfg.RegressionNetParams }

// Options say where the chain lies.
type Options struct {
	Dir    string       // made if it does not exist
	Logger *slog.Logger // nil drops what there is to say
	// Now is the clock of block timestamps; nil is the system's.
	Now func() time.Time
}

// Chain is a regtest chain with mempool, miner and faucet. Its methods may be called from
// any goroutine; one runs at a time.
type Chain struct {
	dir string
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	broken error // set once btcd's packages cannot go on, or the chain is closed
	closed bool
	file   *blockFile
	db     database.DB
	chain  *blockchain.BlockChain
	index  *indexers.TxIndex
	pool   *mempool.TxPool
	miner  *mining.BlkTmplGenerator
	wallet wallet
}

// Open opens or makes the chain in o.Dir.
//
// Errors: Temporary when another process has it open; Corrupt, with the place, when the
// file of blocks is damaged; Fatal when the file system refuses.
func Open(o Options) (*Chain, error) {
	if o.Dir == "" {
		return nil, fault.New(fault.Invalid, "regtest chain: no data directory given")
	}
	c := &Chain{dir: o.Dir, log: o.Logger, now: o.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "make the directory of the regtest chain")
	}
	var err error
	if c.wallet, err = newWallet(); err != nil {
		return nil, err
	}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Chain) open() error {
	var blocks [][]byte
	file, cut, err := openBlockFile(filepath.Join(c.dir, blocksName), func(raw []byte) error {
		blocks = append(blocks, raw)
		return nil
	})
	if err != nil {
		return err
	}
	c.file = file
	if cut > 0 && file.count > 0 {
		c.log.Warn("bitcoin: cut an incomplete block off the file of blocks", "bytes", cut)
	}
	if err := c.restore(blocks); err != nil {
		return err
	}
	if best := c.chain.BestSnapshot(); best.Height < Ready {
		_, err := c.mine(Ready - int(best.Height))
		return err
	}
	return nil
}

// restore opens btcd's database and gives it the blocks that it lacks. A database that
// cannot be used is made again.
func (c *Chain) restore(blocks [][]byte) error {
	dir, marker := filepath.Join(c.dir, databaseName), filepath.Join(c.dir, damagedName)
	err := errors.New("it was found damaged")
	if _, stat := os.Stat(marker); stat != nil {
		err = guard("open the regtest chain", func() error { return c.load(blocks) })
	}
	if err == nil {
		return nil
	}
	c.log.Warn("bitcoin: the chain database is made again from the blocks", "directory", dir, "blocks", len(blocks), "error", err)
	if closing := c.release(); closing != nil {
		c.log.Debug("bitcoin: the damaged chain database does not close", "error", closing)
	}
	if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(marker)); err != nil {
		return fault.Wrap(fault.Fatal, err, "remove the damaged "+dir)
	}
	err = guard("open the regtest chain", func() error { return c.load(blocks) })
	return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("make the database of %d blocks again", len(blocks)))
}

func (c *Chain) load(blocks [][]byte) (err error) {
	dir := filepath.Join(c.dir, databaseName)
	c.db, err = database.Open("ffldb", dir, Params().Net)
	var dbErr database.Error
	if errors.As(err, &dbErr) && dbErr.ErrorCode == database.ErrDbDoesNotExist {
		c.db, err = database.Create("ffldb", dir, Params().Net)
	}
	if err != nil {
		c.db = nil
		return err
	}
	if err := c.assemble(); err != nil {
		return err
	}
	for i, raw := range blocks {
		if err := c.replay(raw); err != nil {
			return fmt.Errorf("block %d of the file: %w", i+1, err)
		}
	}
	// Later blocks change the mempool and the faucet's coins.
	c.chain.Subscribe(c.notified)
	return nil
}

// assemble puts btcd's parts together as its server does.
func (c *Chain) assemble() (err error) {
	c.index = indexers.NewTxIndex(c.db)
	signatures, hashes := txscript.NewSigCache(cacheEntries), txscript.NewHashCache(cacheEntries)
	clock := blockchain.NewMedianTime()
	c.chain, err = blockchain.New(&blockchain.Config{
		DB: c.db, UtxoCacheMaxSize: utxoCacheBytes, ChainParams: Params(), TimeSource: clock,
		SigCache: signatures, HashCache: hashes, IndexManager: indexers.NewManager(c.db, []indexers.Indexer{c.index}),
	})
	if err != nil {
		return err
	}
	c.pool = mempool.New(&mempool.Config{
		Policy: mempool.Policy{
			MaxTxVersion: 2, AcceptNonStd: Params().RelayNonStdTxs, FreeTxRelayLimit: 15, MaxOrphanTxs: 100, MaxOrphanTxSize: 100_000,
			MaxSigOpCostPerTx: blockchain.MaxBlockSigOpsCost / 4, MinRelayTxFee: MinFeeRate,
		},
		ChainParams:    Params(),
		FetchUtxoView:  c.chain.FetchUtxoView,
		BestHeight:     func() int32 { return c.chain.BestSnapshot().Height },
		MedianTimePast: func() time.Time { return c.chain.BestSnapshot().MedianTime },
		CalcSequenceLock: func(tx *btcutil.Tx, view *blockchain.UtxoViewpoint) (*blockchain.SequenceLock, error) {
			return c.chain.CalcSequenceLock(tx, view, true)
		},
		IsDeploymentActive: c.chain.IsDeploymentActive,
		SigCache:           signatures, HashCache: hashes,
	})
	c.miner = mining.NewBlkTmplGenerator(&mining.Policy{
		BlockMaxWeight: 3_000_000, BlockMaxSize: 750_000, BlockPrioritySize: 50_000, TxMinFreeFee: MinFeeRate,
	}, Params(), c.pool, c.chain, clock, signatures, hashes)
	return nil
}

// replay gives btcd a block of the file, unless it has it. One that was refused when it
// was made is refused again.
func (c *Chain) replay(raw []byte) error {
	block, err := btcutil.NewBlockFromBytes(raw)
	if err != nil {
		return err
	}
	if have, err := c.chain.HaveBlock(block.Hash()); err != nil || have {
		return err
	}
	_, orphan, err := c.chain.ProcessBlock(block, blockchain.BFNone)
	var rule blockchain.RuleError
	if errors.As(err, &rule) {
		c.log.Warn("bitcoin: a block of the file is not valid", "hash", block.Hash(), "error", err)
		return nil
	}
	if orphan {
		return fmt.Errorf("block %s has no parent", block.Hash())
	}
	return err
}

// notified follows the chain with the mempool, as btcd's sync manager does, and with the
// faucet's coins. It runs inside ProcessBlock.
func (c *Chain) notified(n *blockchain.Notification) {
	block, ok := n.Data.(*btcutil.Block)
	if !ok {
		return
	}
	switch n.Type {
	case blockchain.NTBlockConnected:
		for _, tx := range block.Transactions()[1:] {
			c.pool.RemoveTransaction(tx, false)
			c.pool.RemoveDoubleSpends(tx)
			c.pool.RemoveOrphan(tx)
			c.pool.ProcessOrphans(tx)
		}
		c.wallet.connect(block)
	case blockchain.NTBlockDisconnected:
		for _, tx := range block.Transactions()[1:] {
			if _, _, err := c.pool.MaybeAcceptTransaction(tx, false, false); err != nil {
				c.pool.RemoveTransaction(tx, true)
			}
		}
		c.wallet.forget()
	}
}

// release closes btcd's database.
func (c *Chain) release() error {
	if c.db == nil {
		return nil
	}
	db, chain := c.db, c.chain
	c.db, c.chain = nil, nil
	return guard("close the regtest chain", func() error {
		var err error
		if chain != nil && c.broken == nil {
			err = chain.FlushUtxoCache(blockchain.FlushRequired)
		}
		return errors.Join(err, db.Close())
	})
}

// Close ends the chain. Calls that come later fail.
func (c *Chain) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	err := c.release()
	c.broken = fault.New(fault.Temporary, "the regtest chain is closed")
	if c.file != nil {
		err = errors.Join(err, c.file.close())
	}
	return err
}

// do runs f alone. What btcd cannot go on from breaks the chain until it is opened again.
func (c *Chain) do(what string, f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	err := guard(what, f)
	if fault.Is(err, fault.Corrupt) {
		marker := filepath.Join(c.dir, damagedName)
		c.broken = errors.Join(err, os.WriteFile(marker, []byte(err.Error()+"\n"), 0o600))
		return c.broken
	}
	return err
}
