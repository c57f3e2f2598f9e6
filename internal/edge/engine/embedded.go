package engine

import (
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ExtraData is the extra data of the payloads the embedded client builds.
const ExtraData = "alys"

// recommit is how often a payload under construction is built again with the
// transactions that came meanwhile.
const recommit = 200 * time.Millisecond

// EmbeddedOptions say where and how the embedded client runs.
type EmbeddedOptions struct {
	// Dir is the data directory, made if it does not exist. Only one process
	// can have it open.
	Dir string

	// Genesis is the chain's first block, from [ParseGenesis] or [DevGenesis].
	Genesis *core.Genesis

	// CacheMB is the memory for the database's block cache and for trie nodes
	// together, in MiB; zero means 64, less than 32 counts as 32.
	CacheMB int

	// HTTPAddr is the loopback address and port where the namespaces eth, net
	// and web3 are served to users over HTTP, such as "127.0.0.1:8545". Empty
	// means no listener, port 0 any free port.
	HTTPAddr string

	// Logger receives go-ethereum's log; nil drops it. go-ethereum has one log
	// per process: the last opening decides.
	Logger *slog.Logger

	// LogLevel is the least level of go-ethereum's messages to pass on; nil
	// means warnings.
	LogLevel slog.Leveler

	// tune changes the configuration, for the measurements behind it.
	tune func(*ethconfig.Config)
}

// Embedded is go-ethereum in this process: a full node without peers whose
// only input is [API]. Calls and Close may come from different goroutines;
// Close waits for a call that is under way.
type Embedded struct {
	dir        string
	stack      *node.Node
	backend    *eth.Ethereum
	api        *catalyst.ConsensusAPI
	unfinished bool
	http       bool

	mu     sync.RWMutex // held for reading by calls, for writing by Close
	closed bool
	broken error // set once go-ethereum failed in a way it cannot go on from

	brokenMu sync.Mutex
}

var _ API = (*Embedded)(nil)

// OpenEmbedded opens or creates the execution layer in options.Dir and brings
// its head back to a block whose state is complete.
//
// Errors: Invalid for options that cannot work and for a directory that holds
// another chain; Temporary when another process has it open; Corrupt when the
// database cannot be read, in which case the directory can be removed and the
// blocks fed again; Fatal when the file system refuses.
func OpenEmbedded(options EmbeddedOptions) (*Embedded, error) {
	if options.Dir == "" {
		return nil, fault.New(fault.Invalid, "execution layer: no data directory given")
	}
	if err := checkGenesis(options.Genesis); err != nil {
		return nil, err
	}
	config, err := nodeConfig(options)
	if err != nil {
		return nil, err
	}
	level := slog.LevelWarn
	if options.LogLevel != nil {
		level = options.LogLevel.Level()
	}
	routeLog(options.Logger, level)
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "create the execution data directory")
	}
	e := &Embedded{dir: options.Dir, http: options.HTTPAddr != ""}
	if err := guard("open "+options.Dir, func() error { return e.open(config, options) }); err != nil {
		return nil, errors.Join(err, e.abandon())
	}
	return e, nil
}

// open runs with the process guarded. The lock comes first, so that nothing is
// written into a directory another process uses.
func (e *Embedded) open(config *node.Config, options EmbeddedOptions) error {
	stack, err := node.New(config)
	if errors.Is(err, node.ErrDatadirUsed) {
		return fault.Wrap(fault.Temporary, err, "execution data directory "+e.dir+" is open in another process; stop it first")
	}
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "prepare the execution layer in "+e.dir)
	}
	e.stack = stack
	id := identityOf(options.Genesis)
	fresh, err := prepareDirectory(stack, e.dir, id)
	if err != nil {
		return err
	}
	e.unfinished = UnfinishedOpening(e.dir)
	marker := filepath.Join(e.dir, openingFile)
	if err := writeSynced(marker, []byte("the execution layer is being opened\n")); err != nil {
		return err
	}
	if e.backend, err = eth.New(stack, ethConfig(options)); err != nil {
		return e.openingError(err, id)
	}
	e.api = catalyst.NewConsensusAPI(e.backend)
	if err := stack.Start(); err != nil {
		return fault.Wrap(fault.Fatal, err, "start the execution layer in "+e.dir)
	}
	// Before the first forkchoice update go-ethereum ignores one to an
	// ancestor of its head. There is no network to sync from here.
	e.backend.SetSynced()
	if fresh {
		id.Created = true
		if err := writeIdentity(filepath.Join(e.dir, identityFile), id); err != nil {
			return err
		}
	}
	if err := os.Remove(marker); err != nil {
		return fault.Wrap(fault.Fatal, err, "remove the opening marker")
	}
	return nil
}

