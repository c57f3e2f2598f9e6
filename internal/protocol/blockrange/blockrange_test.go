package blockrange_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// answers returns the recorded answers that are not empty.
func answers(tb testing.TB) (out [][]byte) {
	tb.Helper()
	lines, err := vectors.Lines(vectors.Dir("../../../testdata/legacy"), "range")
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range lines {
		var v struct{ Answer string }
		if err := json.Unmarshal(line, &v); err != nil {
			tb.Fatal(err)
		}
		data, err := hex.DecodeString(v.Answer)
		if err != nil {
			tb.Fatal(err)
		}
		if len(data) > 0 {
			out = append(out, data)
		}
	}
	return out
}

// TestRequest draws requests; the frames are those of the snappy package.
func TestRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := blockrange.Request{Start: rapid.Uint64().Draw(t, "start"), Count: rapid.Uint64().Draw(t, "count")}
		data := r.Encode()
		if back, err := blockrange.DecodeRequest(data); err != nil || back != r {
			t.Fatal(back, err)
		}
		body, err := io.ReadAll(snappy.NewReader(bytes.NewReader(data[1:])))
		if err != nil || data[0] != 16 || binary.LittleEndian.Uint64(body) != r.Start || binary.LittleEndian.Uint64(body[8:]) != r.Count {
			t.Fatalf("%x, %v", data, err)
		}
	})
}

// TestTruncated: every beginning of an answer is short, and says so.
func TestTruncated(t *testing.T) {
	for _, data := range answers(t) {
		for i := range data {
			if _, _, err := blockrange.DecodeChunk(data[:i]); !errors.Is(err, blockrange.ErrShort) || !fault.Is(err, fault.Invalid) {
				t.Fatalf("%d of %d bytes: %v", i, len(data), err)
			}
		}
		if _, rest, err := blockrange.DecodeChunk(append(bytes.Clone(data), 7)); err != nil || len(rest) != 1 {
			t.Fatal(rest, err)
		}
	}
}

// TestFlipped: no bit behind the code can change a block unnoticed. A changed offset
// of snappy may point at the same text elsewhere.
func TestFlipped(t *testing.T) {
	data := answers(t)[0]
	for i := 8; i < 8*len(data); i++ {
		changed := bytes.Clone(data)
		changed[i/8] ^= 1 << (i % 8)
		blocks, err := blockrange.DecodeAnswer(changed)
		if err != nil && fault.Is(err, fault.Invalid) {
			continue
		}
		if err != nil || len(blocks) != 1 {
			t.Fatalf("bit %d: %d blocks, %v", i, len(blocks), err)
		}
		if again, err := blockrange.AppendBlock(nil, blocks[0]); err != nil || !bytes.Equal(again, data) {
			t.Errorf("bit %d changes the block, %v", i, err)
		}
	}
}

// TestSeveral joins answers, with an error behind them.
func TestSeveral(t *testing.T) {
	all := answers(t)
	joined := bytes.Join(all, nil)
	blocks, err := blockrange.DecodeAnswer(joined)
	if err != nil || len(blocks) != len(all) {
		t.Fatal(len(blocks), err)
	}
	joined = blockrange.AppendError(joined, blockrange.RateLimited, strings.Repeat("slow down ", 100))
	blocks, err = blockrange.DecodeAnswer(joined)
	if !fault.Is(err, fault.Temporary) || len(blocks) != len(all) || !strings.Contains(err.Error(), "rate limited") {
		t.Errorf("%d blocks, %v", len(blocks), err)
	}
	blocks, err = blockrange.DecodeAnswer(blockrange.AppendError(nil, blockrange.Unavailable, ""))
	if !fault.Is(err, fault.Temporary) || len(blocks) != 0 || !strings.Contains(err.Error(), "unavailable") {
		t.Errorf("%d blocks, %v", len(blocks), err)
	}
	many := bytes.Repeat(all[0], blockrange.MaxCount+1)
	if blocks, err := blockrange.DecodeAnswer(many); !fault.Is(err, fault.Invalid) || len(blocks) != blockrange.MaxCount {
		t.Errorf("%d blocks, %v", len(blocks), err)
	}
}

// large returns a block of about size bytes.
func large(size int) *block.Signed {
	s := &block.Signed{Approvals: aura.None()}
	for i := range size / 1000 {
		tx := make([]byte, 500)
		for k := range tx {
			tx[k] = byte(i * k >> 3)
		}
		s.Block.Payload.Transactions = append(s.Block.Payload.Transactions, tx)
	}
	return s
}

// TestFrames: a block of several frames, as the snappy package writes it, and one
// that is too large.
func TestFrames(t *testing.T) {
	s := large(800_000)
	data, err := blockrange.AppendBlock(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	body := s.Encode()
	want := bytes.NewBuffer(binary.AppendUvarint([]byte{0}, uint64(len(body))))
	w := snappy.NewBufferedWriter(want)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want.Bytes()) {
		t.Error("the snappy package writes other frames")
	}
	blocks, err := blockrange.DecodeAnswer(data)
	if err != nil || len(blocks) != 1 || blocks[0].Root() != s.Root() {
		t.Fatal(len(blocks), err)
	}
	if _, err := blockrange.AppendBlock(nil, large(1_200_000)); !fault.Is(err, fault.Invalid) {
		t.Errorf("too large: %v", err)
	}
}

