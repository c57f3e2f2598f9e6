package node_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/migration"
)

// runImport imports a store into a data directory as `alys migrate import` does.
func runImport(t *testing.T, chain, chainDB, dir string) (result migration.Result, err error) {
	t.Helper()
	store, err := migration.OpenStore(chainDB)
	if err != nil {
		return result, err
	}
	defer store.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("the import waits for ever"))
	defer cancel()
	var current atomic.Pointer[migration.Import]
	n, err := node.Open(ctx, node.Options{
		DataDir: dir, ChainSpec: readChain(t, chain, "chain.json"), GenesisJSON: readChain(t, chain, "genesis.json"), Importing: true,
		Logger: slog.New(slog.DiscardHandler),
		OnFact: func(f node.Fact) {
			if im := current.Load(); im != nil {
				im.Fact(f.Message)
			}
		},
	})
	if err != nil {
		return result, err
	}
	rules, genesis, err := n.Rules()
	if err != nil {
		t.Fatal(err)
	}
	above := migration.Options{From: n.Head().Number}
	if above.From > 0 {
		above.FromRoot = n.Head().Root
	}
	im, err := migration.New(store, rules, genesis, above)
	if err != nil {
		return result, errors.Join(err, n.Close())
	}
	current.Store(im)
	running, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(running, func() { close(ready) }) }()
	<-ready
	result, err = im.Run(ctx, n)
	stop()
	if failed := errors.Join(<-done, n.Close()); failed != nil {
		t.Errorf("the node: %v", failed)
	}
	return result, err
}

// contentOf is every file of a directory, for comparison.
func contentOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(filepath.Join(dir, name))
			files[name] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A wrong record in a store ends the import with its height and field and
// leaves the store as it is. The good store goes on in the same data directory.
func TestImportDamagedStore(t *testing.T) {
	const chain, height = "crashed", 23
	source := filepath.Join(legacyChains, chain, "chain_db")
	branch := legacyBranch(t, chain)
	good, err := branch.Block(height)
	if err != nil {
		t.Fatal(err)
	}
	other, err := legacyBranch(t, "single").Block(height)
	if err != nil {
		t.Fatal(err)
	}
	approvals := bytes.Clone(good.Data)
	approvals[len(approvals)-40] ^= 1 // the end of the signed block is its signature
	for _, c := range []struct {
		name, column string
		value        []byte // nil: the record is gone
		field        string
	}{
		{"missing", migration.ColumnBlocks, nil, "record"},
		{"empty", migration.ColumnBlocks, []byte{}, "record"},
		{"truncated", migration.ColumnBlocks, good.Data[:len(good.Data)/2], ""},
		{"longer", migration.ColumnBlocks, append(bytes.Clone(good.Data), 0), ""},
		{"oversized", migration.ColumnBlocks, make([]byte, block.MaxSize+1), "record"},
		{"another map", migration.ColumnBlocks, []byte("\x81\xa1a\x01"), "signed block"},
		{"huge claim", migration.ColumnBlocks, []byte("\x92\x97\xdb\xff\xff\xff\xff"), "parent hash"},
		{"text", migration.ColumnBlocks, []byte(`{"message":{}}`), "signed block"},
		{"another chain's", migration.ColumnBlocks, other.Data, ""},
		{"approvals", migration.ColumnBlocks, approvals, "approvals"},
		{"fee record short", migration.ColumnFees, []byte{1}, "fee"},
		{"fee record other", migration.ColumnFees, new(big.Int).Add(good.Fees, big.NewInt(1)).FillBytes(make([]byte, 32)), "fees"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "chain_db")
			if err := os.CopyFS(bad, os.DirFS(source)); err != nil {
				t.Fatal(err)
			}
			editRecord(t, bad, append([]byte(c.column), good.Root[:]...), c.value)
			before := contentOf(t, bad)
			dir := t.TempDir()
			_, err := runImport(t, chain, bad, dir)
			var wrong *migration.BlockError
			if !errors.As(err, &wrong) || wrong.Height != height || wrong.Field == "" || c.field != "" && wrong.Field != c.field {
				t.Fatalf("%v", err)
			}
			t.Log(err)
			after := contentOf(t, bad)
			for name, data := range before {
				if after[name] != data || len(after) != len(before) {
					t.Errorf("the store changed: %s, %d files of %d", name, len(after), len(before))
				}
			}
			result, err := runImport(t, chain, source, dir)
			if err != nil || result.Finalized == nil || result.Head.Number != branch.Len()-1 {
				t.Errorf("the good store afterwards: %+v, %v", result, err)
			}
		})
	}
}

// editRecord changes or removes one record of a store.
func editRecord(t *testing.T, dir string, key, value []byte) {
	t.Helper()
	db, err := leveldb.OpenFile(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if value == nil {
		err = db.Delete(key, nil)
	} else {
		err = db.Put(key, value, nil)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A store of another chain is refused before anything is handed over, also by a
// data directory that holds blocks already.
func TestImportOtherChain(t *testing.T) {
	dir := t.TempDir()
	_, err := runImport(t, "crashed", filepath.Join(legacyChains, "single", "chain_db"), dir)
	if err == nil || !strings.Contains(err.Error(), "store of another chain") {
		t.Errorf("into an empty directory: %v", err)
	}
	if _, err := runImport(t, "crashed", filepath.Join(legacyChains, "crashed", "chain_db"), dir); err != nil {
		t.Errorf("the right store into the same directory: %v", err)
	}
	_, err = runImport(t, "single", filepath.Join(legacyChains, "single", "chain_db"), dir)
	if !errors.Is(err, node.ErrRefused) {
		t.Errorf("another chain into a used directory: %v", err)
	}
}
