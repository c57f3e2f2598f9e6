package config

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Config is the settings of one process. Get it from [Load]; the zero value has
// no defaults. What each field means is the help of its row in [Settings].
type Config struct {
	DataDir          string
	DiskReserve      Size
	ChainSpec        string
	Genesis          string
	Dev              bool
	AuthorityKey     Secret // empty when not given; [Config.Authority] also reads the file
	AuthorityKeyFile string
	NotValidator     bool

	// EngineURL, JWTSecret (a file) and EthURL name an execution client in another
	// process; EngineURL is empty for the embedded one.
	EngineURL string
	JWTSecret string
	EthURL    string

	// Engine is the embedded execution layer. HTTPAddr is empty for no server.
	Engine struct {
		Cache    Size
		HTTPAddr string
	}
	// Journal bounds the memory of the journal and how long a commit gathers.
	// Archive is where archived events are; empty for the directory beside it.
	Journal struct {
		Archive     string
		Cache       Size
		MaxPending  Size
		ScrubRate   Size
		CommitDelay time.Duration
	}
	// Snapshot says when snapshots are taken and how many stay.
	Snapshot struct {
		EveryTurns uint64
		EveryBytes Size
		Every      time.Duration
		Keep       int
	}
	// Miner is the development merge-miner and who gets the fees.
	Miner struct {
		Dev          bool
		DevInterval  time.Duration
		FeeRecipient common.Address
	}
	// Production is how blocks are built.
	Production struct {
		BuildWait time.Duration
	}
	// RPC is the miners' and query port. Addr is empty for none.
	RPC struct {
		Addr           string
		Rate           uint64
		MaxConnections uint64
	}
	// Bitcoin is the parent chain. Network is one of the Network constants, RPCURL is
	// empty for no Bitcoin node, fee rates are in satoshi for 1000 vbytes.
	Bitcoin struct {
		RPCURL      string
		RPCUser     string
		RPCPassword Secret
		RPCCookie   string
		RPCCert     string

		Network             string
		FeeRateMin          uint64
		FeeRateMax          uint64
		FeeRateFallback     uint64
		PayoutConfirmations uint64
		DevInterval         time.Duration // zero mines on demand only
	}
	// LeaseDirectory is as given: see [Config.LeaseDir].
	LeaseDirectory string
	// P2P is the network of nodes: lists of multiaddrs as they were given.
	P2P struct {
		Listen      string
		Bootnodes   string
		MDNS        bool
		MaxPeers    uint64
		ListenSlots uint64
		// CheckpointEvery is the distance of settled states, in blocks.
		CheckpointEvery uint64
	}
	// Metrics is the Prometheus endpoint. Addr is empty for none.
	Metrics struct {
		Addr string
	}
	// Log is what the log shows and how: Format is one of the Format constants,
	// Actors what logging.ParseActors reads.
	Log struct {
		Level  slog.Level
		Actors string
		Format string
	}

	// Federation is the key that signs payments: Key in hex, KeyFile sealed with
	// Passphrase or what PassphraseFile holds, or the process at Signer, whose public key
	// is SignerKey. One of the three at most.
	Federation struct {
		Key            Secret
		KeyFile        string
		Passphrase     Secret
		PassphraseFile string
		Signer         string
		SignerKey      string
		SignerCert     string
		SignerCertKey  string
		SignerCA       string
	}

	origins map[string]Origin // by key
}

// The values of log.format.
const (
	FormatText = "text" // key=value
	FormatJSON = "json" // one object a line
	FormatAuto = "auto" // text on a terminal, json elsewhere
)

// The values of bitcoin.network.
const (
	NetworkMainnet = "mainnet"
	NetworkTestnet = "testnet"
	NetworkSignet  = "signet"
	NetworkRegtest = "regtest"
)

// Sources is where [Load] looks, from the weakest layer to the strongest.
type Sources struct {
	// File is the path of a TOML file; empty for none, unless ALYS_CONFIG in
	// Environ names one.
	File string
	// Environ holds NAME=value pairs as os.Environ returns them. Only names
	// that begin with ALYS_ matter.
	Environ []string
	// Flags holds the text of the flags that were given, by name without dashes.
	Flags map[string]string
}

// Origin is the place that set a value.
type Origin struct {
	Layer string // "default", "file", "env" or "flag"
	Name  string // path, variable or flag with its dashes; empty for a default
	Line  int    // line of the file, from 1; 0 when unknown
}

// String returns the origin as errors and Show name it, such as
// "file alys.toml:3".
func (o Origin) String() string {
	switch {
	case o.Name == "":
		return o.Layer
	case o.Line > 0:
		return fmt.Sprintf("%s %s:%d", o.Layer, printable(o.Name), o.Line)
	default:
		return o.Layer + " " + printable(o.Name)
	}
}

// Origin returns the place that set the value of key; the zero Origin for a key
// that is not in [Settings].
func (c *Config) Origin(key string) Origin { return c.origins[key] }

