package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// TestGoldenContent holds the stored forms to docs/formats/journal.md.
func TestGoldenContent(t *testing.T) {
	noise := make([]byte, leastCompressed)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	for _, c := range []struct{ data, stored string }{
		{"", "0000"},
		{"block", "0005" + hex.EncodeToString([]byte("block"))},
		{string(noise), "008001" + hex.EncodeToString(noise)},
	} {
		if got := hex.EncodeToString(AppendContent(nil, []byte(c.data))); got != c.stored {
			t.Errorf("%q is stored as %s, want %s", c.data, got, c.stored)
		}
	}
	// A frame made by the reference program: zstd -1 of 1000 zeros.
	frame, _ := hex.DecodeString("28b52ffd60e8024d00001000000100e32b8005")
	value := append(binary.AppendUvarint([]byte{codecZstd}, 1000), frame...)
	if got, err := DecodeContent(SumContent(make([]byte, 1000)), value); err != nil || len(got) != 1000 {
		t.Errorf("a frame of the zstd program: %v", err)
	}
}

func TestContentRoundTrip(t *testing.T) {
	noise := make([]byte, 1<<17)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	prefix := []byte("before")
	rapid.Check(t, func(rt *rapid.T) {
		data := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "unit"), rapid.IntRange(0, 300).Draw(rt, "times"))
		data = append(data, noise[:rapid.IntRange(0, len(noise)).Draw(rt, "noise")]...)
		stored := AppendContent(prefix, data)
		if !bytes.HasPrefix(stored, prefix) || len(stored) > len(prefix)+len(data)+4 {
			rt.Fatalf("%d bytes are stored as %d", len(data), len(stored)-len(prefix))
		}
		stored = stored[len(prefix):]
		got, err := DecodeContent(SumContent(data), stored)
		if err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("%d bytes: %v", len(data), err)
		}
		// What a journal of format 1 holds.
		if got, err := DecodeContent(SumContent(stored), stored); err != nil || !bytes.Equal(got, stored) {
			rt.Fatalf("as it is: %v", err)
		}
		at := rapid.IntRange(0, len(stored)-1).Draw(rt, "flip")
		stored[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if got, err := DecodeContent(SumContent(data), stored); err == nil && !bytes.Equal(got, data) {
			rt.Fatal("a flipped bit gives other bytes")
		} else if err != nil && !fault.Is(err, fault.Corrupt) {
			rt.Fatal(err)
		}
	})
}

func TestLargeContentCompresses(t *testing.T) {
	data := make([]byte, 64<<20)
	stored := AppendContent(nil, data)
	if len(stored) > 64<<10 {
		t.Fatalf("%d zeros are stored as %d bytes", len(data), len(stored))
	}
	if got, err := DecodeContent(SumContent(data), stored); err != nil || len(got) != len(data) {
		t.Fatal(err)
	}
}

// TestContentBomb: a length that no frame of that size can hold is not believed.
func TestContentBomb(t *testing.T) {
	value := binary.AppendUvarint([]byte{codecZstd}, MaxContent)
	value = append(value, 0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0)
	if n := leastAllocations(func() {
		if _, err := decodeCoded(value); err == nil {
			t.Fatal("it decodes")
		}
	}); n > 20 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzDecodeContent(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendContent(nil, []byte("block")))
	f.Add(AppendContent(nil, make([]byte, 5000)))
	f.Add(append([]byte{codecZstd, 0xff, 0xff, 0xff, 0xff, 0x03}, make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, value []byte) {
		data, err := decodeCoded(value)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatalf("grade %v: %v", fault.Of(err), err)
			}
			return
		}
		again, err := DecodeContent(SumContent(data), AppendContent(nil, data))
		if err != nil || !bytes.Equal(again, data) {
			t.Fatal(err)
		}
	})
}

func BenchmarkAppendContentValue(b *testing.B) {
	data := make([]byte, 64<<10)
	r := rand.NewChaCha8([32]byte{})
	for i := 0; i < len(data); i += 128 { // half noise, half structure
		_, _ = r.Read(data[i : i+64])
	}
	var dst []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendContent(dst[:0], data)
	}
}

func BenchmarkDecodeContent(b *testing.B) {
	data := make([]byte, 64<<10)
	r := rand.NewChaCha8([32]byte{})
	for i := 0; i < len(data); i += 128 {
		_, _ = r.Read(data[i : i+64])
	}
	h, value := SumContent(data), AppendContent(nil, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeContent(h, value); err != nil {
			b.Fatal(err)
		}
	}
}
