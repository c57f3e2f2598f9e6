package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// openOnly opens a node and closes it again.
func openOnly(t *testing.T, o node.Options) error {
	t.Helper()
	n, err := node.Open(context.Background(), o)
	if err != nil {
		return err
	}
	return n.Close()
}

// wantError checks grade and text of an error.
func wantError(t *testing.T, err error, grade fault.Grade, text string) {
	t.Helper()
	if fault.Of(err) != grade || !strings.Contains(err.Error(), text) {
		t.Errorf("graded %s: %v; want %s with %q", fault.Of(err), err, grade, text)
	}
}

// usedDirectory is a data directory with some blocks and snapshots.
func usedDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	importMade(t, dir, 3, func() {})
	return dir
}

// A damaged or missing genesis of a used directory is told from a wrong option,
// and giving the right one again repairs it.
func TestGenesisDamaged(t *testing.T) {
	dir := usedDirectory(t)
	path := filepath.Join(dir, "genesis.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known := node.Options{DataDir: dir, Logger: slog.New(slog.DiscardHandler)}
	given := devOptions(t, dir)
	for _, bad := range [][]byte{nil, []byte("{"), good[:len(good)/2], []byte(`"x"`), make([]byte, 4096)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		wantError(t, openOnly(t, known), fault.Corrupt, "genesis.json is damaged")
		wantError(t, openOnly(t, given), fault.Corrupt, "genesis.json is damaged")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantError(t, openOnly(t, known), fault.Corrupt, "is missing: give the genesis")
	other, err := json.Marshal(engine.DevGenesis(4242))
	if err != nil {
		t.Fatal(err)
	}
	given.GenesisJSON = other
	wantError(t, openOnly(t, given), fault.Invalid, "holds another chain")
	given.GenesisJSON = good
	if err := openOnly(t, given); err != nil {
		t.Errorf("the right genesis again: %v", err)
	}
}

// A first run with a wrong chain spec leaves nothing that the next has to fight.
func TestWrongFirstRun(t *testing.T) {
	dir := t.TempDir()
	o := devOptions(t, dir)
	good := o.ChainSpec
	o.ChainSpec = []byte(`{"slotDuration": "soon"}`)
	if err := openOnly(t, o); !fault.Is(err, fault.Invalid) {
		t.Errorf("wrong chain spec: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "genesis.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the genesis was kept: %v", err)
	}
	o.ChainSpec = good
	if err := openOnly(t, o); err != nil {
		t.Error(err)
	}
}

// A lost journal beside snapshots is no new chain.
func TestJournalLost(t *testing.T) {
	dir := usedDirectory(t)
	if err := os.RemoveAll(node.JournalDir(dir)); err != nil {
		t.Fatal(err)
	}
	err := openOnly(t, devOptions(t, dir))
	if !errors.Is(err, node.ErrRefused) || !strings.Contains(err.Error(), "restore the journal") {
		t.Errorf("journal lost: %v", err)
	}
	if err := os.RemoveAll(node.SnapshotDir(dir)); err != nil {
		t.Fatal(err)
	}
	if err := openOnly(t, devOptions(t, dir)); err != nil {
		t.Errorf("journal and snapshots removed: %v", err)
	}
}
