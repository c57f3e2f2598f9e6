package auxpow_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../testdata/legacy"

type vector struct {
	Namecoin, Msgpack string
	Commitment        string `json:"commitment_internal"`
	ChainID           uint32 `json:"chain_id"`
	Result            string
}

func legacyProofs(tb testing.TB) (proofs []vector, namecoin, packed [][]byte) {
	tb.Helper()
	lines, err := vectors.Lines(vectors.Dir(legacyDir), "auxpow")
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range lines {
		v := struct {
			vector
			Namecoin string `json:"auxpow"`
		}{}
		if err := json.Unmarshal(line, &v); err != nil {
			tb.Fatal(err)
		}
		a, errA := hex.DecodeString(v.Namecoin)
		b, errB := hex.DecodeString(v.Msgpack)
		if err := errors.Join(errA, errB); err != nil {
			tb.Fatal(err)
		}
		proofs, namecoin, packed = append(proofs, v.vector), append(namecoin, a), append(packed, b)
	}
	return proofs, namecoin, packed
}

// TestRetargetPage pins the figures of consensus.md C9.
func TestRetargetPage(t *testing.T) {
	shipped := spec.Retarget{TargetTimespan: 60, TargetSpacing: 5, MaxAdjustment: 20}
	for _, c := range []struct {
		head, passed uint64
		want         uint32
	}{
		{24, 1, 0x1c3332ff}, {24, 4, 0x1c3332ff}, {24, 5, 0x1d00fffe},
		{24, 6, 0x1d013331}, {24, 12, 0x1d013331}, {25, 13, 0x1d013331},
		{25, 5, 0x1d00ffff}, {25, 12, 0x1d00ffff},
	} {
		got, err := auxpow.NextBits(shipped, 0x1d00ffff, c.head+1-c.passed, c.head)
		if err != nil || got != c.want {
			t.Errorf("head %d, d %d: %#08x, %v, want %#08x", c.head, c.passed, got, err, c.want)
		}
	}
}

// TestRetargetEdges covers what no vector may reach.
func TestRetargetEdges(t *testing.T) {
	usual := spec.Retarget{TargetTimespan: 60, TargetSpacing: 5, MaxAdjustment: 20}
	for _, c := range []struct {
		name       string
		p          spec.Retarget
		last, head uint64
	}{
		{"last above the next block", usual, 14, 12},
		{"head at the end of heights", usual, 0, math.MaxUint64},
		{"spacing zero", spec.Retarget{TargetTimespan: 60}, 0, 12},
		{"timespan below spacing", spec.Retarget{TargetTimespan: 4, TargetSpacing: 5}, 0, 12},
	} {
		if _, err := auxpow.NextBits(c.p, 0x1d00ffff, c.last, c.head); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got, err := auxpow.NextBits(spec.Retarget{NoRetargeting: true}, 7, 9, 0); err != nil || got != 7 {
		t.Errorf("no retargeting: %d %v", got, err)
	}
	// The largest target grows past 256 bits and stays at their end.
	most := spec.Retarget{TargetTimespan: 1, TargetSpacing: 1, MaxAdjustment: 255}
	if got, err := auxpow.NextBits(most, 0x207fffff, 0, math.MaxUint64-1); err != nil || got != 0x2100ffff {
		t.Errorf("saturation: %#08x %v", got, err)
	}
}

// TestRetargetBounded draws parameters: the new target is never above the old one
// by more than the adjustment, and never negative.
func TestRetargetBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := spec.Retarget{
			TargetSpacing:  rapid.Uint64Range(1, math.MaxUint64).Draw(t, "spacing"),
			TargetTimespan: math.MaxUint64,
			MaxAdjustment:  rapid.Uint8().Draw(t, "adjustment"),
		}
		bits := rapid.Uint32().Draw(t, "bits")
		last := rapid.Uint64().Draw(t, "last")
		head := rapid.Uint64Range(last, math.MaxUint64).Draw(t, "head")
		got, err := auxpow.NextBits(p, bits, last, head)
		if err != nil {
			if head != math.MaxUint64 {
				t.Fatal(err)
			}
			return
		}
		if got == bits {
			return
		}
		limit := auxpow.RetargetTarget(bits)
		limit.Mul(limit, big.NewInt(100+int64(p.MaxAdjustment))).Quo(limit, big.NewInt(100))
		if auxpow.RetargetTarget(got).Cmp(limit) > 0 {
			t.Fatalf("%#08x to %#08x", bits, got)
		}
	})
}

