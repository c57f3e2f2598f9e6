package actors_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// A reader's copy is whole, of a turn that is on disk, and stays as it is while the
// runtime goes on.
func TestLook(t *testing.T) {
	r := boot(t, vfs.NewMem(), true)
	defer r.close(t)
	ctx := context.Background()
	whole := func(s *ledgerState) bool {
		sum := uint64(0)
		s.balances.Scan(func(_, amount uint64) bool { sum += amount; return true })
		return sum == s.total
	}
	type seen struct {
		state *ledgerState
		total uint64
	}
	var all []seen
	amounts := make([]uint64, 200)
	for i := range amounts {
		amounts[i] = uint64(i)
	}
	r.work(t, amounts, func(i int) {
		if i%10 != 0 {
			return
		}
		state, sequence, err := r.runtime.Look(ctx, ledgerID)
		if err != nil {
			t.Fatal(err)
		}
		s := state.(*ledgerState)
		if durable := r.journal.Durable().Sequence; durable < sequence || !whole(s) {
			t.Fatalf("the copy of turn %d, durable is %d, has total %d", sequence, durable, s.total)
		}
		all = append(all, seen{s, s.total})
	})
	for i, s := range all {
		if s.state.total != s.total || !whole(s.state) || i > 0 && s.total < all[i-1].total {
			t.Errorf("copy %d changed", i)
		}
	}
	if last := all[len(all)-1].total; last == 0 {
		t.Error("nothing was seen")
	}
	if _, _, err := r.runtime.Look(ctx, ledgerID); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
	if _, _, err := r.runtime.Look(ctx, "nobody"); !fault.Is(err, fault.Invalid) {
		t.Errorf("of nobody: %v", err)
	}
}
