package lease

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestMachine takes a key again on the same machine, and in a container that was made anew,
// where nothing has the machine's id; and not on another machine that shares the directory.
func TestMachine(t *testing.T) {
	files := machineFiles
	t.Cleanup(func() { machineFiles = files })
	id := filepath.Join(t.TempDir(), "machine-id")
	machineFiles = []string{id}
	dir := t.TempDir()
	c := Claim{Purpose: "authority", Key: []byte{1}, Journal: "journal", DataDir: t.TempDir()}
	take := func(machine string) error {
		t.Helper()
		if err := os.WriteFile(id, []byte(machine), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Take(dir, c)
		if err != nil {
			return err
		}
		return l.Close()
	}
	// What a container of the release before wrote: its name.
	l, err := Take(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	l.Binding.Machine = "3f1c9a7d0b52"
	data, err := json.Marshal(l.Binding)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), os.WriteFile(filepath.Join(dir, name(c.Key)+stateSuffix), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := take(""); err != nil {
		t.Errorf("in a container that was made anew: %v", err)
	}
	if err := take("one"); err != nil {
		t.Errorf("on a machine that has an id now: %v", err)
	}
	if err := take("one"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := take("two"); !errors.Is(err, ErrRefused) {
		t.Errorf("on another machine: %v", err)
	}
}
