package federation

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/ethereum/go-ethereum/core"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const (
	secretMode = 0o600
	publicMode = 0o644
	dirMode    = 0o700
)

// Init makes the directory of a new federation. It must not be there yet, or be empty.
// Errors: ErrExists; Invalid for what Options refuses; Fatal when the file system does.
func Init(dir string, o Options) (*Layout, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "directory of the federation")
	}
	if err := vacant(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "directory of the federation")
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "directory of the federation")
	}
	l, err := fill(made, dir, o)
	if err == nil {
		err = install(made, dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(made))
	}
	l.Dir = dir
	return l, nil
}

// vacant refuses a place with something at it.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "directory of the federation")
	case len(entries) > 0:
		return fault.New(fault.Invalid, "%s: %w", dir, ErrExists)
	}
	return nil
}

// install moves the directory to its place, durably.
func install(made, dir string) error {
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "%s: %w", dir, ErrExists) // it is no longer empty
	}
	if err := os.Rename(made, dir); err != nil {
		return fault.Wrap(fault.Fatal, err, "directory of the federation")
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "sync of a directory")
	}
	return fault.Wrap(fault.Fatal, errors.Join(d.Sync(), d.Close()), "sync of "+dir)
}

// fill writes everything into made, for a federation that will be at dir.
func fill(made, dir string, o Options) (*Layout, error) {
	keys := make([]*secrets, o.Members+o.Full)
	defer func() {
		for _, k := range keys {
			if k != nil {
				k.zero()
			}
		}
	}()
	chain := *o.Chain
	chain.Authorities, chain.Federation, chain.FederationKeys = nil, nil, nil
	for i := range keys {
		var err error
		if keys[i], err = newSecrets(i < o.Members); err != nil {
			return nil, err
		}
		if i < o.Members {
			chain.Authorities = append(chain.Authorities, keys[i].authorityKey)
			chain.Federation = append(chain.Federation, keys[i].account)
			chain.FederationKeys = append(chain.FederationKeys, keys[i].federationKey)
		}
	}
	l, err := describe(&chain, keys, o)
	if err != nil {
		return nil, err
	}
	genesis, err := json.MarshalIndent(genesisOf(&chain, o.Accounts), "", "  ")
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "genesis of the execution layer")
	}
	shared := map[string][]byte{ChainName: chain.Encode(), GenesisName: append(genesis, '\n')}
	for i, k := range keys {
		if err := writeNode(filepath.Join(made, l.Nodes[i].Name), dir, l, i, k, shared, o); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, LayoutName)
	}
	shared[LayoutName] = append(text, '\n')
	for name, data := range shared {
		if err := write(filepath.Join(made, name), data, publicMode); err != nil {
			return nil, err
		}
	}
	return l, syncDir(made)
}

// genesisOf is the execution layer's genesis: the bridge contract, and the development
// accounts where they are asked for.
func genesisOf(c *spec.Chain, accounts bool) *core.Genesis {
	g := engine.DevGenesis(uint64(c.ChainID))
	if !accounts {
		for address := range g.Alloc {
			if address != engine.BridgeAddress {
				delete(g.Alloc, address)
			}
		}
	}
	return g
}

// describe checks the chain and lists what is public.
func describe(c *spec.Chain, keys []*secrets, o Options) (*Layout, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		return nil, err
	}
	l := &Layout{Format: layoutFormat, ChainID: c.ChainID, SlotMs: c.SlotDuration}
	if l.Deposit, err = f.Address(params(o.Bitcoin.Network)); err != nil {
		return nil, err
	}
	for i, k := range keys {
		n := Node{Name: o.name(i), PeerID: k.peerID, Ports: o.place(i)}
		n.P2P = n.Ports.multiaddr() + "/p2p/" + k.peerID
		if i < o.Members {
			n.Member, n.Authority = &i, hex.EncodeToString(k.authorityKey[:])
			n.Federation, n.Fees = hex.EncodeToString(k.federationKey[:]), k.account.Hex()
		}
		l.Nodes = append(l.Nodes, n)
	}
	return l, nil
}

func params(network string) *chaincfg.Params {
	switch network {
	case "mainnet":
		return &chaincfg.MainNetParams
	case "testnet":
		return &chaincfg.TestNet3Params
	case "signet":
		return &chaincfg.SigNetParams
	default:
		return &chaincfg.RegressionNetParams
	}
}

// writeNode writes the directory of node i at path.
func writeNode(path, dir string, l *Layout, i int, k *secrets, shared map[string][]byte, o Options) error {
	// The data directory is where the node looks for its peer key.
	if err := os.MkdirAll(filepath.Join(path, DataName), dirMode); err != nil {
		return fault.Wrap(fault.Fatal, err, "directory of a node")
	}
	for name, data := range shared {
		if err := write(filepath.Join(path, name), data, publicMode); err != nil {
			return err
		}
	}
	files := map[string][]byte{filepath.Join(DataName, PeerName): k.peer}
	if i < o.Members {
		files[AuthorityName], files[FeesName] = line(k.authority), line(k.fees)
		if err := keyFiles(files, k, o); err != nil {
			return err
		}
	}
	for name, data := range files {
		if err := write(filepath.Join(path, name), data, secretMode); err != nil {
			return err
		}
	}
	if i < o.Members {
		if err := prove(path, k, o); err != nil {
			return err
		}
	}
	config := configOf(l, i, filepath.Join(dir, l.Nodes[i].Name), o)
	if err := write(filepath.Join(path, ConfigName), config, secretMode); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Join(path, DataName)), syncDir(path))
}

// keyFiles adds the files of the federation key.
func keyFiles(files map[string][]byte, k *secrets, o Options) error {
	if o.Plain {
		files[SecretsName] = fmt.Appendf(nil, "ALYS_FEDERATION_KEY=%s\n", k.federation)
		return nil
	}
	passphrase := o.Passphrase
	if passphrase == "" {
		var err error
		if passphrase, err = newPassphrase(); err != nil {
			return err
		}
	}
	sealed, err := pegsigner.Seal(k.sealer, passphrase)
	if err != nil {
		return err
	}
	files[FederationName], files[PassphraseName] = sealed, []byte(passphrase+"\n")
	return nil
}

// prove opens the sealed key as the node will.
func prove(path string, k *secrets, o Options) error {
	if o.Plain {
		return nil
	}
	passphrase, err := pegsigner.ReadPassphrase(filepath.Join(path, PassphraseName))
	if err != nil {
		return err
	}
	opened, err := pegsigner.OpenSealed(filepath.Join(path, FederationName), passphrase)
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "what was written does not open")
	}
	defer opened.Zero()
	if opened.PublicKey() != k.federationKey {
		return fault.New(fault.Corrupt, "the sealed key is that of another public key")
	}
	return nil
}

func line(text []byte) []byte { return append(append([]byte{}, text...), '\n') }

// write writes a new file, durably.
func write(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "file of the federation")
	}
	_, err = f.Write(data)
	return fault.Wrap(fault.Fatal, errors.Join(err, f.Sync(), f.Close()), "writing "+path)
}
