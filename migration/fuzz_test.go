package migration

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

func graded(t *testing.T, err error) {
	t.Helper()
	if err != nil && !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.Invalid) {
		t.Fatalf("graded %s: %v", fault.Of(err), err)
	}
}

func FuzzValues(f *testing.F) {
	f.Add(make([]byte, 40))
	f.Add(make([]byte, 32))
	f.Add([]byte{0xc2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := decodePosition(data)
		graded(t, err)
		if err == nil && (len(data) != 40 || !bytes.Equal(id.Root[:], data[:32])) {
			t.Fatalf("%x: %v", data, id)
		}
		root, err := decodeRoot(data)
		graded(t, err)
		if err == nil && !bytes.Equal(root[:], data) {
			t.Fatalf("%x: %v", data, root)
		}
		fees, err := decodeFees(data)
		graded(t, err)
		if err == nil && !bytes.Equal(fees.FillBytes(make([]byte, 32)), data) {
			t.Fatalf("%x: %v", data, fees)
		}
		if _, err = decodeScanned(data); (err == nil) != (len(data) == 4) {
			t.Fatalf("%x: %v", data, err)
		}
		graded(t, err)
	})
}

func FuzzCheckBlock(f *testing.F) {
	s := openStore(f, chainDB("crashed"))
	b := must(s.Branch(context.Background(), 1000))(f)
	for height := range b.Len() {
		f.Add(must(b.Block(height))(f).Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := checkBlock(7, common.Hash{1}, data)
		if err == nil {
			t.Fatal("no content has this root")
		}
		graded(t, err)
	})
}

func readFile(tb testing.TB, name string) []byte {
	return must(os.ReadFile(filepath.Join(chainDB("crashed"), name)))(tb)
}

func FuzzReadManifest(f *testing.F) {
	f.Add(readFile(f, "MANIFEST-000004"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readManifest("MANIFEST", bytes.NewReader(data))
		graded(t, err)
		if err != nil {
			return
		}
		again := must(m.rewritten(5))(t)
		back := must(readManifest("MANIFEST", bytes.NewReader(again)))(t)
		if back.lastSequence != 5 || back.logNumber != m.logNumber || len(back.tables) != len(m.tables) {
			t.Fatalf("%+v became %+v", m, back)
		}
	})
}

// FuzzApplyEdit looks behind the checksums of a manifest.
func FuzzApplyEdit(f *testing.F) {
	frames := newFrames("MANIFEST", bytes.NewReader(readFile(f, "MANIFEST-000004")))
	for {
		record, _, err := frames.next()
		if err == io.EOF {
			break
		}
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &manifest{tables: make(map[uint64]tableFile)}
		_ = m.apply(data) // it must return; whether it fails depends on the data
	})
}

func FuzzReadLog(f *testing.F) {
	log := readFile(f, "000006.log")
	f.Add(log[:200])
	f.Add(log[:40000])
	f.Fuzz(func(t *testing.T, data []byte) {
		graded(t, new(sequences).readLog("x.log", bytes.NewReader(data), nil))
	})
}

func FuzzParseExpected(f *testing.F) {
	f.Add(must(os.ReadFile(filepath.Join(chainsDir, "crashed", "expected.json")))(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := ParseExpected(data)
		graded(t, err)
		if err == nil {
			Compare(Actual{Finalized: new(message.BlockID)}, want)
		}
	})
}

// TestFrames writes records by the database library and reads them back, and
// finds every single changed byte that is not padding.
func TestFrames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	rapid.Check(t, func(r *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 9, 100, frameBlock - 15, frameBlock - 14, frameBlock - 13, frameBlock - 7, frameBlock, 100_000}), 1, 8).Draw(r, "sizes")
		var records [][]byte
		for i, n := range sizes {
			records = append(records, bytes.Repeat([]byte{byte(i + 1)}, n))
		}
		writeRecords(t, path, records)
		got := readRecords(t, path)
		if len(got) != len(records) {
			r.Fatalf("%d records, want %d", len(got), len(records))
		}
		for i := range got {
			if !bytes.Equal(got[i], records[i]) {
				r.Fatalf("record %d: %d bytes, want %d", i, len(got[i]), len(records[i]))
			}
		}
		data := must(os.ReadFile(path))(t)
		at := rapid.IntRange(0, len(data)-1).Draw(r, "at")
		data[at] ^= byte(rapid.IntRange(1, 255).Draw(r, "flip"))
		f := newFrames("log", bytes.NewReader(data))
		for i := 0; ; i++ {
			record, _, err := f.next()
			if fault.Is(err, fault.Corrupt) {
				return
			}
			if err == io.EOF && i == len(records) {
				return // padding
			}
			if err != nil || i >= len(records) || !bytes.Equal(record, records[i]) {
				r.Fatalf("offset %d: record %d: %v", at, i, err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{"single", "fed3"} {
		b.Run(name, func(b *testing.B) {
			im := newImport(b, chainDB(name), name, Options{})
			branch := must(im.store.Branch(context.Background(), 1000))(b)
			b.SetBytes(int64(branch.Bytes()))
			b.ReportAllocs()
			for b.Loop() {
				branch := must(im.store.Branch(context.Background(), 1000))(b)
				for height := range branch.Len() {
					must(branch.Block(height))(b)
				}
			}
			b.ReportMetric(float64(branch.Len())*float64(b.N)/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}

// BenchmarkVerifyLong has a store of several tables, read from disk.
func BenchmarkVerifyLong(b *testing.B) {
	dir, c, genesis := synthetic(b, 10_000, 1000)
	b.ReportAllocs()
	blocks := uint64(0)
	for b.Loop() {
		s := must(OpenStore(dir))(b)
		im := must(New(s, c, genesis, Options{}))(b)
		blocks += must(im.Verify(context.Background()))(b).Blocks
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(blocks)/b.Elapsed().Seconds(), "blocks/s")
}
