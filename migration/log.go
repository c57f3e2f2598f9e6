package migration

import (
	"encoding/binary"
	"errors"
	"io"
)

// batchHeader is the size of what stands before the entries of a batch:
// sequence u64 and number of entries u32, little-endian.
const batchHeader = 12

// sequences is the range of the store's sequence numbers that its logs hold.
type sequences struct {
	any   bool
	first uint64
	next  uint64 // one above the last
}

// readLog checks the framing of a whole write-ahead log and that its batches
// follow one another without a gap, continuing s. keep, if not nil, gets every batch.
func (s *sequences) readLog(name string, r io.Reader, keep func(batch []byte) error) error {
	f := newFrames(name, r)
	for {
		batch, at, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(batch) < batchHeader {
			return f.corrupt(at, "batch of %d bytes, want at least %d", len(batch), batchHeader)
		}
		sequence := binary.LittleEndian.Uint64(batch)
		count := binary.LittleEndian.Uint32(batch[8:])
		switch {
		case !s.any:
			s.any, s.first = true, sequence
		case sequence != s.next:
			return f.corrupt(at, "batch begins at sequence %d, the one before ends at %d: records are missing", sequence, s.next-1)
		}
		s.next = sequence + uint64(count)
		if keep != nil {
			if err := keep(batch); err != nil {
				return err
			}
		}
	}
}
