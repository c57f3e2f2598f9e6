package conduct_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Every kind that an edge or a core can tell has one weight, and no other has one.
func TestEveryKindHasAWeight(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../message/acts.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			kind, _ := strconv.Unquote(lit.Value)
			kinds[kind] = true
			if w, ok := conduct.Of(kind); !ok || w.Kind != kind {
				t.Errorf("kind %q has no weight", kind)
			}
		}
		return true
	})
	seen := make(map[string]bool)
	for _, w := range conduct.Weights() {
		if !kinds[w.Kind] || seen[w.Kind] {
			t.Errorf("weight of %q, which is no kind or has two", w.Kind)
		}
		seen[w.Kind] = true
		if w.Good() != (w.Legacy > 0) || w.Why == "" || w.Floor < conduct.Lowest {
			t.Errorf("%+v", w)
		}
	}
	if _, ok := conduct.Of("nonsense"); ok {
		t.Error("a kind that nobody knows has a weight")
	}
}

func scores() *rapid.Generator[int64] { return rapid.Int64Range(conduct.Lowest, conduct.Highest) }

// A score halves in its half-life, goes to zero, never through it, and how the time is cut
// into parts makes no difference.
func TestDecay(t *testing.T) {
	if s, _ := conduct.Decay(conduct.Lowest, 0, conduct.HalfLife); s < conduct.Lowest/2-100 || s > conduct.Lowest/2+100 {
		t.Errorf("after a half-life: %d", s)
	}
	rapid.Check(t, func(t *rapid.T) {
		score, since := scores().Draw(t, "score"), rapid.Int64Range(0, 1<<41).Draw(t, "since")
		parts := rapid.SliceOfN(rapid.Int64Range(-5_000, 200_000), 0, 20).Draw(t, "parts")
		now, cut, at := since, score, since
		for _, p := range parts {
			now = max(now+p, now)
			before := cut
			cut, at = conduct.Decay(cut, at, now)
			if before > 0 && (cut < 0 || cut > before) || before < 0 && (cut > 0 || cut < before) || before == 0 && cut != 0 {
				t.Fatalf("%d became %d", before, cut)
			}
		}
		whole, wholeAt := conduct.Decay(score, since, now)
		if whole != cut || wholeAt != at {
			t.Fatalf("at once %d at %d, in parts %d at %d", whole, wholeAt, cut, at)
		}
		if now-at >= conduct.DecayStep || at < since {
			t.Fatalf("it stands at %d, now is %d", at, now)
		}
		if s, _ := conduct.Decay(score, since, since+1<<40); s != 0 {
			t.Fatalf("after an age it is still %d", s)
		}
	})
}

// A sum stays in its range whatever is counted, good acts never lower it, bad ones never
// raise it, and a kind with a floor takes nobody below it.
func TestAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom(conduct.Weights()).Draw(t, "weight")
		before := scores().Draw(t, "score")
		legacy := rapid.Bool().Draw(t, "legacy")
		count := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 10)).Draw(t, "count")
		after := conduct.Add(before, w, legacy, count)
		switch {
		case after < conduct.Lowest, after > conduct.Highest:
			t.Fatalf("%d is out of range", after)
		case w.Good() && after < before, !w.Good() && after > before:
			t.Fatalf("%s: %d became %d", w.Kind, before, after)
		case after < before && after < w.Floor && before >= w.Floor, before < w.Floor && !w.Good() && after < before:
			t.Fatalf("%s: %d became %d, its floor is %d", w.Kind, before, after, w.Floor)
		}
	})
}

// What an honest peer can be led into bans nobody.
func TestBadLuckBansNobody(t *testing.T) {
	for _, kind := range []string{
		message.ActTimeout, message.ActReset, message.ActInvalidBlock, message.ActInvalidWork, message.ActDuplicate, message.ActEmpty, message.ActSlow, message.ActStaleHead,
	} {
		w, _ := conduct.Of(kind)
		if s := conduct.Add(0, w, false, 1<<31); s <= conduct.BanAt {
			t.Errorf("%s alone leads to %d", kind, s)
		}
	}
}

func TestBanFor(t *testing.T) {
	const minute, day = 60_000, 86_400_000
	for strikes, want := range map[uint32]int64{0: 10 * minute, 1: 20 * minute, 7: 1280 * minute, 8: day, 63: day, 1 << 31: day} {
		if have := conduct.BanFor(strikes); have != want {
			t.Errorf("after %d bans: %d", strikes, have)
		}
	}
	for _, c := range []struct {
		strikes    uint32
		ended, now int64
		want       uint32
	}{{3, 10, 5, 3}, {3, 0, day - 1, 3}, {3, 0, day, 2}, {3, 0, 2 * day, 1}, {3, 0, 1 << 60, 0}, {0, 0, 1 << 60, 0}} {
		if have := conduct.Strikes(c.strikes, c.ended, c.now); have != c.want {
			t.Errorf("%+v: %d", c, have)
		}
	}
}

func BenchmarkDecayDay(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		conduct.Decay(conduct.Lowest, 0, 86_400_000)
	}
}
