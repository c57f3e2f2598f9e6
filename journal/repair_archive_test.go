package journal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRepairKeepsContentsOfTheArchive: a content that an archived event names
// stayed in the database because a later event named it too. When a repair gives
// that later event up, the archived one keeps its content.
func TestRepairKeepsContentsOfTheArchive(t *testing.T) {
	fs := vfs.NewMem()
	j := mustOpen(t, memOptions(fs))
	message := large(t, j)
	fill(t, j, 5, 24)
	large(t, j)
	fill(t, j, 5, 40)
	mustArchive(t, j, 15)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, fs, deleteEvents(20, 21))
	if _, err := Repair(t.Context(), repairOptions(fs), 19); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, memOptions(fs))
	defer j.Close()
	if e, _, err := j.Event(1); err != nil || SumContent(e.Message) != message {
		t.Fatal(err)
	}
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
}
