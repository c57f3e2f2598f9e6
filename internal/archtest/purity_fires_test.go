package archtest

import (
	"slices"
	"testing"
)

// Each rule of purity fires on a small bad sample, and only that rule.
func TestPurityFires(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"import", "import \"sync\"\n\nvar mu sync.Mutex"},
		{"import", "import \"time\"\n\nvar d = time.Second"},
		{"goroutine", "func f(g func()) { go g() }"},
		{"channel", "func f() { select {} }"},
		{"channel", "type t struct{ c chan int }"},
		{"channel", "func f(c <-chan int) { <-c }"},
		{"channel", "func f(c <-chan int) { for range c {} }"},
		{"float", "const c uint64 = 1e9"},
		{"float", "var v float64"},
		{"float", "type t struct{ f []float32 }"},
		{"float", "func f(n int) int { return int(float64(n) * 2) }"},
		{"float", "var v complex128"},
		{"map order", "func f(m map[int]int) { for k := range m { _ = k } }"},
		{"map order", "type s struct{ m map[int]int }\n\nfunc (s *s) f() { for _, v := range s.m { _ = v } }"},
		{"map order", "type m map[string]struct{}\n\nfunc f() m { return nil }\n\nfunc g() { for k := range f() { _ = k } }"},
		{"map order", "func f[M ~map[K]V, K comparable, V any](m M) { for k := range m { _ = k } }"},
		{"map order", "func f(ms []map[int]int) { for _, m := range ms { for k := range m { _ = k } } }"},
		{"map order", "import \"maps\"\n\nfunc f(m map[int]int) { for k := range maps.Keys(m) { _ = k } }"},
		{"map order", "import (\n\t\"maps\"\n\t\"slices\"\n)\n\nfunc f(m map[int]int) []int { return slices.Collect(maps.Values(m)) }"},
		{"map order", "import (\n\tm2 \"maps\"\n\t\"slices\"\n)\n\nfunc f(m map[int]int) []int { return slices.Collect(m2.Keys(m)) }"},
		{"map order", "import \"maps\"\n\nvar keys = maps.Keys[map[int]int]"},
		{"map order", "import \"maps\"\n\nfunc f(m map[int]int) { for k := range maps.All(m) { _ = k } }"},
		{"recover", "func f() { defer func() { _ = recover() }() }"},
		{"impure", "func f() { println(1) }"},
		{"impure", "import \"fmt\"\n\nfunc f() { fmt.Println(1) }"},
		{"impure", "import \"fmt\"\n\nvar f = fmt.Printf"},
		{"impure", "import \"github.com/btcsuite/btcd/wire\"\n\nvar h = wire.NewBlockHeader(1, nil, nil, 0, 0)"},
		{"impure", "import \"github.com/btcsuite/btcd/btcec/v2\"\n\nvar k, err = btcec.NewPrivateKey()"},
		{"impure", "import \"math/big\"\n\nfunc f(x *big.Float) int { return x.Sign() }"},
		{"printing", "import \"fmt\"\n\nfunc f(p *struct{ n int }) string { return fmt.Sprintf(\"%p\", p) }"},
		{"printing", "import \"fmt\"\n\nfunc f(m map[string]int) error { return fmt.Errorf(\"bad: %v\", m) }"},
		{"printing", "import \"fmt\"\n\ntype t struct{ m []map[int]int }\n\nfunc f(v t) string { return fmt.Sprint(v) }"},
		{"printing", "import \"fmt\"\n\nfunc f(p *int) string { return fmt.Sprintf(\"%v\", p) }"},
		{"printing", "import \"fmt\"\n\nfunc f(p []*struct{ n int }) string { return fmt.Sprintf(\"%v\", p) }"},
		{"printing", "func fail(format string, args ...any) {}\n\nfunc f(m map[int]int) { fail(\"%v\", m) }"},
		{"global state", "var n int\n\nfunc f() { n = 1 }"},
		{"global state", "var n int\n\nfunc f() { n++ }"},
		{"global state", "var n = map[int]int{}\n\nfunc f() { n[1] = 1 }"},
		{"global state", "var n = map[int]int{}\n\nfunc f() { delete(n, 1) }"},
		{"global state", "var n struct{ a [4]struct{ b int } }\n\nfunc f() { n.a[1].b = 1 }"},
		{"global state", "var n *int\n\nfunc f() { *n = 1 }"},
		{"global state", "var n []byte\n\nfunc f(b []byte) { copy(n[1:], b) }"},
		{"global state", "import \"slices\"\n\nvar n []int\n\nfunc f() { slices.Sort(n) }"},
		{"global state", "import \"math/big\"\n\nvar n = new(big.Int)\n\nfunc f() { n.Add(n, n) }"},
		{"global state", "import \"github.com/ethereum/go-ethereum/common\"\n\nfunc f() { common.MaxHash[0] = 1 }"},
		{"global state", "var n int\n\nfunc g() { for n = range 3 {} }"},
		{"global state", "var n int\n\nvar f = func() { n = 1 }"},
		{"global state", "var n int\n\ntype t struct{}\n\nfunc (t) init() { n = 1 }"},
	} {
		found := checkPurity(typedSample(t, "actors/sample", "package sample\n\n"+c.text+"\n"))
		if len(found) == 0 || slices.ContainsFunc(found, func(f finding) bool { return f.rule != c.name }) {
			t.Errorf("want %s, got %v for\n%s", c.name, found, c.text)
		}
	}
}

