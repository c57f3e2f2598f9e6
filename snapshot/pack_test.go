package snapshot_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/snapshot"
)

// What is packed unpacks to the same entries, over pack boundaries too.
func TestPacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, 100, 1 << 20, 5 << 20}).Draw(t, "size")
		count := rapid.IntRange(0, 9).Draw(t, "count")
		section := snapshot.Section{Name: "s", Walk: func(yield func(key, value []byte) error) error {
			for i := range count {
				value := bytes.Repeat([]byte{byte(i)}, size)
				if err := yield(binary.BigEndian.AppendUint32(nil, uint32(i)), value); err != nil {
					return err
				}
			}
			return nil
		}}
		var packs [][]byte
		if err := snapshot.Packs(section, func(p []byte) error { packs = append(packs, p); return nil }); err != nil {
			t.Fatal(err)
		}
		again := snapshot.Section{Name: "s", Walk: func(yield func(key, value []byte) error) error {
			for _, p := range packs {
				if err := snapshot.Unpack(p, yield); err != nil {
					return err
				}
			}
			return nil
		}}
		want, err := snapshot.Digest(section)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := snapshot.Digest(again); err != nil || got != want {
			t.Fatalf("digest %s, %v; want %s", got, err, want)
		}
	})
}

func TestPacksRefuseOrder(t *testing.T) {
	section := snapshot.Section{Name: "s", Walk: func(yield func(key, value []byte) error) error {
		if err := yield([]byte{2}, nil); err != nil {
			return err
		}
		return yield([]byte{1}, nil)
	}}
	if err := snapshot.Packs(section, func([]byte) error { return nil }); !fault.Is(err, fault.Fatal) {
		t.Errorf("error %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{1, 'a', 2, 'b', 'c'})
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, pack []byte) {
		size := 0
		err := snapshot.Unpack(pack, func(key, value []byte) error {
			size += len(key) + len(value)
			return nil
		})
		if size > len(pack) {
			t.Fatalf("%d bytes of entries in %d", size, len(pack))
		}
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatalf("grade of %v", err)
		}
	})
}
