package tree

import (
	"encoding/hex"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// leafData are the inputs of the vectors that implementations of RFC 6962 share.
var leafData = []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}

// The roots over the first n inputs. The first two are computed by hand:
// SHA-256 of nothing, and of the byte 00.
var roots = []string{
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}

func TestVectors(t *testing.T) {
	var b Builder
	for n, want := range roots {
		if n > 0 {
			data, err := hex.DecodeString(leafData[n-1])
			if err != nil {
				t.Fatal(err)
			}
			b.Append(Leaf(data), nil)
		}
		if got := b.Root().String(); got != want || b.Size() != uint64(n) {
			t.Errorf("root over %d: %s, want %s", n, got, want)
		}
	}
}

// leaves makes n leaf hashes from a seed.
func leaves(n int, seed byte) []Hash {
	out := make([]Hash, n)
	for i := range out {
		out[i] = Leaf([]byte{byte(i), byte(i >> 8), byte(i >> 16), seed})
	}
	return out
}

// sourceOf keeps the nodes that visit gives for the first stored leaves.
func sourceOf(all []Hash, stored int) (*Source, map[nodeID]Hash) {
	kept := map[nodeID]Hash{}
	var b Builder
	for _, h := range all[:stored] {
		b.Append(h, func(level uint, index uint64, h Hash) {
			if level >= StoredLevel {
				kept[nodeID{level, index}] = h
			}
		})
	}
	return &Source{
		Stored: func(level uint, index uint64) (Hash, bool, error) {
			h, ok := kept[nodeID{level, index}]
			return h, ok, nil
		},
		Leaves: func(first, count uint64, yield func(Hash)) error {
			for i := first; i < min(first+count, uint64(len(all))); i++ {
				yield(all[i])
			}
			return nil
		},
	}, kept
}

// Roots are those of another implementation, and every proof that the source
// makes, with all, some or no stored nodes, verifies and no other does.
func TestAgainstCompactRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "leaves")
		all := leaves(n, rapid.Byte().Draw(t, "seed"))
		s, _ := sourceOf(all, rapid.IntRange(0, n).Draw(t, "stored"))
		size := uint64(rapid.IntRange(1, n).Draw(t, "size"))
		index := rapid.Uint64Range(0, size-1).Draw(t, "index")
		older := rapid.Uint64Range(0, size).Draw(t, "older")

		reference := func(size uint64) (root Hash) {
			r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
			for _, h := range all[:size] {
				if err := r.Append(h[:], nil); err != nil {
					t.Fatal(err)
				}
			}
			got, err := r.GetRootHash(nil)
			if err != nil {
				t.Fatal(err)
			}
			if size == 0 {
				return EmptyRoot()
			}
			return Hash(got)
		}
		root, err := s.Root(size)
		if err != nil || root != reference(size) {
			t.Fatalf("root over %d: %s %v, want %s", size, root, err, reference(size))
		}
		path, err := s.Inclusion(index, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyInclusion(index, size, all[index], path, root); err != nil {
			t.Fatal(err)
		}
		if size > 1 {
			other := (index + 1) % size
			if VerifyInclusion(other, size, all[index], path, root) == nil || VerifyInclusion(index, size, all[other], path, root) == nil {
				t.Fatalf("the proof of %d holds for %d", index, other)
			}
		}
		olderRoot := reference(older)
		path, err = s.Consistency(older, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyConsistency(older, size, path, olderRoot, root); err != nil {
			t.Fatal(err)
		}
		olderRoot[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		if err := VerifyConsistency(older, size, path, olderRoot, root); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("another older root: %v", err)
		}
		b, err := s.Builder(older)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range all[older:size] {
			b.Append(h, nil)
		}
		if b.Root() != root {
			t.Fatalf("resumed at %d: root over %d is %s, want %s", older, size, b.Root(), root)
		}
	})
}

// Events that are missing are an error, not another root.
func TestMissingLeaves(t *testing.T) {
	s, _ := sourceOf(leaves(1000, 0), 512)
	if _, err := s.Root(1001); !fault.Is(err, fault.Corrupt) {
		t.Errorf("root over more than there is: %v", err)
	}
	if _, err := s.Inclusion(5, 5); !fault.Is(err, fault.Invalid) {
		t.Errorf("inclusion of what is not in the tree: %v", err)
	}
	if _, err := s.Consistency(6, 5); !fault.Is(err, fault.Invalid) {
		t.Errorf("consistency backwards: %v", err)
	}
}

// A node of level 8 and above is kept for each that is complete.
func TestStoredNodes(t *testing.T) {
	_, kept := sourceOf(leaves(2048, 0), 2048)
	if want := 8 + 4 + 2 + 1; len(kept) != want {
		t.Errorf("%d nodes of 2048 leaves, want %d", len(kept), want)
	}
	if kept[nodeID{8, 3}] == kept[nodeID{8, 2}] {
		t.Error("two nodes are equal")
	}
}

func BenchmarkAppend(b *testing.B) {
	envelope := make([]byte, 440)
	var t Builder
	b.ReportAllocs()
	b.SetBytes(int64(len(envelope)))
	for b.Loop() {
		t.Append(Leaf(envelope), func(uint, uint64, Hash) {})
	}
}
