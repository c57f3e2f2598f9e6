package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// ErrRefused marks what the node could do and will not, for safety: another
// chain spec on an existing journal, a journal of other behaviour. Exit code 4.
var ErrRefused = errors.New("refused for safety")

func refused(format string, args ...any) error {
	return errors.Join(fault.New(fault.Invalid, format, args...), ErrRefused)
}

// genesisFile keeps the execution layer's genesis beside its database.
const genesisFile = "genesis.json"

// openExecution opens the embedded execution layer and returns its block 0.
func (n *Node) openExecution(ctx context.Context) (*block.Payload, error) {
	path := filepath.Join(n.opt.DataDir, genesisFile)
	stored, err := os.ReadFile(path)
	switch {
	case err == nil && len(n.opt.GenesisJSON) > 0 && !bytes.Equal(stored, n.opt.GenesisJSON):
		return nil, refused("the genesis given differs from %s of this data directory: use the same file or another directory", genesisFile)
	case errors.Is(err, os.ErrNotExist) && len(n.opt.GenesisJSON) == 0:
		return nil, fault.New(fault.Invalid, "data directory %s holds no chain yet: give --chain-spec and --genesis, or --dev", n.opt.DataDir)
	case errors.Is(err, os.ErrNotExist):
		stored = n.opt.GenesisJSON
		if _, err := engine.ParseGenesis(stored); err != nil {
			return nil, err
		}
		if err := writeSynced(path, stored); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fault.Wrap(fault.Fatal, err, "reading the genesis")
	}
	genesis, err := engine.ParseGenesis(stored)
	if err != nil {
		return nil, err
	}
	n.embedded, err = engine.OpenEmbedded(engine.EmbeddedOptions{
		Dir: filepath.Join(n.opt.DataDir, "execution"), Genesis: genesis,
		CacheMB: n.opt.EngineCacheMB, HTTPAddr: n.opt.EngineHTTPAddr, Logger: n.log,
	})
	if err != nil {
		return nil, err
	}
	n.executor = engine.NewExecutor(n.embedded)
	payload, err := n.executor.GenesisPayload(ctx)
	return &payload, err
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "writing the genesis")
	}
	_, err = f.Write(data)
	return fault.Wrap(fault.Fatal, errors.Join(err, f.Sync(), f.Close()), "writing the genesis")
}

// configuration is the message that this run begins with. Rules of a journal
// that has some are kept: another chain spec or genesis is refused.
func (n *Node) configuration(genesis *block.Payload) (*message.NodeConfigured, error) {
	before := chainState(n.recovered.Machine).Config
	specJSON := n.opt.ChainSpec
	if len(specJSON) == 0 && before != nil {
		specJSON = before.ChainSpec.Data
	}
	if len(specJSON) == 0 {
		return nil, fault.New(fault.Invalid, "data directory %s holds no chain yet: give --chain-spec and --genesis, or --dev", n.opt.DataDir)
	}
	c, unknown, err := spec.Parse(specJSON)
	if err != nil {
		return nil, err
	}
	for _, key := range unknown {
		n.log.Warn("chain spec key is not known and has no effect", "key", key)
	}
	m := &message.NodeConfigured{
		ChainSpec:      record.NewContent(c.Encode()),
		GenesisPayload: record.NewContent(genesis.Encode()),
		Judging:        c.IsValidator && !n.opt.NotValidator,
		Importing:      n.opt.Importing,
		Behaviour:      Behaviour, Software: n.opt.Version,
		BuildWaitMs: uint64(n.opt.BuildWait.Milliseconds()),
	}
	if before != nil {
		switch {
		case before.Behaviour != Behaviour:
			return nil, refused("this journal was written by behaviour %d, this program is behaviour %d: use the program that wrote it", before.Behaviour, Behaviour)
		case before.ChainSpec.Hash != m.ChainSpec.Hash:
			return nil, refused("the chain spec given differs from the one this journal began with: rules at or below the head cannot change")
		case before.GenesisPayload.Hash != m.GenesisPayload.Hash:
			return nil, refused("the execution layer's genesis block is not the one this journal began with")
		}
	}
	return m, n.takeAuthority(m, c)
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
	return nil
}
