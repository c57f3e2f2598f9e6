package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	gethcore "github.com/ethereum/go-ethereum/core"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/restart"
)

// ErrRefused marks what the node could do and will not, for safety: another
// chain spec on an existing journal, a journal of other behaviour. Exit code 4.
var ErrRefused = restart.ErrRefused

func refused(format string, args ...any) error {
	return errors.Join(fault.New(fault.Invalid, format, args...), ErrRefused)
}

// genesisFile keeps the execution layer's genesis beside its database.
const genesisFile = "genesis.json"

// chainRules returns the chain specification to run by, as JSON and parsed: the
// one given, else the journal's.
func (n *Node) chainRules() (*spec.Chain, error) {
	specJSON := n.opt.ChainSpec
	if before := chainState(n.recovered.Machine).Config; len(specJSON) == 0 && before != nil {
		specJSON = before.ChainSpec.Data
	}
	if len(specJSON) == 0 {
		return nil, n.noChain()
	}
	c, unknown, err := spec.Parse(specJSON)
	if err != nil {
		return nil, err
	}
	for _, key := range unknown {
		n.log.Warn("chain spec key is not known and has no effect", "key", key)
	}
	return c, nil
}

func (n *Node) noChain() error {
	return fault.New(fault.Invalid, "data directory %s holds no chain yet: give --chain-spec and --genesis, or --dev", n.opt.DataDir)
}

// genesis returns the execution layer's genesis, kept in the data directory
// from the first run on: [Node.keepGenesis].
func (n *Node) genesis() (*gethcore.Genesis, error) {
	path := filepath.Join(n.opt.DataDir, genesisFile)
	stored, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return n.firstGenesis()
	case err != nil:
		return nil, fault.Wrap(fault.Fatal, err, "reading the genesis")
	}
	genesis, err := engine.ParseGenesis(stored)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "%s is damaged: %w; move it away and give the genesis that this chain began with", path, err)
	}
	if given := n.opt.GenesisJSON; len(given) > 0 && !bytes.Equal(stored, given) {
		return nil, refused("the genesis given differs from %s of this data directory: use the same file or another directory", genesisFile)
	}
	return genesis, nil
}

// firstGenesis takes the genesis given. That it is the journal's, if that has
// one, is for configuration to see.
func (n *Node) firstGenesis() (*gethcore.Genesis, error) {
	if len(n.opt.GenesisJSON) > 0 {
		return engine.ParseGenesis(n.opt.GenesisJSON)
	}
	if chainState(n.recovered.Machine).Config == nil {
		return nil, n.noChain()
	}
	return nil, fault.New(fault.Corrupt, "%s of data directory %s is missing: give the genesis that this chain began with", genesisFile, n.opt.DataDir)
}

// keepGenesis writes the genesis of a first run, once it is known to be right.
func (n *Node) keepGenesis() error {
	path := filepath.Join(n.opt.DataDir, genesisFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return writeSynced(path, n.opt.GenesisJSON)
}

// writeSynced writes a file that is whole or absent after a crash.
func writeSynced(path string, data []byte) error {
	err := func() error {
		f, err := os.Create(path + ".tmp")
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return err
		}
		return syncDirectory(filepath.Dir(path))
	}()
	return fault.Wrap(fault.Fatal, err, "writing the genesis")
}

func syncDirectory(path string) error {
	dir, err := vfs.Default.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// configuration is the message that this run begins with. Rules of a journal
// that has some are kept: another chain spec or genesis is refused.
func (n *Node) configuration(c *spec.Chain, genesis *block.Payload) (*message.NodeConfigured, error) {
	before := chainState(n.recovered.Machine).Config
	m := &message.NodeConfigured{
		ChainSpec:      record.NewContent(c.Encode()),
		GenesisPayload: record.NewContent(genesis.Encode()),
		Judging:        c.IsValidator && !n.opt.NotValidator,
		Importing:      n.opt.Importing,
		Behaviour:      Behaviour, Software: n.opt.Version,
		BuildWaitMs: uint64(n.opt.BuildWait.Milliseconds()),
		Bitcoin:     n.bitcoin != nil,
		MinFeeRate:  n.opt.MinFeeRate, MaxFeeRate: n.opt.MaxFeeRate, FallbackFeeRate: n.opt.FallbackFeeRate,
		PayoutConfirmations: n.opt.PayoutConfirmations,
		Peers:               n.opt.P2P.On() && !n.opt.Importing, ListenSlots: n.opt.P2P.ListenSlots,
	}
	if !m.Peers {
		m.ListenSlots = 0
	}
	if before != nil {
		switch {
		case before.ChainSpec.Hash != m.ChainSpec.Hash:
			return nil, refused("the chain spec given differs from the one this journal began with: rules at or below the head cannot change")
		case before.GenesisPayload.Hash != m.GenesisPayload.Hash:
			return nil, refused("the execution layer's genesis block is not the one this journal began with")
		}
	}
	if err := n.takeAuthority(m, c); err != nil {
		return nil, err
	}
	return m, n.openPegSigner(m, c)
}

func (n *Node) takeAuthority(m *message.NodeConfigured, c *spec.Chain) error {
	if n.opt.AuthorityKey == nil {
		return nil
	}
	committee, err := aura.NewCommittee(c.Authorities)
	if err != nil {
		return err
	}
	public := n.opt.AuthorityKey.PublicKey()
	i := committee.Index(public)
	if i < 0 {
		return fault.New(fault.Invalid, "the authority key's public key %x is none of the chain spec's %d authorities: use another key, or none for a full node", public[:8], committee.Len())
	}
	m.HasAuthority, m.Authority = true, uint32(i)
	m.Producing = m.Judging && !n.opt.Importing
	if m.Producing && !m.Peers && committee.Len() > 1 {
		n.log.Warn("this member produces blocks and talks to no other: set p2p-listen or p2p-bootnodes", "members", committee.Len())
	}
	return nil
}