func TestRefused(t *testing.T) {
	id := "\xff\x06\x00\x00sNaPpY"
	for name, text := range map[string]string{
		"length above the limit": "\x00\x81\x80\x40" + id,
		"length of 64 bits":      "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + id,
		"length of 65 bits":      "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" + id,
		"length in a long form":  "\x00\x81\x00" + id,
		"no identifier":          "\x00\x01\x01\x05\x00\x00\x00\x00\x00\x00\x00",
		"other identifier":       "\x00\x01\xff\x06\x00\x00SnApPy",
		"unknown frame":          "\x00\x01" + id + "\x02\x00\x00\x00",
		"no checksum":            "\x00\x01" + id + "\x01\x03\x00\x00abc",
		"frame longer than body": "\x00\x01" + id + "\x01\x06\x00\x00\x00\x00\x00\x00ab",
		"claims 4 GiB":           "\x00\x01" + id + "\x00\x09\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f",
		"empty block":            "\x00\x00",
		"frames without data":    "\x00\x01" + id + strings.Repeat("\xfe\x00\x00\x00", 9),
		"text above 256":         "\x02\x81\x02" + id,
	} {
		if _, _, err := blockrange.DecodeChunk([]byte(text)); !fault.Is(err, fault.Invalid) || errors.Is(err, blockrange.ErrShort) {
			t.Errorf("%s: %v", name, err)
		}
	}
	request := blockrange.Request{Start: 5, Count: 1024}.Encode()
	if _, err := blockrange.DecodeRequest(append(request, 0)); !fault.Is(err, fault.Invalid) {
		t.Errorf("request with a byte more: %v", err)
	}
	if _, err := blockrange.DecodeRequest([]byte{0}); !fault.Is(err, fault.Invalid) {
		t.Errorf("empty request: %v", err)
	}
}

// FuzzDecodeAnswer: what decodes encodes again, and decodes to the same.
func FuzzDecodeAnswer(f *testing.F) {
	for _, data := range answers(f) {
		f.Add(data)
	}
	f.Add(blockrange.AppendError(nil, blockrange.ServerError, "x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks, err := blockrange.DecodeAnswer(data)
		if err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Temporary) {
			t.Fatal(err)
		}
		var again []byte
		for _, b := range blocks {
			if again, err = blockrange.AppendBlock(again, b); err != nil {
				t.Fatal(err)
			}
		}
		back, err := blockrange.DecodeAnswer(again)
		if err != nil || len(back) != len(blocks) {
			t.Fatalf("%d of %d blocks, %v", len(back), len(blocks), err)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add(blockrange.Request{Start: 5, Count: 1024}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := blockrange.DecodeRequest(data)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		if back, again := blockrange.DecodeRequest(r.Encode()); again != nil || back != r {
			t.Fatal(back, again)
		}
	})
}

func BenchmarkDecodeAnswer(b *testing.B) {
	data := answers(b)[0]
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := blockrange.DecodeAnswer(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendBlock(b *testing.B) {
	s := large(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := blockrange.AppendBlock(nil, s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestBarelyCompressible draws the line between the two types of frames where the
// snappy package draws it.
func TestBarelyCompressible(t *testing.T) {
	kinds := map[byte]int{}
	for repeated := range 128 {
		text := make([]byte, 256)
		for i := range text {
			text[i] = byte(i * 37)
		}
		copy(text[256-repeated:], text[:repeated])
		want := bytes.NewBuffer(binary.AppendUvarint([]byte{2}, uint64(len(text))))
		w := snappy.NewBufferedWriter(want)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := blockrange.AppendError(nil, blockrange.ServerError, string(text))
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d bytes repeated: other frames than the snappy package's", repeated)
		}
		kinds[got[3+10]]++
	}
	if len(kinds) != 2 {
		t.Errorf("frames of types %v", kinds)
	}
}

// TestFrameTooLarge: a frame holds 65,536 bytes, whatever the body's length allows.
func TestFrameTooLarge(t *testing.T) {
	for size, large := range map[int]bool{65536: false, 65537: true} {
		body := make([]byte, size)
		crc := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
		content := binary.LittleEndian.AppendUint32(nil, (crc>>15|crc<<17)+0xa282ead8)
		content = append(content, snappy.Encode(nil, body)...)
		data := append(binary.AppendUvarint([]byte{0}, uint64(size)), "\xff\x06\x00\x00sNaPpY"...)
		data = append(data, 0, byte(len(content)), byte(len(content)>>8), 0)
		_, _, err := blockrange.DecodeChunk(append(data, content...))
		if err == nil || strings.Contains(err.Error(), "snappy frame") != large {
			t.Errorf("frame of %d bytes: %v", size, err)
		}
	}
}

// TestIdentifierMissing takes the identifier out of a whole answer.
func TestIdentifierMissing(t *testing.T) {
	data := answers(t)[0]
	without := bytes.Replace(data, []byte("\xff\x06\x00\x00sNaPpY"), nil, 1)
	if _, err := blockrange.DecodeAnswer(without); !fault.Is(err, fault.Invalid) || len(without) != len(data)-10 {
		t.Error(err)
	}
}
