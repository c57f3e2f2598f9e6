package journal

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// farStorage is a storage elsewhere that can stop to answer.
type farStorage struct {
	archive.Storage
	away atomic.Bool
}

var errAway = fault.New(fault.Temporary, "the storage does not answer")

func (s *farStorage) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if s.away.Load() {
		return errAway
	}
	return s.Storage.ReadAt(ctx, name, p, off)
}

func (s *farStorage) Size(ctx context.Context, name string) (int64, error) {
	if s.away.Load() {
		return 0, errAway
	}
	return s.Storage.Size(ctx, name)
}

// large makes an event whose message is kept as content, the same one each time.
func large(t *testing.T, j *Journal) Hash {
	t.Helper()
	e, _ := event(5, j.Head().Sequence+1)
	message := bytes.Repeat([]byte("m"), InlineMax+1)
	e.Stored, e.Cause, e.Message, e.Contents = true, Ref{}, message, nil
	if _, err := j.Append(e, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.WaitDurable(t.Context(), e.Sequence); err != nil {
		t.Fatal(err)
	}
	return SumContent(message)
}

// farJournal makes a journal of which the first 9 events are in a storage
// elsewhere; the first one's large message is the last one's too.
func farJournal(t *testing.T) (Options, *farStorage, Hash) {
	fs := vfs.NewMem()
	far := &farStorage{Storage: archive.NewLocal(fs, "far")}
	o := memOptions(fs)
	o.Archive = far
	j := mustOpen(t, o)
	message := large(t, j)
	fill(t, j, 5, 20)
	mustArchive(t, j, 10)
	if got := large(t, j); got != message {
		t.Fatal(got, message)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return o, far, message
}

// TestNewEventsNeedNoArchive: what a new event names is in the database, also
// when an archived event named it before, so that a journal opens and its last
// events are read whatever the storage of the archive does.
func TestNewEventsNeedNoArchive(t *testing.T) {
	o, far, message := farJournal(t)
	far.away.Store(true)
	j := mustOpen(t, o)
	defer j.Close()
	if e, _, err := j.Event(21); err != nil || SumContent(e.Message) != message {
		t.Fatal(e, err)
	}
	if _, _, err := j.Event(1); !errors.Is(err, errAway) || !fault.Is(err, fault.Temporary) {
		t.Fatalf("a storage that does not answer is no damage: %v", err)
	}
	far.away.Store(false)
	mustArchive(t, j, 21) // and again moves what came back
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// TestStorageAwayIsNoDamage: a content that left while the event that names it
// was appended is only in the archive. While that does not answer nothing is
// called damaged, and above all nothing is offered to be cut.
func TestStorageAwayIsNoDamage(t *testing.T) {
	o, far, message := farJournal(t)
	j := mustOpen(t, o)
	if err := j.db.Set(appendContentKey(nil, message), archivedValue(1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	far.away.Store(true)
	temporary := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, errAway) || !fault.Is(err, fault.Temporary) {
			t.Errorf("%s: %v (%v)", what, err, fault.Of(err))
		}
	}
	_, _, err := j.Event(21)
	temporary("event", err)
	it := j.Iterate(21, false)
	it.Next()
	_, err = it.Event()
	temporary("iterate", errors.Join(err, it.Close()))
	s := j.Subscribe(21)
	stored, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Event(&stored[0])
	temporary("subscription", err)
	_, err = j.Verify(t.Context(), 21, 21, nil)
	temporary("verify", err)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	_, err = Open(o)
	temporary("open", err)
	// A hole behind it: without the storage nobody knows how much can be kept.
	r := repairOptions(o.FS)
	r.Archive = far
	a, err := Assess(t.Context(), r)
	temporary("assess", err)
	if a.Healthy() && err == nil {
		t.Error("called healthy")
	}
	for _, after := range []uint64{9, 20} {
		_, err = Repair(t.Context(), r, after)
		temporary("repair", err)
	}
	far.away.Store(false)
	j = mustOpen(t, o)
	defer j.Close()
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// TestRepairWaitsForTheArchive: in a journal that is really damaged, an event
// before the damage is not given up for a content that cannot be asked for now.
func TestRepairWaitsForTheArchive(t *testing.T) {
	o, far, _ := farJournal(t)
	j := mustOpen(t, o)
	e, _ := event(5, 22)
	data := []byte("named by an event, and in the archive")
	e.Contents = []Hash{SumContent(data)}
	if _, err := j.Append(e, []Content{{Hash: e.Contents[0], Data: data}}); err != nil {
		t.Fatal(err)
	}
	fill(t, j, 5, 30)
	if err := j.db.Set(appendContentKey(nil, e.Contents[0]), archivedValue(1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, o.FS, deleteEvents(28, 29))
	far.away.Store(true)
	r := repairOptions(o.FS)
	r.Archive = far
	if _, err := Assess(t.Context(), r); !fault.Is(err, fault.Temporary) {
		t.Fatalf("assess: %v", err)
	}
	if _, err := Repair(t.Context(), r, 21); !fault.Is(err, fault.Temporary) {
		t.Fatalf("repair: %v", err)
	}
}
