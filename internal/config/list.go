package config

import (
	"math"
	"strings"
	"time"

	"github.com/AnduroProject/alys-go/internal/logging"
)

// Group names the settings that belong together; a command takes the flags of
// the groups it needs.
type Group string

// The groups, in the order of the sample file.
const (
	Data       Group = "data"       // where the node keeps what it knows
	Chain      Group = "chain"      // which chain, and as whom
	Engine     Group = "engine"     // the execution layer
	Journal    Group = "journal"    // memory of the journal
	Snapshot   Group = "snapshot"   // when snapshots are taken
	Mining     Group = "mining"     // merge-mining and block production
	RPC        Group = "rpc"        // the miners' and query port
	Bitcoin    Group = "bitcoin"    // the parent chain
	P2P        Group = "p2p"        // other nodes
	Telemetry  Group = "telemetry"  // metrics and health
	Log        Group = "log"        // the log on stderr
	Federation Group = "federation" // the federation key, or the process that holds it
)

// Setting is one row of the list of settings.
type Setting struct {
	Key     string // TOML key: lower case, words joined by '-', tables by '.'
	Group   Group
	Kind    string // name of the value type, also the placeholder in --help
	Default string // text of the default; empty for none
	Example string // a value for the sample file when the default is empty
	Help    string // one line
	Allowed string // what Load accepts, as its errors say it; empty for any
	Secret  bool   // never shown, has no flag
	Legacy  string // variable by which the legacy program takes it, accepted too; empty for none

	// field returns a pointer to the setting's place in c.
	field func(c *Config) any
	// check refuses a value that parses but is not allowed.
	check func(c *Config) bool
}

// Env returns the name of the setting's environment variable.
func (s *Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.Key))
}

// Flag returns the name of the setting's flag without dashes, or "" for a
// secret.
func (s *Setting) Flag() string {
	if s.Secret {
		return ""
	}
	return s.Key
}

// Settings returns the list of settings in the order of the sample file. The
// caller may change the slice.
func Settings() []Setting { return append([]Setting(nil), settings...) }

const (
	kindPath     = "PATH"
	kindAddr     = "HOST:PORT"
	kindBool     = "BOOL"
	kindInteger  = "N"
	kindSize     = "SIZE"
	kindDuration = "DURATION"
	kindAccount  = "ADDRESS"
	kindHex      = "HEX"
	kindLevel    = "LEVEL"
	kindFormat   = "FORMAT"
	kindLevels   = "LEVELS"
	kindURL      = "URL"
	kindNetwork  = "NETWORK"
	kindText     = "TEXT"
	kindAddrs    = "ADDRESSES"
)

// maxFeeRate is peg.MaxFeeRate.
const maxFeeRate = 1_000_000_000

func feeRate(rate uint64) bool { return rate >= 1 && rate <= maxFeeRate }

var settings = append(append(append(nodeSettings, leaseSettings...), p2pSettings...), federationSettings...)

