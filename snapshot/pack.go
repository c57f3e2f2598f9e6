package snapshot

import (
	"bytes"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// packBytes is where a pack ends: with the first entry that takes it to so many
// bytes or more.
const packBytes = 4 << 20

// Packs walks a section and hands out its entries as runs of some megabytes, in
// the encoding of chunks. A pack is new memory; equal sections have equal packs.
func Packs(s Section, yield func(pack []byte) error) error {
	var pack, last []byte
	entries := 0
	err := s.Walk(func(key, value []byte) error {
		if len(key) > MaxKey || len(value) > MaxValue {
			return fault.New(fault.Fatal, "section %q: entry %s has a key of %d and a value of %d bytes, allowed are %d and %d",
				s.Name, abbreviate(key), len(key), len(value), MaxKey, MaxValue)
		}
		if entries > 0 && bytes.Compare(key, last) <= 0 {
			return fault.New(fault.Fatal, "section %q: key %s follows key %s, keys must ascend", s.Name, abbreviate(key), abbreviate(last))
		}
		entries++
		last = append(last[:0], key...)
		if pack = appendEntry(pack, key, value); len(pack) < packBytes {
			return nil
		}
		full := pack
		pack = nil
		return yield(full)
	})
	if err != nil {
		return fmt.Errorf("packing section %q: %w", s.Name, err)
	}
	if len(pack) > 0 {
		return yield(pack)
	}
	return nil
}

// Unpack calls entry for each entry of a pack. The slices share its memory. A
// pack that is no run of entries is Corrupt; whether they are the right ones,
// in order, is for the digest of the section to say.
func Unpack(pack []byte, entry func(key, value []byte) error) error {
	return eachEntry(pack, entry)
}

func eachEntry(data []byte, entry func(key, value []byte) error) error {
	for len(data) > 0 {
		key, value, rest, err := nextEntry(data)
		if err != nil {
			return err
		}
		if err := entry(key, value); err != nil {
			return err
		}
		data = rest
	}
	return nil
}
