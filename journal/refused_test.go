package journal

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// refusing is a storage that has other keys than ours.
type refusing struct{ archive.Storage }

var errRefused = fault.New(fault.Invalid, "access is denied")

func (refusing) ReadAt(context.Context, string, []byte, int64) error { return errRefused }

func (refusing) Size(context.Context, string) (int64, error) { return 0, errRefused }

// TestStorageThatRefuses: wrong keys are no damage either, and what is in the
// database is read without the archive, its first event too.
func TestStorageThatRefuses(t *testing.T) {
	fs := vfs.NewMem()
	o := memOptions(fs)
	o.Archive = archive.NewLocal(fs, "far")
	j := mustOpen(t, o)
	fill(t, j, 8, 200)
	mustArchive(t, j, 150)
	e, _ := event(8, 201)
	data := []byte("named by the last event, and in the archive")
	e.Contents = []Hash{SumContent(data)}
	if _, err := j.Append(e, []Content{{Hash: e.Contents[0], Data: data}}); err != nil {
		t.Fatal(err)
	}
	if err := j.WaitDurable(t.Context(), 201); err != nil {
		t.Fatal(err)
	}
	if err := j.db.Set(appendContentKey(nil, e.Contents[0]), archivedValue(1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	o.Archive = refusing{o.Archive}
	j = mustOpen(t, o)
	invalid := func(what string, err error) {
		t.Helper()
		if !fault.Is(err, fault.Invalid) || !away(err) {
			t.Errorf("%s: grade %s: %v", what, fault.Of(err), err)
		}
	}
	_, _, err := j.Event(30)
	invalid("event", err)
	_, err = fingerprint(j)
	invalid("iterate", err)
	_, err = j.Verify(t.Context(), 0, 0, nil)
	invalid("verify", err)
	_, err = j.Verify(t.Context(), 201, 201, nil)
	invalid("verify a content", err)
	_, err = j.Content(e.Contents[0])
	invalid("content", err)
	if _, _, err := j.Event(150); err != nil {
		t.Error(err)
	}
	if _, err := j.Verify(t.Context(), 150, 150, nil); err != nil && !away(err) {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r := repairOptions(fs)
	r.Archive = o.Archive
	_, err = Assess(t.Context(), r)
	invalid("assess", err)
}
