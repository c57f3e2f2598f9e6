package backup

import (
	"path/filepath"
	"testing"

	"github.com/AnduroProject/alys-go/journal"
)

// TestReadInPlace: reading the journal of a backup where it lies leaves a backup
// that still checks and restores.
func TestReadInPlace(t *testing.T) {
	_, _, s := running(t)
	dir := filepath.Join(t.TempDir(), "backup")
	if _, err := Write(t.Context(), dir, s); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, journalName), ReadOnly: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), dir, filepath.Join(t.TempDir(), "restored"), nil, nil); err != nil {
		t.Fatal(err)
	}
}
