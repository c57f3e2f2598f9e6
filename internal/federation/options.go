package federation

import (
	"fmt"
	"net/netip"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// maxFull bounds how many full nodes are laid out at once.
const maxFull = 100

// Options say what a federation is made of.
type Options struct {
	Members int // 1 to 15
	Full    int // full nodes beside them

	// Chain is the specification without its three lists of members.
	Chain *spec.Chain
	// Accounts puts the well-known development accounts into the genesis, with coins that
	// nobody deposited: for chains that are worth nothing.
	Accounts bool
	// Plain leaves the federation keys unsealed, in secrets.env.
	Plain bool
	// Passphrase seals the federation keys; empty for one of its own for each member.
	Passphrase string

	// Hosts are the IP addresses of the nodes, members first, each with the default ports.
	// Without them all nodes are on 127.0.0.1, with ports of their own from Port on.
	Hosts []string
	Port  int

	// ConfigDir and DataDir are what a node's own directory and data directory will be
	// called where it runs; empty for where they are made.
	ConfigDir, DataDir string

	Bitcoin Bitcoin
	// DevMiner runs a merge-miner in each member's process.
	DevMiner bool
	// Settings are further lines of every configuration, by key, as TOML writes the value.
	Settings map[string]string
}

// Bitcoin is the Bitcoin node that the nodes ask; without an URL none is named.
type Bitcoin struct {
	URL     string
	Cookie  string
	Network string // as in bitcoin.network
}

// Default ports of a node on a machine of its own.
const (
	portP2P     = 55444 // legacy's (wire.md 9.1)
	portRPC     = 3000
	portMetrics = 9001
	portEngine  = 8545

	// portsEach is how many ports after Options.Port a node on a shared machine has.
	portsEach = 4
)

// loopback is where all nodes are unless hosts are given.
const loopback = "127.0.0.1"

func (o *Options) check() error {
	switch {
	case o.Chain == nil:
		return fault.New(fault.Invalid, "a federation without a chain specification")
	case o.Members < 1 || o.Members > aura.MaxAuthorities:
		return fault.New(fault.Invalid, "%d members: 1 to %d", o.Members, aura.MaxAuthorities)
	case o.Full < 0 || o.Full > maxFull:
		return fault.New(fault.Invalid, "%d full nodes: 0 to %d", o.Full, maxFull)
	case o.Plain && o.Passphrase != "":
		return fault.New(fault.Invalid, "a passphrase for keys that are not sealed")
	}
	nodes := o.Members + o.Full
	if len(o.Hosts) == 0 {
		if last := o.Port + nodes*portsEach; o.Port < 1024 || last > 65535 {
			return fault.New(fault.Invalid, "ports from %d to %d: between 1024 and 65535", o.Port, last)
		}
		return nil
	}
	if len(o.Hosts) != nodes {
		return fault.New(fault.Invalid, "%d hosts for %d nodes: name each node's, members first", len(o.Hosts), nodes)
	}
	seen := make(map[netip.Addr]bool)
	for _, text := range o.Hosts {
		at, err := netip.ParseAddr(text)
		if err != nil || at.IsUnspecified() || at.IsMulticast() {
			return fault.New(fault.Invalid, "host %.60q is not the IP address of a node", text)
		}
		if seen[at.Unmap()] {
			return fault.New(fault.Invalid, "host %s is given twice", at)
		}
		seen[at.Unmap()] = true
	}
	return nil
}

// place is the host and ports of node i.
func (o *Options) place(i int) Ports {
	if len(o.Hosts) > 0 {
		return Ports{Host: o.Hosts[i], P2P: portP2P, RPC: portRPC, Metrics: portMetrics, Engine: portEngine}
	}
	first := o.Port + i*portsEach
	return Ports{Host: loopback, P2P: first, RPC: first + 1, Metrics: first + 2, Engine: first + 3}
}

// name of node i.
func (o *Options) name(i int) string {
	if i < o.Members {
		return fmt.Sprintf("member-%d", i)
	}
	return fmt.Sprintf("full-%d", i-o.Members)
}
