package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Below the activation height a longer quorum branch that excludes the finalised block
// is reported and left alone, over a restart too, until an operator has it followed.
//
// After a restart the embedded execution layer may have frozen what was final; then it
// says that its directory is to be removed, which is what an operator does here.
func TestOperatorFollowsBranch(t *testing.T) {
	t.Run("at once", func(t *testing.T) { operatorFollows(t, false) })
	t.Run("after a restart", func(t *testing.T) { operatorFollows(t, true) })
}

func operatorFollows(t *testing.T, restarted bool) {
	c := spec.Dev()
	ours := newBranch(t, c)
	ours.extend(6, true) // final to block 5
	other := ours.fork(2, 1)
	other.extend(6, false)
	r := newRunning(t, c)
	r.give(ours.blocks...)
	r.await(ours.at(6), ours.at(5))
	tip := other.at(8)
	if err := r.node.FollowBranch(t.Context(), tip.Block.Root().Hex(), "too early"); !errors.Is(err, node.ErrRefused) {
		t.Errorf("nothing is excluded: %v", err)
	}

	r.give(other.blocks[2:]...)
	excluded := awaitFact[*message.BranchExcluded](r)
	if *excluded.Finalized != id(ours.at(5)) || *excluded.Ancestor != id(ours.at(2)) || excluded.Number <= 6 {
		t.Errorf("excluded %+v", excluded)
	}
	r.wantLine("level=ERROR", "a longer branch with a quorum excludes the finalised block", ours.at(5).Block.Root().Hex())
	r.wantExcluded(ours)
	if restarted {
		r.restart()
		r.wantExcluded(ours)
		if all := factsOf[*message.BranchExcluded](r); len(all) > 0 {
			t.Errorf("reported again after a restart: %+v", all)
		}
	}
	r.follow(ours, tip)
	if restarted {
		r.stop()
		if err := os.RemoveAll(filepath.Join(r.dir, "execution")); err != nil {
			t.Fatal(err)
		}
		r.start()
	}
	r.await(tip, other.at(2))
	if s := r.node.Status(); s.Chain.Excluded != nil {
		t.Errorf("still excluded: %+v", s.Chain.Excluded)
	}
	r.restart()
	r.await(tip, other.at(2))
	more := other.extend(2, true)
	r.give(more...)
	r.await(more[1], more[0])
	r.stop()
	equalReplay(t, r.dir)
}

// follow decides for wrong branches, then for the one that ends in tip.
func (r *running) follow(ours *branchOf, tip *block.Signed) {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	operator, err := admin.Dial(r.dir) // as alys chain follow does
	for errors.Is(err, admin.ErrNotRunning) && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond) // it listens soon after the start
		operator, err = admin.Dial(r.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	for _, root := range []string{ours.at(6).Block.Root().Hex(), "0x" + strings.Repeat("77", 32)} {
		if err := operator.FollowBranch(ctx, root, "a wrong one"); !errors.Is(err, admin.ErrRefused) || !strings.Contains(err.Error(), root) {
			t.Errorf("followed %s: %v", root, err)
		}
	}
	if err := operator.FollowBranch(ctx, "0x12", "no root"); !fault.Is(err, fault.Invalid) {
		t.Errorf("followed 0x12: %v", err)
	}
	r.await(ours.at(6), ours.at(5))
	if err := operator.FollowBranch(ctx, tip.Block.Root().Hex(), "all members agreed"); err != nil {
		t.Fatal(err)
	}
	decided := awaitFact[*message.BranchDecided](r)
	if decided.Root != id(tip).Root || *decided.Abandoned != id(ours.at(5)) || *decided.Ancestor != id(ours.at(2)) || decided.Reason != "all members agreed" {
		t.Errorf("decided %+v", decided)
	}
	r.wantLine("level=WARN", "an operator decided for another branch", "all members agreed")
	r.awaitMove(tip, 4, ours.at(2))
}

