package block_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../testdata/legacy"

// legacyBlocks returns the signed blocks of the vectors, as bytes.
func legacyBlocks(tb testing.TB) [][]byte {
	tb.Helper()
	lines, err := vectors.Lines(vectors.Dir(legacyDir), "blocks")
	if err != nil {
		tb.Fatal(err)
	}
	blocks := make([][]byte, len(lines))
	for i, line := range lines {
		var v struct {
			Signed string `json:"signed_msgpack"`
		}
		if err := json.Unmarshal(line, &v); err != nil {
			tb.Fatal(err)
		}
		if blocks[i], err = hex.DecodeString(v.Signed); err != nil {
			tb.Fatal(err)
		}
	}
	return blocks
}

// TestDefault pins the all-default block that the pages state.
func TestDefault(t *testing.T) {
	s := &block.Signed{Approvals: aura.None()}
	want := common.HexToHash("3eff0bb62dae8aa18f33a886b9923560bfcdc95f3b24d69a970a79338da07d94")
	if got := s.Root(); got != want {
		t.Errorf("root %s, want %s", got, want)
	}
	if got := len(s.Block.Encode()); got != 991 {
		t.Errorf("%d bytes, want 991", got)
	}
	if got := len(s.Encode()); got != 1196 {
		t.Errorf("signed: %d bytes, want 1196", got)
	}
}

// TestRootAgainstTree compares the root with a tree built the long way.
func TestRootAgainstTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := block.Block{Slot: rapid.Uint64().Draw(t, "slot")}
		b.Payload.Transactions = [][]byte{rapid.SliceOfN(rapid.Byte(), 0, 9000).Draw(t, "tx")}
		data := b.Encode()
		leaves := 1
		for leaves*32 < len(data) {
			leaves *= 2
		}
		level := make([][32]byte, leaves)
		for i := range level {
			if 32*i < len(data) {
				copy(level[i][:], data[32*i:])
			}
		}
		for len(level) > 1 {
			next := make([][32]byte, len(level)/2)
			for i := range next {
				next[i] = sha256.Sum256(append(level[2*i][:], level[2*i+1][:]...))
			}
			level = next
		}
		if got := b.Root(); got != level[0] {
			t.Fatalf("root %s, want %x", got, level[0])
		}
	})
}

// TestTruncated cuts and extends a real block everywhere.
func TestTruncated(t *testing.T) {
	data := legacyBlocks(t)[1]
	for n := range data {
		if _, err := block.Decode(data[:n]); !fault.Is(err, fault.Invalid) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := block.Decode(append(bytes.Clone(data), 0)); !fault.Is(err, fault.Invalid) {
		t.Errorf("trailing byte: %v", err)
	}
}

func TestNoLengthMark(t *testing.T) {
	s := &block.Signed{} // zero approvals have no length mark
	if _, err := block.Decode(s.Encode()); !fault.Is(err, fault.Invalid) {
		t.Errorf("bits without length mark: %v", err)
	}
}

// TestClaimedLength gives a list a length the input does not have and looks at
// the memory the refusal takes.
func TestClaimedLength(t *testing.T) {
	whole := (&block.Block{}).Encode()
	// The last three bytes are pegins, proposal and finalized peg-outs; before
	// them stand the empty lists of withdrawals and transactions.
	for back := 1; back <= 5; back++ {
		at := len(whole) - back
		if whole[at] != 0x90 {
			continue
		}
		data := append(bytes.Clone(whole[:at]), 0xdd, 0x7f, 0xff, 0xff, 0xff)
		data = append(data, whole[at+1:]...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := block.DecodeBlock(data)
		runtime.ReadMemStats(&after)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("list %d from the end: %v", back, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("list %d from the end: %d bytes allocated for the refusal", back, grown)
		}
	}
}

func TestGenesis(t *testing.T) {
	c := spec.Dev()
	s := block.Genesis(c, block.Payload{})
	h := s.Block.AuxPowHeader
	if h == nil || h.AuxPow != nil || h.Bits != c.Bits || h.ChainID != c.ChainID || h.Height != 0 {
		t.Errorf("header %+v", h)
	}
	if !s.Approvals.Valid() || !s.Approvals.Empty() || s.Block.Slot != 0 {
		t.Errorf("genesis %+v", s)
	}
}

// small returns the n shortest of the legacy blocks: mutations of long ones
// mostly hit hex digits.
func small(tb testing.TB, n int) [][]byte {
	tb.Helper()
	blocks := legacyBlocks(tb)
	slices.SortFunc(blocks, func(a, b []byte) int { return len(a) - len(b) })
	return blocks[:n]
}

func FuzzDecode(f *testing.F) {
	for _, data := range small(f, 12) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := block.Decode(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("grade of %v", err)
			}
			return
		}
		if got := s.Encode(); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes to %x", data, got)
		}
		s.Root()
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	for _, data := range small(f, 12) {
		s, err := block.Decode(data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Block.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := block.DecodeBlock(data)
		if err == nil && !bytes.Equal(b.Encode(), data) {
			t.Fatalf("%x encodes to %x", data, b.Encode())
		}
	})
}

func FuzzDecodeAuxPowHeader(f *testing.F) {
	for _, data := range small(f, 40) {
		s, err := block.Decode(data)
		if err != nil {
			f.Fatal(err)
		}
		if h := s.Block.AuxPowHeader; h != nil {
			f.Add(h.Encode())
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := block.DecodeAuxPowHeader(data)
		if err == nil && !bytes.Equal(h.Encode(), data) {
			t.Fatalf("%x encodes to %x", data, h.Encode())
		}
	})
}

// filled returns a signed block with 100 transactions of 110 bytes.
func filled() *block.Signed {
	s := &block.Signed{Approvals: aura.None()}
	for range 100 {
		s.Block.Payload.Transactions = append(s.Block.Payload.Transactions, make([]byte, 110))
	}
	return s
}

func BenchmarkDecode(b *testing.B) {
	data := filled().Encode()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := block.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	s := filled()
	b.SetBytes(int64(len(s.Encode())))
	b.ReportAllocs()
	for b.Loop() {
		s.Encode()
	}
}

func BenchmarkRoot(b *testing.B) {
	s := filled()
	b.SetBytes(int64(len(s.Block.Encode())))
	b.ReportAllocs()
	for b.Loop() {
		s.Root()
	}
}