// TestCompactRoundTrip draws targets: encoding keeps at least 15 bits and never
// rounds up.
func TestCompactRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "target"))
		back := auxpow.RetargetTarget(auxpow.CompactFromTarget(target))
		if back.Cmp(target) > 0 {
			t.Fatalf("%x rounds up to %x", target, back)
		}
		if lost := new(big.Int).Sub(target, back); lost.Sign() > 0 && lost.BitLen() > target.BitLen()-15 {
			t.Fatalf("%x becomes %x", target, back)
		}
	})
	if auxpow.CompactFromTarget(big.NewInt(-5)) != 0 {
		t.Error("negative target")
	}
	wide := new(big.Int).Lsh(big.NewInt(1), 300)
	if got := auxpow.CompactFromTarget(wide); got != 0x2100ffff {
		t.Errorf("target of 301 bits: %#08x", got)
	}
}

func TestCommitment(t *testing.T) {
	a, b := common.Hash{1}, common.Hash{2}
	want := chainhash.DoubleHashH(append(a.Bytes(), b.Bytes()...))
	if got := auxpow.Commitment([]common.Hash{a, b}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestTruncated cuts and extends a real proof everywhere, in both forms.
func TestTruncated(t *testing.T) {
	_, namecoin, packed := legacyProofs(t)
	for n := range namecoin[0] {
		if _, err := auxpow.ParseNamecoin(namecoin[0][:n]); !fault.Is(err, fault.Invalid) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for n := range packed[0] {
		if _, err := auxpow.Decode(packed[0][:n]); !fault.Is(err, fault.Invalid) {
			t.Fatalf("%d bytes of msgpack: %v", n, err)
		}
	}
	if _, err := auxpow.ParseNamecoin(append(bytes.Clone(namecoin[0]), 0)); !fault.Is(err, fault.Invalid) {
		t.Errorf("trailing byte: %v", err)
	}
	if _, err := auxpow.ParseNamecoin(make([]byte, auxpow.MaxSize+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzParseNamecoin(f *testing.F) {
	_, namecoin, _ := legacyProofs(f)
	for i := 0; i < len(namecoin); i += 17 {
		f.Add(namecoin[i])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := auxpow.ParseNamecoin(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("grade of %v", err)
			}
			return
		}
		if got := a.Namecoin(); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes to %x", data, got)
		}
		judge(t, a)
	})
}

func FuzzDecode(f *testing.F) {
	_, _, packed := legacyProofs(f)
	for i := 0; i < len(packed); i += 17 {
		f.Add(packed[i])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := auxpow.Decode(data)
		if err != nil {
			return
		}
		if got := a.Encode(); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes to %x", data, got)
		}
		judge(t, a)
	})
}

// judge runs the checks, which must end in a verdict for any proof.
func judge(t *testing.T, a *auxpow.AuxPow) {
	var defect auxpow.Defect
	if err := a.CheckStructure(chainhash.Hash{}, 1); err != nil && !errors.As(err, &defect) {
		t.Fatalf("error %v names no defect", err)
	}
	a.CheckWork(a.ParentBlock.Bits)
}

func BenchmarkCheck(b *testing.B) {
	proofs, namecoin, _ := legacyProofs(b)
	a, err := auxpow.ParseNamecoin(namecoin[0])
	if err != nil {
		b.Fatal(err)
	}
	raw, err := hex.DecodeString(proofs[0].Commitment)
	if err != nil {
		b.Fatal(err)
	}
	commitment := chainhash.Hash(raw)
	b.ReportAllocs()
	for b.Loop() {
		if err := a.CheckStructure(commitment, proofs[0].ChainID); err != nil {
			b.Fatal(err)
		}
		a.CheckWork(0x1d00ffff)
	}
}

func BenchmarkParseNamecoin(b *testing.B) {
	_, namecoin, _ := legacyProofs(b)
	b.SetBytes(int64(len(namecoin[0])))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := auxpow.ParseNamecoin(namecoin[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCertain holds a recorded proof against commitments it is not over: the defect found
// is certain only if it is one of the proof itself.
func TestCertain(t *testing.T) {
	for _, c := range []struct {
		defect auxpow.Defect
		want   bool
	}{
		{auxpow.ParentHasChainID, true}, {auxpow.MerkleBranchTooLong, true}, {auxpow.MerkleRootIncorrect, true},
		{auxpow.InvalidMerkleSize, true}, {auxpow.WrongIndex, true},
		{auxpow.MissingMerkleRoot, false}, {auxpow.CoinbaseInvalidOutputs, false}, {auxpow.MissingHeader, false},
	} {
		if c.defect.Certain() != c.want {
			t.Errorf("%s: certain %t", c.defect, !c.want)
		}
	}
}
