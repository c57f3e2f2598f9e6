package snapshot_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/tidwall/btree"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/snapshot"
)

func digest(t fatalf, s snapshot.Section) snapshot.Hash {
	t.Helper()
	h, err := snapshot.Digest(s)
	if err != nil {
		t.Fatalf("digest: %v", err)
	}
	return h
}

func treeSection(tree *btree.Map[string, string]) snapshot.Section {
	return snapshot.Section{Name: "tree", Walk: func(yield func(key, value []byte) error) error {
		var err error
		tree.Scan(func(k, v string) bool {
			err = yield([]byte(k), []byte(v))
			return err == nil
		})
		return err
	}}
}

// The digest depends on the entries, not on the way to them.
func TestDigestIgnoresHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.MapOfN(rapid.StringMatching(`[a-d]{0,6}`), rapid.StringN(0, 20, -1), 0, 600).Draw(t, "entries")
		var sorted []string
		direct := new(btree.Map[string, string])
		for k, v := range entries {
			direct.Set(k, v)
			sorted = append(sorted, k)
		}
		slices.Sort(sorted)
		if len(sorted) == 0 {
			if got := digest(t, treeSection(direct)).String(); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
				t.Fatalf("digest of no entries is %s", got)
			}
			return
		}
		detour := new(btree.Map[string, string])
		for _, k := range rapid.Permutation(sorted).Draw(t, "order") {
			detour.Set(k+"x", "gone soon")
			detour.Set(k, "overwritten")
			if rapid.Bool().Draw(t, "copy") {
				detour = detour.Copy()
			}
			detour.Set(k, entries[k])
		}
		for _, k := range sorted {
			if _, wanted := entries[k+"x"]; !wanted {
				detour.Delete(k + "x")
			}
		}
		before := digest(t, treeSection(direct))
		if got := digest(t, treeSection(detour)); got != before {
			t.Fatalf("digests of equal states differ: %s %s", got, before)
		}
		key := rapid.SampledFrom(sorted).Draw(t, "changed")
		changed := direct.Copy()
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0:
			changed.Set(key, entries[key]+"!")
		case 1:
			changed.Delete(key)
		case 2:
			changed.Set(key+"zz", "")
		}
		if digest(t, treeSection(changed)) == before {
			t.Fatalf("digest does not show the change of %q", key)
		}
	})
}

// Digests that a second implementation, written from docs/formats/snapshot.md
// alone, gives as well: a change of the canonical form cannot pass unseen.
func TestDigestGolden(t *testing.T) {
	one := state{"one": {"key": "value"}}
	// SHA-256 of 00 03 "key" 05 "value".
	if got, want := digest(t, one.sections()[0]).String(), sum256("\x00\x03key\x05value"); got != want {
		t.Errorf("one entry: %s, want %s", got, want)
	}
	st := numbered("chain", 3000)
	st["other"] = one["one"]
	digests, err := snapshot.Digests(st.sections())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %s", digests[0].Digest, snapshot.Root(digests))
	const want = "f50a1ffd793992519a0377735d5e11f17cc4dddac90be7acd70d686fde402462 672f1d07a6cb1790080df88ac7c295d0b95c7e9708641884e2fc3cb88f3566d8"
	if got != want {
		t.Errorf("digest and root:\n got %s\nwant %s", got, want)
	}
	slices.Reverse(digests)
	if root := snapshot.Root(digests); hex.EncodeToString(root[:]) != want[65:] {
		t.Errorf("root depends on the order of its argument")
	}
}

// Names, counts and digests all enter the root.
func TestRootBinds(t *testing.T) {
	base := []snapshot.SectionDigest{{Name: "a", Entries: 1, Bytes: 2}, {Name: "b"}}
	seen := map[snapshot.Hash]int{snapshot.Root(base): -1, snapshot.Root(nil): -2}
	for i, change := range []func(d []snapshot.SectionDigest) []snapshot.SectionDigest{
		func(d []snapshot.SectionDigest) []snapshot.SectionDigest { d[0].Name = "aa"; return d },
		func(d []snapshot.SectionDigest) []snapshot.SectionDigest { d[0].Entries++; return d },
		func(d []snapshot.SectionDigest) []snapshot.SectionDigest { d[0].Bytes++; return d },
		func(d []snapshot.SectionDigest) []snapshot.SectionDigest { d[1].Digest[31] = 1; return d },
		func(d []snapshot.SectionDigest) []snapshot.SectionDigest { return d[:1] },
	} {
		root := snapshot.Root(change(slices.Clone(base)))
		if other, ok := seen[root]; ok {
			t.Errorf("change %d has the root of %d", i, other)
		}
		seen[root] = i
	}
}

func sum256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func BenchmarkDigest(b *testing.B) {
	for _, size := range []int{32, 256} {
		b.Run(fmt.Sprintf("value=%d", size), func(b *testing.B) {
			const n = 100_000
			keys, value := make([][]byte, n), make([]byte, size)
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "%032d", i)
			}
			s := snapshot.Section{Name: "bench", Walk: func(yield func(key, value []byte) error) error {
				for _, k := range keys {
					if err := yield(k, value); err != nil {
						return err
					}
				}
				return nil
			}}
			b.ReportAllocs()
			b.SetBytes(int64(n * (size + 34)))
			for b.Loop() {
				digest(b, s)
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
