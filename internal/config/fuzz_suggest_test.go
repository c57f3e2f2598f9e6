package config

import "testing"

// The distance is symmetric, zero for equal names only, and bounded.
func FuzzSuggest(f *testing.F) {
	f.Add("replay", "rplay")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 4096 {
			return
		}
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Errorf("distance %d between %q and %q", d, a, b)
		}
		_ = Suggest([]string{a}, b)
	})
}