// Load reads all layers of s and checks the result. The error names everything
// that is wrong, one line each, and has grade fault.Invalid.
func Load(s Sources) (*Config, error) {
	c := &Config{origins: make(map[string]Origin, len(settings))}
	l := loader{config: c}
	for i := range settings {
		l.set(&settings[i], settings[i].Default, Origin{Layer: "default"})
	}
	vars := l.environ(s.Environ)
	file, from := s.File, "--"+FileFlag
	if path, ok := vars[fileEnv]; ok && file == "" {
		file, from = path.text, fileEnv
	}
	if file != "" {
		l.file(file, from)
	}
	for i := range settings {
		if v, ok := vars[settings[i].Legacy]; ok {
			l.set(&settings[i], v.text, v.origin)
		}
		if v, ok := vars[settings[i].Env()]; ok {
			l.set(&settings[i], v.text, v.origin)
		}
	}
	l.flags(s.Flags)
	l.check()
	if len(l.wrong) > 0 {
		return nil, fault.New(fault.Invalid, "settings: %s", strings.Join(l.wrong, "\n"))
	}
	return c, nil
}

// loader collects what is wrong while the layers are applied.
type loader struct {
	config *Config
	wrong  []string
	broken map[string]bool // keys whose last value did not parse
}

func (l *loader) fail(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// set parses text into the place of s. An empty default stands for the zero value.
func (l *loader) set(s *Setting, text string, from Origin) {
	l.config.origins[s.Key] = from
	if from.Layer == "default" && text == "" {
		return
	}
	if hint, err := parse(s.field(l.config), text); err != nil {
		l.refuse(s, text, from, hint)
	}
}

// refuse reports a value that is not allowed. It repeats no secret.
func (l *loader) refuse(s *Setting, text string, from Origin, hint string) {
	if l.broken == nil {
		l.broken = make(map[string]bool)
	}
	l.broken[s.Key] = true
	allowed := s.Allowed
	if allowed == "" {
		allowed = hint
	} else if hint != "" && !strings.Contains(allowed, hint) {
		allowed = hint + "; " + allowed
	}
	value := " = " + quote(clip(text))
	if s.Secret {
		value = ""
	}
	l.fail("%s%s (%s): allowed is %s", s.Key, value, from, allowed)
}

// check applies the limits of each row and those that concern two rows.
func (l *loader) check() {
	c := l.config
	for i := range settings {
		s := &settings[i]
		if s.check != nil && !l.broken[s.Key] && !s.check(c) {
			l.refuse(s, format(s.field(c)), c.origins[s.Key], "")
		}
	}
	if c.AuthorityKey != "" && c.AuthorityKeyFile != "" {
		l.fail("authority-key (%s) and authority-key-file (%s) are both set: remove one",
			c.origins["authority-key"], c.origins["authority-key-file"])
	}
	if (c.EngineURL == "") != (c.JWTSecret == "") {
		l.fail("engine-url (%s) and jwt-secret (%s) go together: set both or none", c.origins["engine-url"], c.origins["jwt-secret"])
	}
	if c.EngineURL == "" && c.EthURL != "" {
		l.fail("eth-url (%s) is for an external execution client: set engine-url and jwt-secret too", c.origins["eth-url"])
	}
	if c.EngineURL != "" && c.Engine.HTTPAddr != "" {
		l.fail("engine.http-addr (%s) is of the embedded execution layer, engine-url (%s) uses another: remove one", c.origins["engine.http-addr"], c.origins["engine-url"])
	}
	l.checkBitcoin()
	l.checkFederation()
	if !c.Dev {
		return
	}
	for _, other := range []struct{ key, value string }{{"chain-spec", c.ChainSpec}, {"genesis", c.Genesis}} {
		if other.value != "" {
			l.fail("dev (%s) brings its own chain: remove it or %s (%s)", c.origins["dev"], other.key, c.origins[other.key])
		}
	}
}

// checkBitcoin applies the limits between the settings of the Bitcoin node.
func (l *loader) checkBitcoin() {
	b, origins := &l.config.Bitcoin, l.config.origins
	if b.RPCCookie != "" && (b.RPCUser != "" || b.RPCPassword != "") {
		l.fail("bitcoin-rpc-cookie (%s) and bitcoin-rpc-user (%s) or bitcoin-rpc-password (%s) are both set: remove one",
			origins["bitcoin-rpc-cookie"], origins["bitcoin-rpc-user"], origins["bitcoin-rpc-password"])
	}
	if b.RPCURL == "" && (b.RPCCookie != "" || b.RPCCert != "") {
		l.fail("bitcoin-rpc-cookie (%s) and bitcoin-rpc-cert (%s) are for a Bitcoin node: set bitcoin-rpc-url too",
			origins["bitcoin-rpc-cookie"], origins["bitcoin-rpc-cert"])
	}
	if b.FeeRateMin > b.FeeRateFallback || b.FeeRateFallback > b.FeeRateMax {
		l.fail("bitcoin.fee-rate-min (%s), -fallback (%s) and -max (%s) do not ascend: %d, %d, %d", origins["bitcoin.fee-rate-min"],
			origins["bitcoin.fee-rate-fallback"], origins["bitcoin.fee-rate-max"], b.FeeRateMin, b.FeeRateFallback, b.FeeRateMax)
	}
}
