package blockrange_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// streams are what legacy answered, joined to answers of several blocks too.
func streams(tb testing.TB) [][]byte {
	tb.Helper()
	lines, err := vectors.Lines(vectors.Dir("../../../testdata/legacy"), "range")
	if err != nil {
		tb.Fatal(err)
	}
	out, all := [][]byte{nil}, []byte{}
	for _, line := range lines {
		var v struct{ Answer string }
		if err := json.Unmarshal(line, &v); err != nil {
			tb.Fatal(err)
		}
		data, err := hex.DecodeString(strings.TrimPrefix(v.Answer, "0x"))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, data...)
		out = append(out, data, bytes.Clone(all))
	}
	return append(out, blockrange.AppendError(bytes.Clone(all), blockrange.Unavailable, "not now"))
}

// read reads all chunks of a stream.
func read(r io.Reader) (chunks []blockrange.Chunk, bytes int, err error) {
	reader := blockrange.NewReader(bufio.NewReader(r))
	for {
		chunk, n, err := reader.Next()
		bytes += n
		if err != nil {
			return chunks, bytes, err
		}
		chunks = append(chunks, chunk)
	}
}

// TestReader reads recorded answers byte by byte and finds the same chunks as the
// decoder of whole answers; every cut is told from an end.
func TestReader(t *testing.T) {
	for i, answer := range streams(t) {
		chunks, n, err := read(iotest.OneByteReader(bytes.NewReader(answer)))
		if !errors.Is(err, io.EOF) || n != len(answer) {
			t.Fatalf("answer %d: %v after %d of %d bytes", i, err, n, len(answer))
		}
		rest := answer
		for _, got := range chunks {
			var want blockrange.Chunk
			if want, rest, err = blockrange.DecodeChunk(rest); err != nil {
				t.Fatal(err)
			}
			if got.Code != want.Code || !bytes.Equal(got.Text, want.Text) || (got.Block == nil) != (want.Block == nil) {
				t.Fatalf("answer %d: %+v, want %+v", i, got, want)
			}
			if got.Block != nil && !bytes.Equal(got.Block.Encode(), want.Block.Encode()) {
				t.Fatalf("answer %d: another block", i)
			}
		}
		if len(rest) > 0 {
			t.Fatalf("answer %d: %d bytes were passed over", i, len(rest))
		}
	}
	whole := streams(t)[1]
	for cut := 1; cut < len(whole); cut += 7 {
		if _, _, err := read(bytes.NewReader(whole[:cut])); !errors.Is(err, blockrange.ErrShort) {
			t.Fatalf("cut after %d bytes: %v", cut, err)
		}
	}
}

// TestReaderPassesOn holds that an error of the stream is not taken for one of its bytes.
func TestReaderPassesOn(t *testing.T) {
	late := errors.New("deadline")
	for _, before := range []int{0, 1, 3, 20, 200} {
		_, _, err := read(io.MultiReader(bytes.NewReader(streams(t)[1][:before]), iotest.ErrReader(late)))
		if !errors.Is(err, late) {
			t.Errorf("after %d bytes: %v", before, err)
		}
	}
}

// FuzzReader holds the reader to the decoder: the same chunks or a refusal by both, and
// no more read than a chunk may take.
func FuzzReader(f *testing.F) {
	for _, answer := range streams(f)[:4] {
		f.Add(answer)
	}
	f.Add(blockrange.AppendError(nil, blockrange.Unavailable, "not now"))
	f.Add([]byte("\x00\x80\x80\x40\xff\x06\x00\x00sNaPpY\x80\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := blockrange.NewReader(bytes.NewReader(data))
		rest := data
		for {
			got, n, err := reader.Next()
			if n > blockrange.MaxBody+blockrange.MaxBody/6+64 {
				t.Fatalf("%d bytes of one chunk", n)
			}
			if errors.Is(err, io.EOF) {
				if len(rest) > 0 {
					t.Fatalf("ends with %d bytes left", len(rest))
				}
				return
			}
			want, after, wantErr := blockrange.DecodeChunk(rest)
			if err != nil {
				if !fault.Is(err, fault.Invalid) {
					t.Fatalf("grade of %v", err)
				}
				if wantErr == nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if wantErr != nil || got.Code != want.Code || n != len(rest)-len(after) {
				t.Fatalf("%v chunk of %d bytes; decoder: %v, %d bytes, %v", got.Code, n, want.Code, len(rest)-len(after), wantErr)
			}
			rest = after
		}
	})
}
