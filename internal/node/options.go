package node

import (
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/logging"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/settle"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// Options of a node. Only DataDir is always needed; a data directory that was
// used before knows its chain and genesis itself.
type Options struct {
	DataDir string

	// ChainSpec is the chain specification as JSON (consensus.md C1) and
	// GenesisJSON the execution layer's genesis, as geth reads it. Both may be
	// empty when the directory has them; otherwise they must agree with it.
	ChainSpec   []byte
	GenesisJSON []byte

	// AuthorityKey is the BLS key of a federation member; nil for a full node.
	AuthorityKey *aura.SecretKey
	// PegSigner makes what signs payments with a member's federation key, which the node
	// closes; nil for a full node.
	PegSigner func(*peg.Federation) (pegsigner.Signer, error)
	// LeaseDir is where the machine's nodes note which journal signs with which key; empty
	// for a node whose keys concern nobody.
	LeaseDir string
	// NotValidator switches off what the chain spec's isValidator asks for.
	NotValidator bool
	// Importing makes a node that produces nothing and takes blocks of a legacy store.
	Importing bool

	BuildWait       time.Duration // between asking for a payload and fetching it
	EngineCacheMB   int
	EngineHTTPAddr  string          // loopback address of the embedded execution layer's JSON-RPC; empty for none
	EngineURL       string          // Engine API of an external client; empty for the embedded one
	EthURL          string          // of its eth namespace; empty for EngineURL
	JWTSecret       [32]byte        // shared with it
	Archive         archive.Storage // of archived events; nil for the directory in the journal's
	JournalCacheMB  int
	MaxPendingBytes int           // of events and contents not yet on disk
	CommitDelay     time.Duration // that a busy journal gathers events
	SnapshotTurns   uint64        // turns between snapshots; 0 means 2000
	SnapshotBytes   uint64        // or so many bytes of messages and contents; 0 means 2 MiB
	SnapshotEvery   time.Duration // or this much time; 0 means five minutes
	SnapshotKeep    int

	// SettleEvery is the distance of the heights whose states are settled for other nodes
	// to begin at, and SettleLook how often is looked for one; 0 means [settle.Every], a
	// quarter of a minute.
	SettleEvery uint64
	SettleLook  time.Duration
	// WitnessEvery is how often members are asked for the newest checkpoint of their
	// journals; 0 means a minute.
	WitnessEvery time.Duration

	// DiskReserve is how many bytes stay free: with less the node stops cleanly,
	// with less than twice as much it warns. 0 switches that off.
	DiskReserve uint64

	// ScrubRate is how many bytes a second the scrubber reads; 0 switches it off.
	ScrubRate int64

	// DevMiner runs a merge-miner in this process every DevMinerInterval.
	DevMiner         bool
	DevMinerInterval time.Duration
	FeeRecipient     common.Address

	// RPC is the miners' and query port, off while RPC.Addr is empty; Backend and
	// Logger are the node's. With RPCMayFail an address that cannot be had is a
	// warning.
	RPC        rpc.Options
	RPCMayFail bool
	// BitcoinNetwork is that of the Bitcoin node, and whose form the deposit address
	// has; nil means regtest.
	BitcoinNetwork *chaincfg.Params
	// Bitcoin is a Bitcoin node in this process, which the node closes. Without one,
	// BitcoinRPC names another's; without both nothing that needs Bitcoin is judged.
	Bitcoin    bitcoin.Node
	BitcoinRPC bitcoin.ClientOptions
	// DevBitcoin has the node run a regtest chain in this process, unless it has one of
	// these, and mine a block of it every DevBitcoinInterval; zero mines on demand only.
	DevBitcoin         bool
	DevBitcoinInterval time.Duration
	// Fee rates of payments in satoshi for 1000 vbytes, and the depth after which a
	// payment is not broadcast again: [message.NodeConfigured].
	MinFeeRate, MaxFeeRate, FallbackFeeRate uint64
	PayoutConfirmations                     uint32

	P2P P2POptions // the network of nodes; off for a node alone

	// OnFact is called for every fact after it is durable, on the releasing
	// goroutine: it must be quick.
	OnFact func(Fact)

	// Telemetry takes what the node counts and what is wrong with it; nil for one
	// that nobody sees.
	Telemetry *Telemetry

	Version string
	Logger  *slog.Logger
	Levels  *logging.Levels // of Logger, to be changed while the node runs; nil when they cannot
}

func (o *Options) defaults() {
	if o.BuildWait == 0 {
		o.BuildWait = 200 * time.Millisecond
	}
	if o.SnapshotKeep == 0 {
		o.SnapshotKeep = 3
	}
	if o.SettleEvery == 0 {
		o.SettleEvery = settle.Every
	}
	if o.WitnessEvery == 0 {
		o.WitnessEvery = witnessEvery
	}
	if o.SettleLook == 0 {
		o.SettleLook = settleLook
	}
	if o.DevMinerInterval == 0 {
		o.DevMinerInterval = 3 * time.Second
	}
	if o.JournalCacheMB == 0 {
		o.JournalCacheMB = 16
	}
	if o.Telemetry == nil {
		o.Telemetry = NewTelemetry()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}
