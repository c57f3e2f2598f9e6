package federation

import (
	"fmt"
	"net"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// configOf is the file of settings of node i, whose directory will be at path.
func configOf(l *Layout, i int, path string, o Options) []byte {
	n := &l.Nodes[i]
	own, data := path, filepath.Join(path, DataName)
	if o.ConfigDir != "" {
		own = o.ConfigDir
	}
	if o.DataDir != "" {
		data = o.DataDir
	}
	file := func(name string) string { return quote(filepath.Join(own, name)) }
	set := map[string]string{
		"data-dir": quote(data), "chain-spec": file(ChainName), "genesis": file(GenesisName),
		"rpc.addr":         quote(net.JoinHostPort(loopback, strconv.Itoa(n.Ports.RPC))),
		"metrics.addr":     quote(net.JoinHostPort(loopback, strconv.Itoa(n.Ports.Metrics))),
		"engine.http-addr": quote(net.JoinHostPort(loopback, strconv.Itoa(n.Ports.Engine))),
	}
	set["p2p-listen"] = quote(n.Ports.multiaddr() + "," + n.Ports.quic())
	if others := others(l, i); others != "" {
		set["p2p-bootnodes"] = quote(others)
	}
	if o.Bitcoin.Network != "" {
		set["bitcoin.network"] = quote(o.Bitcoin.Network)
	}
	if o.Bitcoin.URL != "" {
		set["bitcoin-rpc-url"] = quote(o.Bitcoin.URL)
	}
	if o.Bitcoin.Cookie != "" {
		set["bitcoin-rpc-cookie"] = quote(o.Bitcoin.Cookie)
	}
	if n.Member == nil {
		set["not-validator"] = "true"
	} else {
		set["authority-key-file"] = file(AuthorityName)
		set["miner.fee-recipient"] = quote(n.Fees)
		if o.DevMiner {
			set["miner.dev"] = "true"
		}
		if !o.Plain {
			set["federation-key-file"], set["federation-key-passphrase-file"] = file(FederationName), file(PassphraseName)
		}
	}
	for key, value := range o.Settings {
		set[key] = value
	}
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var text strings.Builder
	fmt.Fprintf(&text, "# %s of the federation of chain %d: alys node --config %s\n", n.Name, l.ChainID, ConfigName)
	text.WriteString("# What each key means and may be: alys config show, and the sample file.\n")
	for _, key := range keys {
		fmt.Fprintf(&text, "%s = %s\n", key, set[key])
	}
	return []byte(text.String())
}

// others are the addresses of all nodes but one. Members come first.
func others(l *Layout, i int) string {
	var list []string
	for j := range l.Nodes {
		if j != i {
			list = append(list, l.Nodes[j].P2P)
		}
	}
	return strings.Join(list, ",")
}

// quote writes a TOML string. Paths and addresses hold no control characters; those that
// do are escaped.
func quote(text string) string { return strconv.Quote(text) }