// wantExcluded fails unless the node stays on a branch and says that another excludes it.
func (r *running) wantExcluded(on *branchOf) {
	r.t.Helper()
	r.await(on.at(6), on.at(5))
	s := r.node.Status()
	if s.Chain.Excluded == nil || !strings.Contains(strings.Join(s.Warnings, "\n"), "it is followed by an operator's decision only") {
		r.t.Errorf("status says %+v, warnings %q", s.Chain.Excluded, s.Warnings)
	}
}

// From the activation height on two carriers of conflicting ranges end the process with
// both proofs named, and no start is possible any more.
func TestFinalityConflictEndsNode(t *testing.T) {
	c := spec.Dev()
	c.Activations.Finality = 1
	ours := newBranch(t, c)
	ours.extend(6, true)
	other := ours.fork(2, 1)
	other.extend(3, true) // lower than the head; a carrier finalises whenever it is learnt
	r := newRunning(t, c)
	r.give(ours.blocks...)
	r.await(ours.at(6), ours.at(5))
	r.give(other.blocks[2:]...)

	ended := <-r.done
	err := r.node.Close()
	n := r.node
	r.node = nil
	if err != nil {
		t.Error(err)
	}
	proofs := []string{ours.at(6).Block.Root().Hex(), other.at(5).Block.Root().Hex(), "conflict of finality"}
	r.wantRefused("the end", ended, proofs)
	conflict := awaitFact[*message.FinalityConflict](r)
	if *conflict.Ours != id(ours.at(5)) || *conflict.Other != id(other.at(4)) || conflict.OurProof.None() || conflict.OtherProof.None() {
		t.Errorf("conflict %+v", conflict)
	}
	r.wantLine("level=ERROR", "two conflicting ranges are final", proofs[0], proofs[1])
	if s := n.Status().Chain; s.Conflict == nil || s.Head != id(ours.at(6)) || s.Finalized != id(ours.at(5)) {
		t.Errorf("after the conflict %+v", s)
	}
	for range 2 {
		_, err := r.open(t.Context())
		r.wantRefused("a start", err, proofs)
	}
	equalReplay(t, r.dir)
	if binary := os.Getenv("ALYS_BIN"); binary != "" {
		r.programRefuses(binary, proofs)
	}
}

// programRefuses runs the built program on the node's directory: it does not start, by exit
// code 4, and both status commands read the conflict from the files of the stopped node.
func (r *running) programRefuses(binary string, proofs []string) {
	r.t.Helper()
	for _, run := range []struct {
		code int
		args []string
	}{
		{4, []string{"node", "--rpc.addr", "", "--metrics.addr", ""}},
		{2, []string{"signing", "status"}},
		{2, []string{"status", "--json"}},
	} {
		command := exec.CommandContext(r.t.Context(), binary, append(run.args, "--data-dir", r.dir)...)
		command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ALYS_") })
		out, _ := command.CombinedOutput()
		r.t.Logf("%q: code %d: %s", run.args, command.ProcessState.ExitCode(), out)
		if command.ProcessState.ExitCode() != run.code {
			r.t.Errorf("alys %q ends with code %d, want %d: %s", run.args, command.ProcessState.ExitCode(), run.code, out)
		}
		for _, proof := range proofs[:2] {
			if !strings.Contains(string(out), proof) {
				r.t.Errorf("alys %q does not name carrier %s: %s", run.args, proof, out)
			}
		}
	}
}

// wantRefused fails unless err is one of exit code 4 and says all of this.
func (r *running) wantRefused(what string, err error, says []string) {
	r.t.Helper()
	if !errors.Is(err, node.ErrRefused) {
		r.t.Errorf("%s: %v", what, err)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			r.t.Errorf("%s does not say %s: %v", what, s, err)
		}
	}
}