func (e *Embedded) openingError(err error, want identity) error {
	var mismatch *core.GenesisMismatchError
	if errors.As(err, &mismatch) {
		return otherChain(e.dir, "of unknown number", mismatch.Stored, want)
	}
	return fault.Wrap(fault.Corrupt, err, "open the chain database in "+e.dir+"; if it stays so, remove the directory, it is rebuilt from the journal")
}

// abandon gives back what a failed opening holds. go-ethereum may have been
// interrupted while it held locks, so the wait for it is limited.
func (e *Embedded) abandon() error {
	if e.stack == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		done <- guard("close after a failed opening", func() error {
			if e.backend != nil {
				e.backend.BlockChain().Stop()
			}
			return e.stack.Close()
		})
	}()
	select {
	case err := <-done:
		if errors.Is(err, node.ErrNodeStopped) {
			return nil
		}
		return err
	case <-time.After(5 * time.Second):
		return fault.New(fault.Fatal, "execution layer in %s could not be closed; restart the process", e.dir)
	}
}

// nodeConfig describes a node that neither listens nor dials. The node key is
// made in memory because go-ethereum ends the process when it cannot write one.
func nodeConfig(options EmbeddedOptions) (*node.Config, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "make a node key")
	}
	config := &node.Config{
		Name:                 instanceName,
		DataDir:              options.Dir,
		P2P:                  p2p.Config{PrivateKey: key, NoDiscovery: true, NoDial: true, MaxPeers: 0},
		HTTPModules:          []string{"eth", "net", "web3"},
		HTTPVirtualHosts:     []string{"localhost"},
		HTTPTimeouts:         node.DefaultConfig.HTTPTimeouts,
		BatchRequestLimit:    node.DefaultConfig.BatchRequestLimit,
		BatchResponseMaxSize: node.DefaultConfig.BatchResponseMaxSize,
		DBEngine:             rawdb.DBPebble,
	}
	if options.HTTPAddr == "" {
		return config, nil
	}
	host, portText, err := net.SplitHostPort(options.HTTPAddr)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "execution layer HTTP address")
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "port of the execution layer HTTP address "+options.HTTPAddr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fault.New(fault.Invalid, "execution layer HTTP address %s is not a loopback address; put a proxy in front to serve others", options.HTTPAddr)
	}
	config.HTTPHost, config.HTTPPort = host, int(port)
	return config, nil
}

// ethConfig holds the choices explained in
// docs/decisions/0012-embedded-execution-layer.md.
func ethConfig(options EmbeddedOptions) *ethconfig.Config {
	cache := options.CacheMB
	if cache == 0 {
		cache = 64
	}
	cache = max(cache, 32)

	config := ethconfig.Defaults
	config.Genesis = options.Genesis
	config.SyncMode = ethconfig.FullSync
	config.EngineMaxReorgDepth = 0

	config.StateScheme = rawdb.HashScheme
	config.NoPruning = true
	config.SnapshotCache = 0
	config.TrieDirtyCache = 0
	config.DatabaseCache = cache / 2
	config.TrieCleanCache = cache / 2
	config.DatabaseHandles = 256
	config.NoPrefetch = true

	config.TransactionHistory = 0
	config.LogNoHistory = true
	config.FilterLogCacheSize = 4

	config.TxPool.NoLocals = true
	config.TxPool.Journal = ""
	config.TxPool.PriceLimit = 1
	config.BlobPool.Datadir = ""

	config.Miner.GasCeil = TargetGasLimit
	config.Miner.GasPrice = big.NewInt(1)
	config.Miner.Recommit = recommit
	config.Miner.ExtraData = []byte(ExtraData)
	if options.tune != nil {
		options.tune(&config)
	}
	return &config
}

// UnfinishedOpening reports whether the opening before this one did not get to
// its end; this one did. See the function [UnfinishedOpening].
func (e *Embedded) UnfinishedOpening() bool { return e.unfinished }

// HTTPEndpoint returns the URL of the HTTP listener, or "" without one.
func (e *Embedded) HTTPEndpoint() string {
	if !e.http {
		return ""
	}
	return e.stack.HTTPEndpoint()
}

// Attach returns a client of the namespaces that users are served, in this process. The
// caller closes it before the engine.
func (e *Embedded) Attach() *rpc.Client { return e.stack.Attach() }

// Close stops the client after the call under way, if any, and closes its
// database. Later calls answer Temporary; a second Close does nothing.
func (e *Embedded) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	if e.failure() != nil {
		return e.abandon()
	}
	err := guard("close "+e.dir, e.stack.Close)
	return fault.Wrap(fault.Fatal, err, "close the execution layer in "+e.dir)
}

func (e *Embedded) failure() error {
	e.brokenMu.Lock()
	defer e.brokenMu.Unlock()
	return e.broken
}
