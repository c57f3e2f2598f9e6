package engine

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/node"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Names inside the data directory. The instance directory has the name geth
// gives it, so that geth's own tools can read the database.
const (
	instanceName = "geth"
	databaseName = "chaindata" // the name eth.New opens
	identityFile = "engine.json"
	openingFile  = "OPENING"

	// formatVersion is the version of the directory's layout and of the
	// options that decide what is on disk (hash scheme, every state kept).
	formatVersion = 1
)

// identity says which chain a data directory holds. The chain identifier is
// not part of the genesis block, so that two networks may share its hash;
// go-ethereum would answer a changed identifier by rewinding to block 0.
type identity struct {
	Format  int         `json:"format"`
	ChainID string      `json:"chainId"`
	Genesis common.Hash `json:"genesis"`

	// Created is set once the database has been opened for the first time. A
	// kill before leaves it half made, for instance in an old Pebble format
	// that go-ethereum would then keep.
	Created bool `json:"created"`
}

func identityOf(genesis *core.Genesis) identity {
	return identity{Format: formatVersion, ChainID: genesis.Config.ChainID.String(), Genesis: genesis.ToBlock().Hash()}
}

// UnfinishedOpening reports whether the last attempt to open the execution
// layer in dir did not succeed: it failed, or the process ended in it. When
// opening fails again, remove the directory and feed the blocks anew; they are
// all in the journal.
func UnfinishedOpening(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, openingFile))
	return err == nil
}

// prepareDirectory refuses a directory of another chain or a later format and
// writes the identity of a new one. It removes a database whose creation was
// not finished; such a one holds the genesis block at most. It reports whether
// the database has yet to be created.
func prepareDirectory(stack *node.Node, dir string, want identity) (fresh bool, err error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if want.Created, err = checkForeign(stack, dir, want); err != nil {
			return false, err
		}
		return !want.Created, writeIdentity(path, want)
	}
	if err != nil {
		return false, fault.Wrap(fault.Fatal, err, "read the identity of the execution data directory")
	}
	var have identity
	if err := json.Unmarshal(data, &have); err != nil {
		return false, fault.Wrap(fault.Corrupt, err, path+" does not say which chain this is; restore it or remove the directory")
	}
	if have.Format > formatVersion {
		return false, fault.New(fault.Invalid, "%s has format %d, this program knows %d; use a newer program", path, have.Format, formatVersion)
	}
	if have.ChainID != want.ChainID || have.Genesis != want.Genesis {
		return false, otherChain(dir, have.ChainID, have.Genesis, want)
	}
	if !have.Created {
		err = os.RemoveAll(filepath.Join(dir, instanceName, databaseName))
	}
	return !have.Created, fault.Wrap(fault.Fatal, err, "remove the half made execution database")
}

func otherChain(dir, chainID string, genesis common.Hash, want identity) error {
	return fault.New(fault.Invalid, "data directory %s holds another chain: chain %s with genesis %s, not chain %s with genesis %s; choose another directory or remove this one",
		dir, chainID, genesis, want.ChainID, want.Genesis)
}

// writeIdentity replaces the file in one step, so that a kill leaves the old
// or the new content.
func writeIdentity(path string, id identity) error {
	data, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "encode the execution data directory's identity")
	}
	temporary := path + ".new"
	if err := writeSynced(temporary, append(data, '\n')); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return fault.Wrap(fault.Fatal, err, "write the identity of the execution data directory")
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "create a file in the execution data directory")
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return fault.Wrap(fault.Fatal, err, "write "+path)
}

// checkForeign looks into a database that has no identity file, one made by
// geth itself, before go-ethereum gets a chance to rewind it. It reports
// whether there is one to keep.
func checkForeign(stack *node.Node, dir string, want identity) (exists bool, err error) {
	if rawdb.PreexistingDatabase(filepath.Join(dir, instanceName, databaseName)) == "" {
		return false, nil
	}
	db, err := stack.OpenDatabaseWithOptions(databaseName, node.DatabaseOptions{Cache: 16, Handles: 64})
	if err != nil {
		return false, fault.Wrap(fault.Corrupt, err, "open the chain database in "+dir)
	}
	defer db.Close()
	genesis := rawdb.ReadCanonicalHash(db, 0)
	if genesis == (common.Hash{}) {
		return true, nil
	}
	chainID := "of unknown number"
	if config := rawdb.ReadChainConfig(db, genesis); config != nil && config.ChainID != nil {
		chainID = config.ChainID.String()
	}
	if genesis != want.Genesis || chainID != want.ChainID {
		return false, otherChain(dir, chainID, genesis, want)
	}
	if scheme := rawdb.ReadStateScheme(db); scheme == rawdb.PathScheme {
		return false, fault.New(fault.Invalid, "chain database in %s uses the path scheme; remove it, it is rebuilt from the journal", dir)
	}
	return true, nil
}