// From the activation height on a late carrier of a shorter branch moves the head; that
// survives a kill and every turn replays equal.
func TestLateCarrierMovesHead(t *testing.T) {
	c := spec.Dev()
	c.Activations.Finality = 1
	ours := newBranch(t, c)
	ours.extend(10, false)
	other := ours.fork(2, 1)
	other.extend(4, true)
	r := newRunning(t, c)
	r.give(ours.blocks...)
	r.await(ours.at(10), nil)
	r.give(other.blocks[2:5]...)
	r.await(ours.at(10), nil)
	r.give(other.at(6))
	r.await(other.at(6), other.at(5))
	r.awaitMove(other.at(6), 8, ours.at(2))
	awaitFact[*message.BranchExcluded](r) // it is longer still
	r.restart()
	r.await(other.at(6), other.at(5))

	// However long that branch gets, it is reported once, and nobody can decide for it.
	r.give(ours.extend(5, false)...)
	r.give(other.extend(1, false)...)
	r.await(other.at(7), other.at(5))
	if all := factsOf[*message.BranchExcluded](r); len(all) > 0 {
		t.Errorf("reported again: %+v", all)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.node.FollowBranch(ctx, ours.at(15).Block.Root().Hex(), "against finality"); !errors.Is(err, node.ErrRefused) || !strings.Contains(err.Error(), "no decision reverts that") {
		t.Errorf("followed against finality: %v", err)
	}
	r.stop()
	equalReplay(t, r.dir)
}

// Reorganisations of any depth on the embedded execution layer, with a restart after each.
func TestReorgDepths(t *testing.T) {
	c := spec.Dev()
	c.MaxBlocksWithoutPow = 10_000
	branch := newBranch(t, c)
	r := newRunning(t, c)
	r.give(branch.extend(210, false)...)
	r.await(branch.at(210), nil)
	for i, depth := range []int{1, 40, 200} {
		height := len(branch.blocks)
		next := branch.fork(height-depth, uint64(i+1))
		r.give(next.extend(depth+1, false)...)
		r.await(next.at(height+1), nil)
		r.awaitMove(next.at(height+1), depth, next.at(height-depth))
		r.restart()
		r.await(next.at(height+1), nil)
		branch = next
	}
	r.give(branch.extend(1, true)...)
	last := len(branch.blocks)
	r.await(branch.at(last), branch.at(last-1))
	r.stop()
	equalReplay(t, r.dir)
}

// childReorg names the directory of a child that is killed around a reorganisation.
const childReorg = "ALYS_TEST_CHILD_REORG"

// reorganised makes the same two branches in every process: a late carrier of the
// second, which is shorter, reverts 50 blocks of the first.
func reorganised(t *testing.T) (c *spec.Chain, ours, other *branchOf) {
	c = spec.Dev()
	c.Activations.Finality = 1
	ours = newBranch(t, c)
	ours.extend(60, false)
	other = ours.fork(10, 1)
	other.extend(20, true)
	return c, ours, other
}

// TestChildReorganises is the child's part of TestKillAroundReorg; alone it does nothing.
func TestChildReorganises(t *testing.T) {
	dir := os.Getenv(childReorg)
	if dir == "" {
		return
	}
	c, ours, other := reorganised(t)
	r := &running{t: t, dir: dir, chain: c}
	r.start()
	r.give(ours.blocks...)
	if s := r.node.Status(); s.Finalized.Height == 0 {
		r.await(ours.at(60), nil)
	}
	r.give(other.blocks[10:]...)
	fmt.Println("given")
	r.await(other.at(30), other.at(29))
	fmt.Println("moved")
	select {} // until it is killed
}

// A node that is killed while it reorganises, and right after, has the same head and
// finalised block as its execution layer when it is started again.
func TestKillAroundReorg(t *testing.T) {
	c, ours, other := reorganised(t)
	dir := t.TempDir()
	for _, line := range []string{"given", "moved"} {
		killAt(t, line, "TestChildReorganises", childReorg+"="+dir)
	}
	r := &running{t: t, dir: dir, chain: c}
	r.start()
	r.await(other.at(30), other.at(29))
	r.give(ours.blocks...)
	r.give(other.extend(1, false)...)
	r.await(other.at(31), other.at(29))
	r.stop()
	equalReplay(t, dir)
}
