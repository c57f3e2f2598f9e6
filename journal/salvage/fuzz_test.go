package salvage

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// seal makes the checksums of a mutated log right, so that the fuzzer gets
// behind them.
func seal(data []byte) {
	for at := 0; at+recycledHeader <= len(data); {
		n := int(binary.LittleEndian.Uint16(data[at+4:]))
		end := at + legacyHeader + n
		if kind := data[at+6]; kind > 8 {
			end += syncedHeader - legacyHeader
		} else if kind > 4 {
			end += recycledHeader - legacyHeader
		}
		if end > len(data) || end/logBlock != at/logBlock {
			return
		}
		binary.LittleEndian.PutUint32(data[at:], maskedCRC(data[at+6:end]))
		at = end
	}
}

func FuzzLog(f *testing.F) {
	d := makeDisk(f, 60, 100, false)
	for _, path := range files(f, d.fs) {
		if data := read(f, d.fs, path); len(data) < 100_000 {
			f.Add(data, true)
		}
	}
	f.Add(noise(rand.New(rand.NewPCG(1, 1)), 40_000), false)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			data = bytes.Clone(data)
			seal(data)
		}
		l := &logReader{name: "x", r: bytes.NewReader(data), note: func(Damage) {}}
		read := 0
		l.entry = func(_ byte, key, value []byte, _ string) { read += len(key) + len(value) }
		if err := l.read(); err != nil {
			t.Fatal(err)
		}
		if read > len(data) {
			t.Fatalf("%d bytes of entries in a log of %d", read, len(data))
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte("\x01\x09e\x00\x00\x00\x00\x00\x00\x00\x07\x03abc"), true, 4)
	f.Add([]byte("xx\x01\x09e\x00\x00\x00\x00\x00\x00\x00\x07\x7fabc"), false, 9)
	f.Fuzz(func(t *testing.T, data []byte, start bool, cut int) {
		var whole, parts int
		readEntries(data, start, true, func(byte, []byte, []byte) { whole++ })
		// In two pieces nothing is read that is not there in one, where all of
		// it can be parsed.
		if cut < 0 || cut > len(data) {
			return
		}
		rest, synced := readEntries(data[:cut], start, false, func(byte, []byte, []byte) { parts++ })
		if rest < 0 || rest > cut {
			t.Fatalf("rest %d of %d", rest, cut)
		}
		readEntries(data[cut-rest:], synced, true, func(byte, []byte, []byte) { parts++ })
		if parts < whole {
			t.Fatalf("%d entries in one piece, %d in two", whole, parts)
		}
	})
}

func FuzzBlock(f *testing.F) {
	d := makeDisk(f, 100, 100, true)
	for _, path := range files(f, d.fs) {
		data := read(f, d.fs, path)
		if len(data) < footerSize || string(data[len(data)-8:]) != tableMagic {
			continue
		}
		blocks, _ := tableBlocks(f, data)
		for _, b := range blocks {
			var in decompressor
			raw, err := in.block(data[b.to-blockTrailer], data[b.from:b.to-blockTrailer])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(bytes.Clone(raw), byte(0))
			f.Add(bytes.Clone(data[b.from:b.to-blockTrailer]), data[b.to-blockTrailer])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, compression byte) {
		var in decompressor
		defer in.close()
		raw, err := in.block(compression, data)
		if err != nil {
			return
		}
		b, err := parseDataBlock(raw)
		if err != nil {
			return
		}
		_ = b.each(func(r row) {
			if len(r.value) > len(raw) {
				t.Fatalf("value of %d bytes in a block of %d", len(r.value), len(raw))
			}
		})
	})
}

func FuzzTable(f *testing.F) {
	d := makeDisk(f, 40, 60, true)
	for _, path := range files(f, d.fs) {
		if data := read(f, d.fs, path); len(data) > footerSize && string(data[len(data)-8:]) == tableMagic {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		fs := vfs.NewMem()
		write(t, fs, "t", data)
		file, err := fs.Open("t")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		r := &tableReader{name: "t", file: file, size: int64(len(data)), note: func(Damage) {}}
		r.entry = func(byte, []byte, []byte, uint64, string) {}
		if err := r.read(); err != nil {
			t.Fatal(err)
		}
	})
}
