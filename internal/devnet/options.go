package devnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest/rpcserver"
	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Names in the directory.
const (
	federationName = "federation"
	bitcoinName    = "bitcoin"
	logsName       = "logs"
	settingsName   = "devnet.json"
	runName        = "run.json"
	lockName       = "lock"
	cookieName     = ".cookie"

	// Bitcoin is the name of the process of the regtest chain.
	Bitcoin = "bitcoin"
)

// bitcoinPort is where the chain is served on a host of its own; on a shared one it is the
// last port before those of the nodes.
const bitcoinPort = 18443

// Options of a network.
type Options struct {
	Dir     string
	Program string // path of alys

	// What follows is for Make alone.
	Members, Full int
	Chain         *spec.Chain // rules without members, whose Bitcoin is regtest
	Port          int         // first one, on 127.0.0.1
	Mine          time.Duration
	// Hosts are the addresses of the nodes and BitcoinHost that of the chain, where Launch
	// puts processes on other networks; empty for 127.0.0.1.
	Hosts       []string
	BitcoinHost string
	Settings    map[string]string // of every node, beside federation.Options

	// Launch starts a process of a name: start must be called on the same goroutine. Nil
	// calls it.
	Launch func(name string, start func() error) error
	// Dial reaches the network that a process is on; nil is this machine's.
	Dial func(name string) func(ctx context.Context, network, addr string) (net.Conn, error)

	Logger *slog.Logger // nil drops what there is to say
	Out    io.Writer    // lines for people; nil for none
}

// made is what Make keeps.
type made struct {
	Format      int    `json:"format"`
	BitcoinAddr string `json:"bitcoin_addr"`
	MineMs      int64  `json:"bitcoin_interval_ms"`
}

const madeFormat = 1

// Network is a federation on this machine.
type Network struct {
	o      Options
	made   made
	Layout *federation.Layout
}

// Make makes the directory of a network. Errors are those of federation.Init.
func Make(o Options) (*Network, error) {
	addr := o.bitcoinAddr()
	fo := federation.Options{
		Members: o.Members, Full: o.Full, Chain: o.Chain, Accounts: true, Plain: true, DevMiner: true, Hosts: o.Hosts, Port: o.Port,
		Bitcoin:  federation.Bitcoin{URL: "http://" + addr, Cookie: filepath.Join(absolute(o.Dir), bitcoinName, cookieName), Network: "regtest"},
		Settings: o.Settings,
	}
	m := made{Format: madeFormat, BitcoinAddr: addr, MineMs: o.Mine.Milliseconds()}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, settingsName)
	}
	if _, err := federation.Init(filepath.Join(o.Dir, federationName), fo); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, settingsName), append(text, '\n'), 0o600); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "directory of the network")
	}
	return Open(o)
}

func (o *Options) bitcoinAddr() string {
	if o.BitcoinHost != "" {
		return net.JoinHostPort(o.BitcoinHost, fmt.Sprint(bitcoinPort))
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(o.Port-1))
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// Exists tells whether a directory holds a network.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, settingsName))
	return err == nil
}

// Open reads the directory of a network.
func Open(o Options) (*Network, error) {
	o.Dir = absolute(o.Dir)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	n := &Network{o: o}
	data, err := os.ReadFile(filepath.Join(o.Dir, settingsName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "%s holds no network: alys devnet up makes one", o.Dir)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "directory of the network")
	}
	if err := json.Unmarshal(data, &n.made); err != nil || n.made.Format != madeFormat {
		return nil, fault.New(fault.Invalid, "%s is of a form that this program does not know: %w", filepath.Join(o.Dir, settingsName), err)
	}
	if n.Layout, err = federation.Open(filepath.Join(o.Dir, federationName)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, logsName), 0o700); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "directory of the logs")
	}
	return n, nil
}

// Dir is the network's directory.
func (n *Network) Dir() string { return n.o.Dir }

// Log is the file that a process writes to.
func (n *Network) Log(name string) string { return filepath.Join(n.o.Dir, logsName, name+".log") }

// BitcoinClient makes the calls of the regtest chain.
func (n *Network) BitcoinClient() *rpcserver.Client {
	return &rpcserver.Client{URL: "http://" + n.made.BitcoinAddr, Cookie: filepath.Join(n.o.Dir, bitcoinName, cookieName), HTTP: n.httpClient(Bitcoin)}
}
