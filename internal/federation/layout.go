package federation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Names in the directory of a federation and in those of its nodes.
const (
	LayoutName     = "federation.json"
	ChainName      = "chain.json"
	GenesisName    = "genesis.json"
	ConfigName     = "config.toml"
	AuthorityName  = "authority.key"
	FederationName = "federation.key"
	PassphraseName = "passphrase"
	SecretsName    = "secrets.env"
	FeesName       = "fees.key"
	PeerName       = "peer.key"
	DataName       = "data"
)

// layoutFormat is the version of [LayoutName].
const layoutFormat = 1

// maxLayout bounds that file.
const maxLayout = 1 << 20

// ErrExists is a directory that is there already.
var ErrExists = errors.New("it is there already and is not overwritten")

// Layout is a federation's directory: what is public of it.
type Layout struct {
	Format  int    `json:"format"`
	Dir     string `json:"-"` // where it was opened
	ChainID uint32 `json:"chain_id"`
	SlotMs  uint64 `json:"slot_ms"`
	Deposit string `json:"deposit_address"`
	Nodes   []Node `json:"nodes"`
}

// Node is one node of a federation.
type Node struct {
	Name       string `json:"name"`
	Member     *int   `json:"member,omitempty"` // index among the members; nil for a full node
	Authority  string `json:"authority,omitempty"`
	Federation string `json:"federation_key,omitempty"`
	Fees       string `json:"fees,omitempty"` // account on the sidechain
	PeerID     string `json:"peer_id"`
	P2P        string `json:"p2p"` // multiaddr with the peer id
	Ports      Ports  `json:"ports"`
}

// Ports are where a node is. Engine is on its own machine's loopback.
type Ports struct {
	Host    string `json:"host"`
	P2P     int    `json:"p2p"`
	RPC     int    `json:"rpc"`
	Metrics int    `json:"metrics"`
	Engine  int    `json:"engine"`
}

// multiaddr is where peers reach the node over TCP, without its id.
func (p Ports) multiaddr() string { return fmt.Sprintf("/%s/%s/tcp/%d", p.family(), p.Host, p.P2P) }

// quic is where they reach it over QUIC.
func (p Ports) quic() string {
	return fmt.Sprintf("/%s/%s/udp/%d/quic-v1", p.family(), p.Host, p.P2P)
}

func (p Ports) family() string {
	if at, err := netip.ParseAddr(p.Host); err == nil && at.Unmap().Is6() {
		return "ip6"
	}
	return "ip4"
}

// NodeDir is the directory of a node.
func (l *Layout) NodeDir(n *Node) string { return filepath.Join(l.Dir, n.Name) }

// Config is the node's file of settings.
func (l *Layout) Config(n *Node) string { return filepath.Join(l.NodeDir(n), ConfigName) }

// DataDir is where a node's data is when Options.DataDir was empty.
func (l *Layout) DataDir(n *Node) string { return filepath.Join(l.NodeDir(n), DataName) }

// Members counts the members.
func (l *Layout) Members() (n int) {
	for i := range l.Nodes {
		if l.Nodes[i].Member != nil {
			n++
		}
	}
	return n
}

// Open reads the layout of a directory that Init made. Errors: Invalid when there is none
// or it is of another form.
func Open(dir string) (*Layout, error) {
	path := filepath.Join(dir, LayoutName)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "%s holds no federation: alys federation init makes one", dir)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "federation")
	case info.Size() > maxLayout:
		return nil, fault.New(fault.Invalid, "%s has %d bytes, at most %d are read", path, info.Size(), maxLayout)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "federation")
	}
	l := &Layout{Dir: dir}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, path)
	}
	if l.Format != layoutFormat {
		return nil, fault.New(fault.Invalid, "%s has format %d, this program knows %d", path, l.Format, layoutFormat)
	}
	for i := range l.Nodes {
		if name := l.Nodes[i].Name; !filepath.IsLocal(name) || filepath.Base(name) != name {
			return nil, fault.New(fault.Invalid, "%s: node %d is called %.60q", path, i, name)
		}
	}
	return l, nil
}
