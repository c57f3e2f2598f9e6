package reorg_test

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/sim/reorg"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

// TestWrite: a scenario's journal is a real one. It replays from genesis and from
// its snapshots to the head that the scenario had, and one seed gives one journal.
func TestWrite(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(6) {
		var heads []journal.Head
		for range 2 {
			r, err := reorg.Generate(reorg.Seeded(seed), steps, reorg.Options{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			store := reorg.Store{FS: vfs.NewMem(), Journal: "journal", Snapshots: "snapshots"}
			head, err := r.Write(ctx, store)
			if err != nil {
				t.Fatal(err)
			}
			heads = append(heads, head)
			replayed(t, store, head)
		}
		if heads[0] != heads[1] {
			t.Fatalf("seed %d is two journals, with heads %v", seed, heads)
		}
	}
}

func replayed(t *testing.T, store reorg.Store, head journal.Head) {
	t.Helper()
	ctx := context.Background()
	j, err := journal.Open(journal.Options{FS: store.FS, Dir: store.Journal, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	snapshots, err := snapshot.Open(snapshot.Options{FS: store.FS, Dir: store.Snapshots, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	all, err := snapshots.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range append([]snapshot.Manifest{{}}, all...) {
		m, err := cores.NewMachine(j.ID(), standin.NewWork())
		if err != nil {
			t.Fatal(err)
		}
		var after journal.Hash
		if from.Sequence > 0 {
			after = journal.Hash(from.Hash)
			err := snapshots.Load(from, func(section string, key, value []byte) error {
				return m.Load(section, key, value, func(h [32]byte) ([]byte, error) { return j.Content(h) })
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		report, err := replay.Run(ctx, j, m, replay.Options{After: after, Behaviour: cores.Behaviour})
		if err != nil {
			t.Fatal(err)
		}
		if report.Head != head {
			t.Fatalf("replay ends at %v, the scenario at %v", report.Head, head)
		}
		if m.State(chain.ID).(*chain.State).Head.Root == [32]byte{} {
			t.Fatal("no head")
		}
	}
}
