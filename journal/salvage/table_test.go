package salvage

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableBlock is a data block of an undamaged table and the events in it, as the
// library tells them.
type tableBlock struct {
	from, to int // with the trailer
	events   []uint64
}

func tableBlocks(t testing.TB, data []byte) (blocks []tableBlock, index int) {
	t.Helper()
	r, err := sstable.NewMemReader(data, sstable.ReaderOptions{
		Comparer: pebble.DefaultComparer, KeySchemas: defaultSchemas(),
		Filters: map[string]sstable.FilterPolicy{bloom.FilterPolicy(10).Name(): bloom.FilterPolicy(10)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	layout, err := r.Layout()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range layout.Data {
		blocks = append(blocks, tableBlock{from: int(h.Offset), to: int(h.Offset + h.Length + blockTrailer)})
	}
	it, err := r.NewPointIter(context.Background(), sstable.IterOptions{Env: sstable.NoReadEnv})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	// Which block a key is in: its first key follows the last of the block before.
	at, rows := 0, blockRows(t, data, blocks[0])
	for kv := it.First(); kv != nil; kv = it.Next() {
		if rows == 0 {
			at++
			rows = blockRows(t, data, blocks[at])
		}
		rows--
		if key := kv.K.UserKey; key[0] == prefixEvent {
			blocks[at].events = append(blocks[at].events, binary.BigEndian.Uint64(key[1:]))
		}
	}
	if len(layout.Index) > 0 {
		index = int(layout.Index[0].Offset)
	}
	return blocks, index
}

// blockRows reads the number of rows from a block's header.
func blockRows(t testing.TB, data []byte, b tableBlock) int {
	t.Helper()
	var d decompressor
	raw, err := d.block(data[b.to-blockTrailer], data[b.from:b.to-blockTrailer])
	if err != nil {
		t.Fatal(err)
	}
	return int(binary.LittleEndian.Uint32(raw[7:]))
}

// eventTable leaves only the table with the most events on the disk.
func eventTable(t *testing.T, d *disk) (path string, whole []byte, blocks []tableBlock, index int) {
	t.Helper()
	var best int
	for _, f := range files(t, d.fs) {
		if !strings.HasSuffix(f, ".sst") {
			continue
		}
		data := read(t, d.fs, f)
		b, i := tableBlocks(t, data)
		n := 0
		for _, block := range b {
			n += len(block.events)
		}
		if n > best {
			path, whole, blocks, index, best = f, data, b, i, n
		}
	}
	for _, f := range files(t, d.fs) {
		if f != path && (strings.HasSuffix(f, ".log") || strings.HasSuffix(f, ".sst")) {
			if err := d.fs.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(blocks) < 10 {
		t.Fatalf("the table has %d blocks only", len(blocks))
	}
	return path, whole, blocks, index
}

// outside returns the events that no block but the damaged ones holds.
func outside(d *disk, blocks []tableBlock, damaged map[int]bool) map[uint64]bool {
	lost := allBut(d, nil)
	for i, b := range blocks {
		if !damaged[i] {
			for _, s := range b.events {
				delete(lost, s)
			}
		}
	}
	return lost
}

// TestDamagedTable damages data blocks, the index, the footer, and several of
// them at once, and cuts the table: a damaged block loses itself only.
func TestDamagedTable(t *testing.T) {
	d := makeDisk(t, 3000, 600, true)
	path, whole, blocks, index := eventTable(t, d)
	rng := rand.New(rand.NewPCG(7, 8))
	flip := func(data []byte, from, to int) { data[from+rng.IntN(to-from)] ^= 1 << rng.IntN(8) }
	for _, c := range []struct {
		name   string
		blocks int // damaged data blocks
		other  func(data []byte) []byte
		rounds int
	}{
		{"data", 3, nil, 20},
		{"footer", 0, func(data []byte) []byte { flip(data, len(data)-footerSize, len(data)); return data }, 5},
		{"index", 0, func(data []byte) []byte { flip(data, index, index+16); return data }, 5},
		{"cut", 0, func(data []byte) []byte { return data[:rng.IntN(len(data))] }, 20},
		{"data and footer", 2, func(data []byte) []byte { flip(data, len(data)-footerSize, len(data)); return data }, 8},
		{"data and cut", 1, func(data []byte) []byte { return data[:len(data)-1-rng.IntN(len(data)-index)] }, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range c.rounds {
				data := bytes.Clone(whole)
				damaged := map[int]bool{}
				for range c.blocks {
					b := rng.IntN(len(blocks))
					if !damaged[b] {
						damaged[b] = true
						flip(data, blocks[b].from, blocks[b].to)
					}
				}
				if c.other != nil {
					data = c.other(data)
				}
				for i, b := range blocks {
					if b.to > len(data) {
						damaged[i] = true
					}
				}
				fs := copyDisk(t, d.fs)
				write(t, fs, path, data)
				f, got := scan(t, d, fs)
				wantLost(t, d, got, outside(d, blocks, damaged))
				if f.Damaged == 0 {
					t.Error("damage is not reported")
				}
			}
		})
	}
}

// TestFilesGone removes half of the files, renames others as a file system check
// does, and adds files that are no journal's.
func TestFilesGone(t *testing.T) {
	d := makeDisk(t, 4000, 600, false)
	rng := rand.New(rand.NewPCG(9, 10))
	for round := range 10 {
		fs := copyDisk(t, d.fs)
		for i, f := range files(t, fs) {
			data := read(t, fs, f)
			switch base := fs.PathBase(f); {
			case base == "HEAD":
			case rng.IntN(2) == 0:
				if err := fs.Remove(f); err != nil {
					t.Fatal(err)
				}
			case rng.IntN(2) == 0:
				if err := fs.Remove(f); err != nil {
					t.Fatal(err)
				}
				write(t, fs, fs.PathJoin(fs.PathDir(f), "#"+strings.Repeat("1", i+1)), data)
			}
		}
		write(t, fs, dir+"/pebble/000999.sst", nil)
		write(t, fs, dir+"/pebble/000998.log", nil)
		write(t, fs, dir+"/pebble/000997.sst", noise(rng, 50_000))
		write(t, fs, dir+"/pebble/000996.log", noise(rng, 200_000))
		write(t, fs, dir+"/pebble/photo.jpg", noise(rng, 100_000))
		// What each file that is left holds by itself is what all hold together.
		want := map[uint64]bool{}
		for _, f := range files(t, fs) {
			if bookkeeping(fs.PathBase(f)) {
				continue
			}
			one := vfs.NewMem()
			if err := one.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, one, dir+"/"+fs.PathBase(f), read(t, fs, f))
			_, got := scan(t, d, one)
			for s := range got {
				want[s] = true
			}
		}
		f, got := scan(t, d, fs)
		if len(got) != len(want) {
			t.Errorf("round %d: %d events found, the files by themselves hold %d", round, len(got), len(want))
		}
		if f.Acknowledged.Sequence != d.last {
			t.Errorf("round %d: the head file says %d", round, f.Acknowledged.Sequence)
		}
	}
}

// TestChecksumPairs compares the search for all blocks at once with trying all
// pairs.
func TestChecksumPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 20 {
		data := noise(rng, 300)
		for range 3 {
			from := rng.IntN(200)
			to := from + 1 + rng.IntN(80)
			data[to] = compressionSnappy
			binary.LittleEndian.PutUint32(data[to+1:], maskedCRC(data[from:to+1]))
		}
		want := map[span]bool{}
		for from := range data {
			for to := from + 1; to+blockTrailer <= len(data); to++ {
				if knownCompression(data[to]) && le32(data[to+1:]) == maskedCRC(data[from:to+1]) {
					want[span{from, to}] = true
				}
			}
		}
		got := map[span]bool{}
		for _, s := range checksumPairs(data) {
			got[s] = true
		}
		if len(got) != len(want) || len(want) == 0 {
			t.Fatalf("%v, want %v", got, want)
		}
		for s := range want {
			if !got[s] {
				t.Errorf("%v is not found", s)
			}
		}
	}
}