var nodeSettings = []Setting{
	{
		Key: "data-dir", Group: Data, Kind: kindPath, Default: "alys-data",
		Help:    "directory of the journal, the execution layer's database and snapshots",
		Allowed: "a path", check: func(c *Config) bool { return c.DataDir != "" },
		field: func(c *Config) any { return &c.DataDir },
	},
	{
		Key: "journal.archive", Group: Data, Kind: kindURL, Example: "s3://bucket/node-1?endpoint=s3.example.net:443",
		Help:    "where archived events are kept; empty for journal/archive in the data directory",
		Allowed: "empty, or s3://BUCKET/PREFIX?endpoint=HOST:PORT&region=NAME&insecure=BOOL; the keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
		field:   func(c *Config) any { return &c.Journal.Archive },
		check:   func(c *Config) bool { return c.Journal.Archive == "" || strings.HasPrefix(c.Journal.Archive, "s3://") },
	},
	{
		Key: "chain-spec", Group: Chain, Kind: kindPath, Example: "chain.json",
		Help:  "chain specification (JSON); a data directory that was used before knows its own",
		field: func(c *Config) any { return &c.ChainSpec },
	},
	{
		Key: "genesis", Group: Chain, Kind: kindPath, Example: "genesis.json",
		Help:  "genesis of the execution layer (JSON as geth reads it)",
		field: func(c *Config) any { return &c.Genesis },
	},
	{
		Key: "dev", Group: Chain, Kind: kindBool, Default: "false",
		Help:  "run the development chain: one authority with a well-known key, blocks every second, a merge-miner, a Bitcoin regtest chain",
		field: func(c *Config) any { return &c.Dev },
	},
	{
		Key: "authority-key", Group: Chain, Kind: kindHex, Secret: true,
		Help:    "BLS secret key of this federation member; prefer authority-key-file",
		Allowed: "32 bytes as 64 hex digits, above zero and below the group order",
		field:   func(c *Config) any { return &c.AuthorityKey }, check: func(c *Config) bool { return validKey(c.AuthorityKey) },
	},
	{
		Key: "authority-key-file", Group: Chain, Kind: kindPath, Example: "authority.key",
		Help:  "file with the BLS secret key of this federation member, as 64 hex digits",
		field: func(c *Config) any { return &c.AuthorityKeyFile },
	},
	{
		Key: "not-validator", Group: Chain, Kind: kindBool, Default: "false",
		Help:  "produce no blocks even when the chain specification says this node is a validator",
		field: func(c *Config) any { return &c.NotValidator },
	},
	{
		Key: "engine-url", Group: Engine, Kind: kindURL, Example: "http://127.0.0.1:8551",
		Help:    "Engine API of an execution client in another process; empty for the embedded one",
		Allowed: "empty, or an http or https address without user and password",
		field:   func(c *Config) any { return &c.EngineURL },
		check:   func(c *Config) bool { return c.EngineURL == "" || httpURL(c.EngineURL) },
	},
	{
		Key: "jwt-secret", Group: Engine, Kind: kindPath, Example: "jwt.hex",
		Help:  "file with the secret shared with the execution client, as 64 hex digits",
		field: func(c *Config) any { return &c.JWTSecret },
	},
	{
		Key: "eth-url", Group: Engine, Kind: kindURL, Example: "http://127.0.0.1:8545",
		Help:    "where the execution client serves the namespace eth; empty for engine-url",
		Allowed: "empty, or an http or https address without user and password",
		field:   func(c *Config) any { return &c.EthURL },
		check:   func(c *Config) bool { return c.EthURL == "" || httpURL(c.EthURL) },
	},
	{
		Key: "engine.cache", Group: Engine, Kind: kindSize, Default: "64MiB",
		Help: "memory for the embedded execution layer's database and tries", Allowed: "32MiB to 64GiB, whole MiB",
		field: func(c *Config) any { return &c.Engine.Cache },
		check: func(c *Config) bool { return c.Engine.Cache.within(32*MiB, 64*GiB) },
	},
	{
		Key: "engine.http-addr", Group: Engine, Kind: kindAddr, Example: "127.0.0.1:8545",
		Help:    "loopback address of the embedded execution layer's JSON-RPC; empty for none",
		Allowed: "empty, or a loopback host and a port, such as 127.0.0.1:8545",
		field:   func(c *Config) any { return &c.Engine.HTTPAddr },
		check:   func(c *Config) bool { return c.Engine.HTTPAddr == "" || loopback(c.Engine.HTTPAddr) },
	},
	{
		Key: "journal.cache", Group: Journal, Kind: kindSize, Default: "16MiB",
		Help: "memory for blocks of the journal read back", Allowed: "1MiB to 64GiB, whole MiB",
		field: func(c *Config) any { return &c.Journal.Cache },
		check: func(c *Config) bool { return c.Journal.Cache.within(MiB, 64*GiB) },
	},
	{
		Key: "journal.max-pending", Group: Journal, Kind: kindSize, Default: "8MiB",
		Help:    "events and contents not yet on disk before the node waits for the disk",
		Allowed: "1MiB to 1GiB, whole MiB",
		field:   func(c *Config) any { return &c.Journal.MaxPending },
		check:   func(c *Config) bool { return c.Journal.MaxPending.within(MiB, GiB) },
	},
	{
		Key: "journal.commit-delay", Group: Journal, Kind: kindDuration, Default: "0s",
		Help:    "how long a busy journal gathers events before it syncs; an idle one syncs at once",
		Allowed: "0s to 1s",
		field:   func(c *Config) any { return &c.Journal.CommitDelay },
		check:   func(c *Config) bool { return c.Journal.CommitDelay >= 0 && c.Journal.CommitDelay <= time.Second },
	},
	{
		Key: "journal.scrub-rate", Group: Journal, Kind: kindSize, Default: "1MiB",
		Help:    "bytes a second that the scrubber reads back from journal, archive and snapshots; 0 switches it off",
		Allowed: "0 to 64GiB",
		field:   func(c *Config) any { return &c.Journal.ScrubRate },
		check:   func(c *Config) bool { return c.Journal.ScrubRate <= 64*GiB },
	},
	{
		Key: "snapshot.every-turns", Group: Snapshot, Kind: kindInteger, Default: "2000",
		Help: "turns between snapshots", Allowed: "1 or more",
		field: func(c *Config) any { return &c.Snapshot.EveryTurns },
		check: func(c *Config) bool { return c.Snapshot.EveryTurns >= 1 && c.Snapshot.EveryTurns <= math.MaxInt64 },
	},
	{
		Key: "snapshot.every-bytes", Group: Snapshot, Kind: kindSize, Default: "2MiB",
		Help:    "messages and contents after which a snapshot is due even with fewer turns",
		Allowed: "1MiB to 64GiB, whole MiB",
		field:   func(c *Config) any { return &c.Snapshot.EveryBytes },
		check:   func(c *Config) bool { return c.Snapshot.EveryBytes.within(MiB, 64*GiB) },
	},
	{
		Key: "snapshot.every", Group: Snapshot, Kind: kindDuration, Default: "5m0s",
		Help: "time after which a snapshot is due even with fewer turns", Allowed: "1s to 24h",
		field: func(c *Config) any { return &c.Snapshot.Every },
		check: func(c *Config) bool { return c.Snapshot.Every >= time.Second && c.Snapshot.Every <= 24*time.Hour },
	},
	{
		Key: "snapshot.keep", Group: Snapshot, Kind: kindInteger, Default: "5",
		Help: "snapshots kept", Allowed: "1 to 1000",
		field: func(c *Config) any { return &c.Snapshot.Keep },
		check: func(c *Config) bool { return c.Snapshot.Keep >= 1 && c.Snapshot.Keep <= 1000 },
	},
	{
		Key: "miner.dev", Group: Mining, Kind: kindBool, Default: "false",
		Help:  "run a merge-miner in this process (only chains of trivial difficulty); --dev always does",
		field: func(c *Config) any { return &c.Miner.Dev },
	},
	{
		Key: "miner.dev-interval", Group: Mining, Kind: kindDuration, Default: "3s",
		Help: "time between attempts of that merge-miner", Allowed: "10ms to 1h",
		field: func(c *Config) any { return &c.Miner.DevInterval },
		check: func(c *Config) bool {
			return c.Miner.DevInterval >= 10*time.Millisecond && c.Miner.DevInterval <= time.Hour
		},
	},
	{
		Key: "miner.fee-recipient", Group: Mining, Kind: kindAccount, Default: "0x0000000000000000000000000000000000000000",
		Help:  "account that gets the fees of merge-mined ranges",
		field: func(c *Config) any { return &c.Miner.FeeRecipient },
	},
	{
		Key: "production.build-wait", Group: Mining, Kind: kindDuration, Default: "200ms",
		Help:    "time the execution layer gets to fill a block before it is fetched",
		Allowed: "1ms to 10s, whole milliseconds",
		field:   func(c *Config) any { return &c.Production.BuildWait },
		check: func(c *Config) bool {
			w := c.Production.BuildWait
			return w >= time.Millisecond && w <= 10*time.Second && w%time.Millisecond == 0
		},
	},
	{
		Key: "rpc.addr", Group: RPC, Kind: kindAddr, Default: "127.0.0.1:3000",
		Help:    "address of the JSON-RPC for miners and queries; empty for none; beyond loopback put a proxy or firewall before it",
		Allowed: "empty, or host and port, such as 127.0.0.1:3000",
		field:   func(c *Config) any { return &c.RPC.Addr },
		check:   func(c *Config) bool { return c.RPC.Addr == "" || hostPort(c.RPC.Addr) },
	},
	{
		Key: "rpc.rate", Group: RPC, Kind: kindInteger, Default: "200",
		Help: "requests a second that one client may make, with bursts of twice as many", Allowed: "1 to 1000000",
		field: func(c *Config) any { return &c.RPC.Rate },
		check: func(c *Config) bool { return c.RPC.Rate >= 1 && c.RPC.Rate <= 1_000_000 },
	},
	{
		Key: "rpc.max-connections", Group: RPC, Kind: kindInteger, Default: "256",
		Help: "open connections of all clients, of which one client gets half", Allowed: "2 to 65536",
		field: func(c *Config) any { return &c.RPC.MaxConnections },
		check: func(c *Config) bool { return c.RPC.MaxConnections >= 2 && c.RPC.MaxConnections <= 65536 },
	},
	{
		Key: "bitcoin-rpc-url", Group: Bitcoin, Kind: kindURL, Example: "http://127.0.0.1:8332", Legacy: "BITCOIN_RPC_URL",
		Help:    "JSON-RPC of a Bitcoin Core or btcd; empty for none: then nothing that needs Bitcoin is judged or made",
		Allowed: "empty, or an http or https address without user and password",
		field:   func(c *Config) any { return &c.Bitcoin.RPCURL },
		check:   func(c *Config) bool { return c.Bitcoin.RPCURL == "" || httpURL(c.Bitcoin.RPCURL) },
	},
	{
		Key: "bitcoin-rpc-user", Group: Bitcoin, Kind: kindText, Example: "alys", Legacy: "BITCOIN_RPC_USER",
		Help: "user of the Bitcoin node's JSON-RPC, without a colon", Allowed: "a name without a colon",
		field: func(c *Config) any { return &c.Bitcoin.RPCUser },
		check: func(c *Config) bool { return !strings.Contains(c.Bitcoin.RPCUser, ":") },
	},
	{
		Key: "bitcoin-rpc-password", Group: Bitcoin, Kind: kindText, Secret: true, Legacy: "BITCOIN_RPC_PASS",
		Help:  "password of that user; prefer bitcoin-rpc-cookie",
		field: func(c *Config) any { return &c.Bitcoin.RPCPassword },
	},
	{
		Key: "bitcoin-rpc-cookie", Group: Bitcoin, Kind: kindPath, Example: "/var/lib/bitcoind/.cookie",
		Help:  "file that Bitcoin Core writes user and password to at each start",
		field: func(c *Config) any { return &c.Bitcoin.RPCCookie },
	},
	{
		Key: "bitcoin-rpc-cert", Group: Bitcoin, Kind: kindPath, Example: "/var/lib/btcd/rpc.cert",
		Help:  "certificate (PEM) of a Bitcoin node behind https that no authority signed, as btcd makes it",
		field: func(c *Config) any { return &c.Bitcoin.RPCCert },
	},
	{
		Key: "bitcoin.fee-rate-min", Group: Bitcoin, Kind: kindInteger, Default: "1000",
		Help: "least fee rate of payments that this member signs, in satoshi for 1000 vbytes", Allowed: "1 to 1000000000",
		field: func(c *Config) any { return &c.Bitcoin.FeeRateMin },
		check: func(c *Config) bool { return feeRate(c.Bitcoin.FeeRateMin) },
	},
	{
		Key: "bitcoin.fee-rate-max", Group: Bitcoin, Kind: kindInteger, Default: "500000",
		Help: "highest fee rate of payments that this member signs, in satoshi for 1000 vbytes", Allowed: "1 to 1000000000",
		field: func(c *Config) any { return &c.Bitcoin.FeeRateMax },
		check: func(c *Config) bool { return feeRate(c.Bitcoin.FeeRateMax) },
	},
	{
		Key: "bitcoin.fee-rate-fallback", Group: Bitcoin, Kind: kindInteger, Default: "2000",
		Help: "fee rate of payments while the Bitcoin node estimates none, as btcd never does", Allowed: "1 to 1000000000",
		field: func(c *Config) any { return &c.Bitcoin.FeeRateFallback },
		check: func(c *Config) bool { return feeRate(c.Bitcoin.FeeRateFallback) },
	},
	{
		Key: "bitcoin.payout-confirmations", Group: Bitcoin, Kind: kindInteger, Default: "6",
		Help: "depth in Bitcoin after which a payment is not broadcast again", Allowed: "1 to 2016",
		field: func(c *Config) any { return &c.Bitcoin.PayoutConfirmations },
		check: func(c *Config) bool {
			return c.Bitcoin.PayoutConfirmations >= 1 && c.Bitcoin.PayoutConfirmations <= 2016
		},
	},
	{
		Key: "bitcoin.dev-interval", Group: Bitcoin, Kind: kindDuration, Default: "10s",
		Help:    "time between blocks of the regtest chain in this process, which --dev has without bitcoin-rpc-url; 0s mines on demand only",
		Allowed: "0s, or 100ms to 24h",
		field:   func(c *Config) any { return &c.Bitcoin.DevInterval },
		check: func(c *Config) bool {
			d := c.Bitcoin.DevInterval
			return d == 0 || d >= 100*time.Millisecond && d <= 24*time.Hour
		},
	},
	{
		Key: "bitcoin.network", Group: Bitcoin, Kind: kindNetwork, Default: "regtest",
		Help: "Bitcoin network of the Bitcoin node, and whose form the deposit address has", Allowed: "mainnet, testnet, signet or regtest",
		field: func(c *Config) any { return &c.Bitcoin.Network },
		check: func(c *Config) bool {
			switch c.Bitcoin.Network {
			case NetworkMainnet, NetworkTestnet, NetworkSignet, NetworkRegtest:
				return true
			}
			return false
		},
	},
	{
		Key: "metrics.addr", Group: Telemetry, Kind: kindAddr, Default: "127.0.0.1:9001",
		Help:    "address that serves /metrics, /livez and /readyz; empty for none",
		Allowed: "empty, or host and port, such as 127.0.0.1:9001",
		field:   func(c *Config) any { return &c.Metrics.Addr },
		check:   func(c *Config) bool { return c.Metrics.Addr == "" || hostPort(c.Metrics.Addr) },
	},
	{
		Key: "disk-reserve", Group: Telemetry, Kind: kindSize, Default: "1GiB",
		Help:    "free disk space below which the node stops cleanly; it warns at twice as much; 0 switches that off",
		Allowed: "0 to 64TiB",
		field:   func(c *Config) any { return &c.DiskReserve },
		check:   func(c *Config) bool { return c.DiskReserve <= 64*TiB },
	},
	{
		Key: "log.level", Group: Log, Kind: kindLevel, Default: "info",
		Help: "lowest level logged", Allowed: "debug, info, warn or error",
		field: func(c *Config) any { return &c.Log.Level },
	},
	{
		Key: "log.actors", Group: Log, Kind: kindLevels, Example: "engine=debug,chain=warn",
		Help:    "lowest level by actor or edge, beside log.level for all others",
		Allowed: "empty, or ACTOR=LEVEL joined by commas, such as engine=debug,chain=warn",
		field:   func(c *Config) any { return &c.Log.Actors },
		check: func(c *Config) bool {
			_, err := logging.ParseActors(c.Log.Actors)
			return err == nil
		},
	},
	{
		Key: "log.format", Group: Log, Kind: kindFormat, Default: "auto",
		Help: "auto is text on a terminal and json elsewhere", Allowed: "text, json or auto",
		field: func(c *Config) any { return &c.Log.Format },
		check: func(c *Config) bool {
			return c.Log.Format == FormatText || c.Log.Format == FormatJSON || c.Log.Format == FormatAuto
		},
	},
}
