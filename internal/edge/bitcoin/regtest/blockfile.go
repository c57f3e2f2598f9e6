package regtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"syscall"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// blockMagic begins the file of blocks.
const blockMagic = "alysbtc1"

const (
	recordHeader = 8 // length and checksum
	minBlock     = 80 + 1 + 60
	maxBlock     = wire.MaxBlockPayload
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockFile is the append-only file of all blocks.
type blockFile struct {
	path  string
	f     *os.File
	size  int64
	count uint64
	// broken is set when a write failed and could not be taken back.
	broken error
}

// openBlockFile opens or makes the file, locks it, and gives every block in it to each.
// An incomplete record at the end is cut off; cut says how many bytes.
func openBlockFile(path string, each func(raw []byte) error) (b *blockFile, cut int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, fault.Wrap(fault.Fatal, err, "open the blocks of the regtest chain")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, 0, errors.Join(fault.Wrap(fault.Temporary, err, path+" is open in another process; stop it first"), f.Close())
	}
	b = &blockFile{path: path, f: f}
	if cut, err = b.load(each); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return b, cut, nil
}

func (b *blockFile) load(each func(raw []byte) error) (cut int64, err error) {
	info, err := b.f.Stat()
	if err != nil {
		return 0, fault.Wrap(fault.Fatal, err, "measure "+b.path)
	}
	end := info.Size()
	r := bufio.NewReaderSize(b.f, 1<<20)
	magic := make([]byte, min(end, int64(len(blockMagic))))
	if _, err := io.ReadFull(r, magic); err != nil {
		return 0, fault.Wrap(fault.Fatal, err, "read "+b.path)
	}
	if !bytes.Equal(magic, []byte(blockMagic)[:len(magic)]) {
		return 0, fault.New(fault.Corrupt, "%s is no file of blocks: it begins with %x, not %x; remove the directory, and the node's journal with it", b.path, magic, blockMagic)
	}
	if len(magic) < len(blockMagic) {
		return end, b.begin()
	}
	b.size = int64(len(blockMagic))
	for b.size < end {
		raw, err := b.next(r, end)
		if err != nil {
			return 0, err
		}
		if raw == nil {
			break
		}
		if err := each(raw); err != nil {
			return 0, err
		}
		b.size += recordHeader + int64(len(raw))
		b.count++
	}
	return end - b.size, b.cutOff(end)
}

// begin writes the head of a new file.
func (b *blockFile) begin() error {
	if _, err := b.f.WriteAt([]byte(blockMagic), 0); err != nil {
		return fault.Wrap(fault.Fatal, err, "write "+b.path)
	}
	b.size = int64(len(blockMagic))
	if _, err := b.f.Seek(b.size, io.SeekStart); err != nil {
		return fault.Wrap(fault.Fatal, err, "write "+b.path)
	}
	return b.sync()
}

// next reads the record at b.size; nil is an incomplete one at the end.
func (b *blockFile) next(r io.Reader, end int64) ([]byte, error) {
	var head [recordHeader]byte
	if end-b.size < recordHeader {
		return nil, nil
	}
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "read "+b.path)
	}
	length := int64(binary.LittleEndian.Uint32(head[:4]))
	last := b.size+recordHeader+length >= end
	if length < minBlock || length > maxBlock {
		if head == ([recordHeader]byte{}) && b.zeroes(r) {
			return nil, nil // a file system that had grown the file before a power cut
		}
		return nil, b.damaged("a block of %d bytes", length)
	}
	if b.size+recordHeader+length > end {
		return nil, nil
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "read "+b.path)
	}
	if sum := crc32.Checksum(raw, castagnoli); sum != binary.LittleEndian.Uint32(head[4:]) {
		if last {
			return nil, nil
		}
		return nil, b.damaged("its checksum is %08x, written was %08x", sum, binary.LittleEndian.Uint32(head[4:]))
	}
	return raw, nil
}

func (b *blockFile) damaged(format string, args ...any) error {
	return fault.New(fault.Corrupt, "%s is damaged at offset %d, block %d: %s; restore the file, or remove the data directory and begin a new chain",
		b.path, b.size, b.count+1, fmt.Sprintf(format, args...))
}

// zeroes reports whether nothing but zeroes follows.
func (b *blockFile) zeroes(r io.Reader) bool {
	buf := make([]byte, 1<<16)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return false
			}
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// cutOff drops what is behind the last whole block and goes there.
func (b *blockFile) cutOff(end int64) error {
	if b.size < end {
		if err := b.f.Truncate(b.size); err != nil {
			return fault.Wrap(fault.Fatal, err, "cut off the incomplete block of "+b.path)
		}
		if err := b.sync(); err != nil {
			return err
		}
	}
	_, err := b.f.Seek(b.size, io.SeekStart)
	return fault.Wrap(fault.Fatal, err, "read "+b.path)
}

// append writes a block, which sync makes durable. A write that fails is taken back.
func (b *blockFile) append(raw []byte) error {
	if b.broken != nil {
		return b.broken
	}
	if len(raw) < minBlock || len(raw) > maxBlock {
		return fault.New(fault.Invalid, "a block of %d bytes", len(raw))
	}
	record := make([]byte, recordHeader, recordHeader+len(raw))
	binary.LittleEndian.PutUint32(record[:4], uint32(len(raw)))
	binary.LittleEndian.PutUint32(record[4:], crc32.Checksum(raw, castagnoli))
	record = append(record, raw...)
	if _, err := b.f.WriteAt(record, b.size); err != nil {
		if back := b.f.Truncate(b.size); back != nil {
			b.broken = fault.Wrap(fault.Fatal, back, "take back a failed write to "+b.path)
		}
		return fault.Wrap(fault.Temporary, err, "write a block to "+b.path)
	}
	b.size += int64(len(record))
	b.count++
	return nil
}

func (b *blockFile) sync() error {
	if err := b.f.Sync(); err != nil {
		b.broken = fault.Wrap(fault.Fatal, err, "sync "+b.path)
		return b.broken
	}
	return nil
}

func (b *blockFile) close() error {
	return fault.Wrap(fault.Temporary, b.f.Close(), "close "+b.path)
}
