package federation

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/bootnode"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func options(members, full int) Options {
	return Options{Members: members, Full: full, Chain: spec.Dev(), Port: 20000, Plain: true, Bitcoin: Bitcoin{URL: "http://127.0.0.1:18443", Network: "regtest"}}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// settings loads the configuration of a node as the program does.
func settings(t *testing.T, l *Layout, n *Node) *config.Config {
	t.Helper()
	var environ []string
	if data, err := os.ReadFile(filepath.Join(l.NodeDir(n), SecretsName)); err == nil {
		environ = strings.Fields(string(data))
	}
	c, err := config.Load(config.Sources{File: l.Config(n), Environ: environ})
	if err != nil {
		t.Fatalf("%s: %v\n%s", n.Name, err, read(t, l.Config(n)))
	}
	return c
}

// Every file that the nodes need is there, the program reads it, and the keys in it are
// those of the chain specification, member by member.
func TestInit(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("plain %t", plain), func(t *testing.T) {
			o := options(2, 1)
			if o.Plain = plain; !plain {
				o.Members, o.Passphrase = 1, "correct horse"
			}
			dir := filepath.Join(t.TempDir(), "fed")
			l, err := Init(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := fmt.Sprintf("%+v", marshal(t, l)), fmt.Sprintf("%+v", marshal(t, again)); a != b {
				t.Errorf("read again: %s, want %s", b, a)
			}
			c, unknown, err := spec.Parse(read(t, filepath.Join(dir, ChainName)))
			if err != nil || len(unknown) > 0 || len(c.Authorities) != o.Members || len(c.Federation) != o.Members || len(c.FederationKeys) != o.Members || l.Members() != o.Members {
				t.Fatalf("%+v %v %v", c, unknown, err)
			}
			if _, err := engine.ParseGenesis(read(t, filepath.Join(dir, GenesisName))); err != nil {
				t.Fatal(err)
			}
			for i := range l.Nodes {
				n := &l.Nodes[i]
				s := settings(t, l, n)
				if s.ChainSpec != filepath.Join(l.NodeDir(n), ChainName) || !bytes.Equal(read(t, s.ChainSpec), c.Encode()) || s.DataDir != l.DataDir(n) {
					t.Errorf("%s: chain %s, data %s", n.Name, s.ChainSpec, s.DataDir)
				}
				if listen := bootnode.Split(s.P2P.Listen); len(listen) != 2 || !strings.HasPrefix(n.P2P, listen[0]+"/p2p/") {
					t.Errorf("%s listens at %q, others are told %s", n.Name, listen, n.P2P)
				}
				if boot := bootnode.Split(s.P2P.Bootnodes); len(boot) != len(l.Nodes)-1 || slices.Contains(boot, n.P2P) {
					t.Errorf("%s begins with %q", n.Name, boot)
				}
				if n.Member == nil {
					if key, err := s.Authority(); key != nil || err != nil || !s.NotValidator || s.Federation.KeyFile != "" || s.Federation.Key != "" {
						t.Errorf("%s is a full node: %+v %v", n.Name, s, err)
					}
					continue
				}
				memberKeys(t, s, n, c, i)
			}
			modes(t, dir)
		})
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func memberKeys(t *testing.T, s *config.Config, n *Node, c *spec.Chain, i int) {
	t.Helper()
	key, err := s.Authority()
	if err != nil || key == nil || key.PublicKey() != c.Authorities[i] || n.Authority != hex.EncodeToString(c.Authorities[i][:]) {
		t.Errorf("%s: authority %v", n.Name, err)
	}
	var secret *pegsigner.Secret
	if s.Federation.Key != "" {
		secret, err = pegsigner.ParseSecret(string(s.Federation.Key))
	} else {
		var passphrase string
		if passphrase, err = pegsigner.ReadPassphrase(s.Federation.PassphraseFile); err == nil {
			secret, err = pegsigner.OpenSealed(s.Federation.KeyFile, passphrase)
		}
	}
	if err != nil || secret.PublicKey() != c.FederationKeys[i] || n.Federation != hex.EncodeToString(c.FederationKeys[i][:]) {
		t.Errorf("%s: federation key %v", n.Name, err)
	}
	fees, err := ethcrypto.LoadECDSA(filepath.Join(filepath.Dir(s.AuthorityKeyFile), FeesName))
	if err != nil || ethcrypto.PubkeyToAddress(fees.PublicKey) != c.Federation[i] || s.Miner.FeeRecipient != c.Federation[i] {
		t.Errorf("%s: fees %v", n.Name, err)
	}
	id, err := crypto.UnmarshalPrivateKey(read(t, filepath.Join(s.DataDir, PeerName)))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := peer.IDFromPrivateKey(id); err != nil || want.String() != n.PeerID || !strings.HasSuffix(n.P2P, "/p2p/"+n.PeerID) {
		t.Errorf("%s: peer id %s, want %s, %v", n.Name, n.PeerID, want, err)
	}
}

// What is secret is in files of their owner, and nowhere else.
func modes(t *testing.T, dir string) {
	t.Helper()
	secret := map[string]bool{AuthorityName: true, FederationName: true, PassphraseName: true, SecretsName: true, FeesName: true, PeerName: true, ConfigName: true}
	var words, public []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case e.IsDir() && info.Mode().Perm() != dirMode, secret[e.Name()] && info.Mode().Perm() != secretMode:
			t.Errorf("%s has mode %v", path, info.Mode())
		case e.IsDir() || e.Name() == PeerName || e.Name() == FederationName:
		case secret[e.Name()] && e.Name() != ConfigName:
			word := strings.TrimSpace(string(read(t, path)))
			words = append(words, strings.TrimPrefix(word, "ALYS_FEDERATION_KEY="))
		default:
			public = append(public, path)
		}
		return nil
	})
	if err != nil || len(words) == 0 {
		t.Fatal(words, err)
	}
	for _, path := range public {
		for _, word := range words {
			if strings.Contains(string(read(t, path)), word) {
				t.Errorf("%s repeats a secret", path)
			}
		}
	}
}