// What the rules are not about passes them.
func TestPurityAccepts(t *testing.T) {
	for _, text := range []string{
		"import (\n\t\"maps\"\n\t\"slices\"\n)\n\nfunc f(m map[int]int) []int { return slices.Sorted(maps.Keys(m)) }",
		"import (\n\t\"bytes\"\n\t\"maps\"\n\t\"slices\"\n)\n\nfunc f(m map[[2]byte]int) [][2]byte {\n\treturn slices.SortedFunc(maps.Keys(m), func(a, b [2]byte) int { return bytes.Compare(a[:], b[:]) })\n}",
		"func f(m map[int]int) (n int) {\n\tfor range m {\n\t\tn++\n\t}\n\treturn n\n}",
		"func f(m map[int]int) int { return m[1] + len(m) }",
		"func f(s []int) { for i := range s { s[i] = 1 } }",
		"var table = map[int]string{1: \"a\"}\n\nfunc f() string { return table[1] }",
		"var table = map[int]string{}\n\nfunc init() { table[1] = \"a\" }",
		"import \"math/big\"\n\nvar one = big.NewInt(1)\n\nfunc f(x *big.Int) *big.Int { return new(big.Int).Add(x, one) }",
		"import \"math/big\"\n\nvar one = big.NewInt(1)\n\nfunc f(x *big.Int) int { return one.Cmp(x) }",
		"import (\n\t\"fmt\"\n\t\"math/big\"\n)\n\nfunc f(x *big.Int, err error) error { return fmt.Errorf(\"%v: %w\", x, err) }",
		"import \"fmt\"\n\nfunc f(p *struct{ n int }) string { return fmt.Sprintf(\"%v\", p) }",
		"import \"fmt\"\n\nfunc f(b []byte, a [4]byte) string { return fmt.Sprintf(\"%x %x\", b, a) }",
		"var n = 1\n\nfunc f() int { n := 2; n++; return n }",
	} {
		if found := checkPurity(typedSample(t, "actors/sample", "package sample\n\n"+text+"\n")); len(found) > 0 {
			t.Errorf("%v for\n%s", found, text)
		}
	}
}

// The packages judged are those meant, and test support is not among them.
func TestDeterministicPackages(t *testing.T) {
	for dir, want := range map[string]bool{
		"internal/protocol/block":   true,
		"internal/protocol/vectors": false,
		"actors/chain":              true,
		"actors/chain/tree":         true,
		"actors/core":               true,
		"actors":                    false,
		"internal/memo":             false,
		"journal":                   false,
		"":                          false,
	} {
		if got := deterministic(dir); got != want {
			t.Errorf("%s: deterministic %t, want %t", dir, got, want)
		}
	}
	var dirs []string
	for _, p := range deterministicPackages(t) {
		dirs = append(dirs, p.dir)
	}
	for _, dir := range []string{"actors/chain", "actors/core", "internal/protocol/fault"} {
		if !slices.Contains(dirs, dir) {
			t.Errorf("%s was not judged, only %q", dir, dirs)
		}
	}
}
