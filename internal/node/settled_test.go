package node_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/settle"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

// settledOf makes the state at final blocks from a journal, by height.
func settledOf(t *testing.T, dir string, numbers ...uint64) (made map[uint64]*settle.Made, final uint64) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(dir), ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	work := memo.New()
	m, err := node.NewMachine(j.ID(), work)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Run(t.Context(), j, m, replay.Options{Prepare: work.Prepare}); err != nil {
		t.Fatal(err)
	}
	made = map[uint64]*settle.Made{}
	c, b := m.State(chain.ID).(*chain.State), m.State(bridge.ID).(*bridge.State)
	for _, number := range numbers {
		if made[number], err = settle.Make(c, b, number, func(h [32]byte) ([]byte, error) { return j.Content(h) }); err != nil {
			t.Fatalf("%s: the state at block %d: %v", dir, number, err)
		}
	}
	if _, err := settle.Make(c, b, c.Finalized.Number+1, nil); fault.Of(err) != fault.CannotJudge {
		t.Errorf("the state at a block that is not final: %v", err)
	}
	return made, c.Finalized.Number
}

// Journals of one chain state the same, bit for bit: one that was written without a stop,
// one with restarts, and one that began at another node's snapshot.
func TestSettledAgrees(t *testing.T) {
	const chainName = "fed3"
	branch, b := legacyBranch(t, chainName), readBitcoin(t, chainName)
	base := t.TempDir()
	whole, stopped, began := filepath.Join(base, "whole"), filepath.Join(base, "stopped"), filepath.Join(base, "began")
	im, stop := pegNode(t, chainName, whole, b, true)
	im.upTo(branch, branch.Len()-1)
	stop()
	for i, at := range []uint64{20, 47, branch.Len() - 1} {
		im, stop := pegNode(t, chainName, stopped, b, i == 0)
		im.upTo(branch, at)
		stop()
		if at == 47 {
			restoreFrom(t, stopped, began)
		}
	}
	im, stop = pegNode(t, chainName, began, b, true)
	im.upTo(branch, branch.Len()-1)
	stop()

	_, final := settledOf(t, whole)
	var numbers []uint64
	for n := uint64(1); n <= final; n++ {
		numbers = append(numbers, n)
	}
	want, _ := settledOf(t, whole, numbers...)
	if len(numbers) < 48 || len(want[final].Parts) < 3 {
		t.Fatalf("%d blocks are final, with %d parts: nothing is compared", len(numbers), len(want[final].Parts))
	}
	other, _ := settledOf(t, stopped, numbers...)
	late, _ := settledOf(t, began, numbers...)
	claims := map[checkpoint.Claim]bool{}
	for _, n := range numbers {
		claims[want[n].Claim] = true
		for name, made := range map[string]*settle.Made{"stopped": other[n], "began": late[n]} {
			if made.Claim != want[n].Claim || !bytes.Equal(made.Index, want[n].Index) {
				t.Fatalf("at %d the journal that %s has another state", n, name)
			}
		}
	}
	if len(claims) != len(numbers) {
		t.Errorf("%d heights have %d claims", len(numbers), len(claims))
	}
}