// No two nodes share a key or a port.
func TestInitDistinct(t *testing.T) {
	l, err := Init(filepath.Join(t.TempDir(), "fed"), options(15, 3))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, n := range l.Nodes {
		words := []string{n.Name, n.PeerID, n.P2P, fmt.Sprint(n.Ports.P2P), fmt.Sprint(n.Ports.RPC), fmt.Sprint(n.Ports.Metrics), fmt.Sprint(n.Ports.Engine)}
		if n.Member != nil {
			words = append(words, n.Authority, n.Federation, n.Fees)
		}
		for _, word := range words {
			if seen[word] != "" {
				t.Errorf("%s and %s share %s", seen[word], n.Name, word)
			}
			seen[word] = n.Name
		}
	}
	g, err := engine.ParseGenesis(read(t, filepath.Join(l.Dir, GenesisName)))
	if err != nil || len(g.Alloc) != 1 {
		t.Errorf("the genesis gives coins to %d accounts, %v", len(g.Alloc)-1, err)
	}
}

// The nodes of other machines: their names for things, default ports, given hosts.
func TestInitElsewhere(t *testing.T) {
	o := options(1, 1)
	o.Hosts, o.ConfigDir, o.DataDir, o.Accounts = []string{"10.0.0.1", "fd00::2"}, "/etc/alys", "/var/lib/alys", true
	o.Bitcoin.Cookie = "/run/bitcoin/.cookie"
	l, err := Init(filepath.Join(t.TempDir(), "fed"), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"/ip4/10.0.0.1/tcp/55444/p2p/", "/ip6/fd00::2/tcp/55444/p2p/"} {
		n := &l.Nodes[i]
		text := string(read(t, l.Config(n)))
		if !strings.HasPrefix(n.P2P, want) || strings.Contains(text, l.Dir) || !strings.Contains(text, `"/etc/alys/chain.json"`) || !strings.Contains(text, `data-dir = "/var/lib/alys"`) || !strings.Contains(text, o.Bitcoin.Cookie) {
			t.Errorf("%s at %s:\n%s", n.Name, n.P2P, text)
		}
	}
	g, err := engine.ParseGenesis(read(t, filepath.Join(l.Dir, GenesisName)))
	if err != nil || len(g.Alloc) != 3 {
		t.Errorf("the genesis has %d accounts, %v", len(g.Alloc), err)
	}
}

// A directory that is there stays as it is, and nothing is left beside it.
func TestInitRefuses(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "fed")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(dir, options(1, 0)); err != nil {
		t.Fatalf("an empty directory: %v", err)
	}
	before := read(t, filepath.Join(dir, "member-0", AuthorityName))
	if _, err := Init(dir, options(1, 0)); !errors.Is(err, ErrExists) {
		t.Errorf("a second time: %v", err)
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(file, options(1, 0)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file in the way: %v", err)
	}
	if after := read(t, filepath.Join(dir, "member-0", AuthorityName)); !bytes.Equal(after, before) {
		t.Error("a key is another one")
	}
	for name, change := range map[string]func(o *Options){
		"no member":      func(o *Options) { o.Members = 0 },
		"16 members":     func(o *Options) { o.Members = 16 },
		"full below 0":   func(o *Options) { o.Full = -1 },
		"no chain":       func(o *Options) { o.Chain = nil },
		"a low port":     func(o *Options) { o.Port = 80 },
		"a high port":    func(o *Options) { o.Port = 65534 },
		"few hosts":      func(o *Options) { o.Hosts = []string{"10.0.0.1"} },
		"a host twice":   func(o *Options) { o.Hosts = []string{"10.0.0.1", "::ffff:10.0.0.1"} },
		"a name":         func(o *Options) { o.Hosts = []string{"10.0.0.1", "a.example"} },
		"everywhere":     func(o *Options) { o.Hosts = []string{"10.0.0.1", "0.0.0.0"} },
		"two ways":       func(o *Options) { o.Passphrase = "x" },
		"a broken chain": func(o *Options) { c := *o.Chain; c.SlotDuration = 0; o.Chain = &c },
	} {
		o := options(1, 1)
		change(&o)
		if _, err := Init(filepath.Join(parent, "other"), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "{", "[]", `{"format":2}`, `{"format":1,"nodes":[{"name":"../x"}]}`, `{"format":1,"nodes":[{"name":""}]}`} {
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, LayoutName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(dir); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
