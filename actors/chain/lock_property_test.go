package chain_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
)

// TestLockModel states what the approval lock is for, as a model of it alone: with
// at most 2Q - n - 1 dishonest members no two conflicting range ends ever get Q
// approvals each, whatever is proposed, approved and released, in any order. The
// ends are blocks of a tree; two conflict when none is an ancestor of the other.
// Statements that release a lock are true here; see TestFalseStatement.
func TestLockModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, aura.MaxAuthorities).Draw(t, "members")
		q := aura.Quorum(n)
		liars := rapid.IntRange(0, max(2*q-n-1, 0)).Draw(t, "dishonest")
		parent := []int{-1}
		for range rapid.IntRange(1, 8).Draw(t, "ends") {
			parent = append(parent, rapid.IntRange(0, len(parent)-1).Draw(t, "parent"))
		}
		w := newLockModel(n, q, liars, parent)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			m, end := rapid.IntRange(0, n-1).Draw(t, "member"), rapid.IntRange(1, len(parent)-1).Draw(t, "end")
			switch rapid.SampledFrom([]string{"approve", "approve", "approve", "state", "release"}).Draw(t, "step") {
			case "approve":
				w.approve(m, end)
			case "state":
				w.state(m, end)
			case "release":
				w.release(m, end)
			}
			w.check(t)
		}
	})
}

// lockModel is what members said, and what binds them.
type lockModel struct {
	n, q, liars    int  // members 0..liars-1 do as they like
	falsely        bool // their statements release, too
	parent         []int
	said, promised []map[int]bool // by member
	locked         []map[int]bool
}

// TestFalseStatement shows what the statements cannot do: a member that states
// never to approve a range end and approves it all the same has both ends final,
// with one dishonest of four. Its statement and its approval prove it.
// (docs/formats/approval-lock.md)
func TestFalseStatement(t *testing.T) {
	for _, falsely := range []bool{true, false} {
		w := newLockModel(4, 3, 1, []int{-1, 0, 0})
		w.falsely = falsely
		w.approve(1, 1)
		w.approve(2, 1)
		w.state(0, 1) // the lie
		w.state(3, 1)
		w.release(1, 1)
		w.release(2, 1)
		w.approve(0, 1)
		for m := 1; m < 4; m++ {
			w.approve(m, 2)
		}
		if both := w.final(1) && w.final(2); both != falsely {
			t.Errorf("false statements count: %t, both ends final: %t", falsely, both)
		}
	}
}

func newLockModel(n, q, liars int, parent []int) *lockModel {
	w := &lockModel{n: n, q: q, liars: liars, parent: parent}
	for range n {
		w.said, w.promised, w.locked = append(w.said, map[int]bool{}), append(w.promised, map[int]bool{}), append(w.locked, map[int]bool{})
	}
	return w
}

// under reports whether a is b or an ancestor of it.
func (w *lockModel) under(a, b int) bool {
	for ; b >= 0; b = w.parent[b] {
		if a == b {
			return true
		}
	}
	return false
}

func (w *lockModel) approve(m, end int) {
	if m >= w.liars {
		if w.promised[m][end] {
			return
		}
		for lock := range w.locked[m] {
			if !w.under(lock, end) {
				return // the carrier's branch excludes a range end that binds the member
			}
		}
	}
	w.said[m][end] = true
	w.locked[m][end] = true
}

func (w *lockModel) state(m, end int) {
	if m < w.liars || !w.said[m][end] {
		w.promised[m][end] = true
	}
}

// release ends a lock by the statements of n - q + 1 members.
func (w *lockModel) release(m, end int) {
	stated := 0
	for i := range w.n {
		if i != m && w.promised[i][end] && (w.falsely || i >= w.liars) {
			stated++
		}
	}
	if stated >= w.n-w.q+1 {
		delete(w.locked[m], end)
	}
}

// final reports whether an end has the approvals of a quorum.
func (w *lockModel) final(end int) bool {
	approvals := 0
	for m := range w.n {
		if w.said[m][end] {
			approvals++
		}
	}
	return approvals >= w.q
}

func (w *lockModel) check(t *rapid.T) {
	for a := range w.parent {
		for b := range a {
			if w.final(a) && w.final(b) && !w.under(a, b) && !w.under(b, a) {
				t.Fatalf("range ends %d and %d conflict and are both final, with %d dishonest of %d", a, b, w.liars, w.n)
			}
		}
	}
}
