package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// The head file holds two slots, each in a page of its own so that a torn write
// damages one of them only. Layout of a slot, integers big-endian:
//
//	 0  8  magic "ALYSHEAD"
//	 8  4  format version
//	12 16  journal id
//	28  8  sequence
//	36 32  hash
//	68  4  CRC-32C of bytes 0 to 67
const (
	headMagic    = "ALYSHEAD"
	headSlotSize = 72
	headPage     = 4096
	headFileSize = 2 * headPage
)

// headVersion is the version of the head file.
const headVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one slot of the head file: a head and the journal it belongs to.
type record struct {
	id   ID
	head Head
}

func encodeSlot(r record) []byte {
	b := make([]byte, 0, headSlotSize)
	b = append(b, headMagic...)
	b = binary.BigEndian.AppendUint32(b, headVersion)
	b = append(b, r.id[:]...)
	b = binary.BigEndian.AppendUint64(b, r.head.Sequence)
	b = append(b, r.head.Hash[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeSlot reads a slot. A slot whose checksum is right but whose version is
// not known is an ErrNewerFormat; anything else wrong is a damaged slot.
func decodeSlot(b []byte) (record, error) {
	if len(b) < headSlotSize {
		return record{}, fmt.Errorf("%d bytes, want %d", len(b), headSlotSize)
	}
	b = b[:headSlotSize]
	if string(b[:8]) != headMagic {
		return record{}, errors.New("no magic")
	}
	sum := binary.BigEndian.Uint32(b[68:])
	if got := crc32.Checksum(b[:68], castagnoli); got != sum {
		return record{}, fmt.Errorf("checksum %08x, computed %08x", sum, got)
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != headVersion {
		return record{}, fault.New(fault.Invalid, "head file of format %d, this program reads %d: %w", v, headVersion, ErrNewerFormat)
	}
	r := record{id: ID(b[12:28])}
	r.head.Sequence = binary.BigEndian.Uint64(b[28:])
	r.head.Hash = Hash(b[36:68])
	return r, nil
}

// headState is what reading the head file found.
type headState uint8

const (
	headAbsent   headState = iota // no file
	headBad                       // no slot readable
	headConflict                  // two readable slots that cannot both be true
	headNewer                     // written by a newer program
	headOK
)

// noSlots describes the slots of a file that is not there.
var noSlots = [2]string{"no file", "no file"}

var headStates = [...]string{headAbsent: isAbsent, headBad: isBad, headConflict: inConflict, headNewer: isNewer, headOK: isOK}

// String returns the state as the recovery table calls it.
func (s headState) String() string { return headStates[s] }

// headRead is the head file as found: its newest record, which slot that is in,
// and what is wrong with the other one.
type headRead struct {
	state   headState
	slots   [2]string // what each slot holds, for people
	record  record
	slot    int
	warning string // about a slot that is damaged beside a good one
	detail  error  // why the state is not ok
}

// readHeadFile reads the record. Its error is a failure to read, never damage.
func readHeadFile(fs vfs.FS, path string) (headRead, error) {
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return headRead{state: headAbsent, slots: noSlots}, nil
	}
	if err != nil {
		return headRead{}, fault.Wrap(fault.Fatal, err, "open head file "+path)
	}
	defer f.Close()
	buf := make([]byte, headFileSize)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return headRead{}, fault.Wrap(fault.Fatal, err, "read head file "+path)
	}
	return judgeSlots(buf[:n]), nil
}

// judgeSlots reads both slots and picks the newest readable one.
func judgeSlots(file []byte) headRead {
	var rec [2]record
	var bad [2]error
	var slots [2]string
	for i := range rec {
		rec[i], bad[i] = decodeSlot(file[min(i*headPage, len(file)):min((i+1)*headPage, len(file))])
		slots[i] = fmt.Sprintf("record %s of journal %s", rec[i].head, rec[i].id)
		if bad[i] != nil {
			slots[i] = "unreadable: " + bad[i].Error()
		}
	}
	read := pickSlot(rec, bad)
	read.slots = slots
	return read
}

// pickSlot is the table of slots of docs/decisions/0018-journal-recovery.md.
func pickSlot(rec [2]record, bad [2]error) headRead {
	for _, err := range bad {
		if errors.Is(err, ErrNewerFormat) {
			return headRead{state: headNewer, detail: err}
		}
	}
	a, b := rec[0], rec[1]
	switch {
	case bad[0] != nil && bad[1] != nil:
		return headRead{state: headBad, detail: fmt.Errorf("first slot: %w; second slot: %w", bad[0], bad[1])}
	case bad[0] != nil:
		return headRead{state: headOK, record: b, slot: 1, warning: "first slot: " + bad[0].Error()}
	case bad[1] != nil:
		return headRead{state: headOK, record: a, slot: 0, warning: "second slot: " + bad[1].Error()}
	case a.id != b.id:
		return headRead{state: headConflict, detail: fmt.Errorf("slots of two journals, %s and %s", a.id, b.id)}
	case a.head.Sequence == b.head.Sequence && a.head.Hash != b.head.Hash:
		return headRead{state: headConflict, detail: fmt.Errorf("slots %s and %s", a.head, b.head)}
	case b.head.Sequence > a.head.Sequence:
		return headRead{state: headOK, record: b, slot: 1}
	default:
		return headRead{state: headOK, record: a, slot: 0}
	}
}

// headFile writes records, alternating between the slots so that the newest
// one written before is never touched.
type headFile struct {
	f    vfs.File
	path string
	id   ID
	next int // slot of the next write
}

// openHeadFile opens the file for writing after readHeadFile judged it, and
// creates it at full size when absent.
func openHeadFile(fs vfs.FS, path string, id ID, read headRead) (*headFile, error) {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "open head file "+path)
	}
	h := &headFile{f: f, path: path, id: id, next: 1 - read.slot}
	if read.state == headOK {
		return h, nil
	}
	h.next = 0
	if _, err = f.WriteAt(make([]byte, headFileSize), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(fs, fs.PathDir(path))
	}
	if err != nil {
		return nil, errors.Join(fault.Wrap(fault.Fatal, err, "create head file "+path), f.Close())
	}
	return h, nil
}

// write records a head and returns when it is on disk.
func (h *headFile) write(head Head) error {
	if _, err := h.f.WriteAt(encodeSlot(record{h.id, head}), int64(h.next)*headPage); err != nil {
		return fmt.Errorf("write head %s to %s: %w", head, h.path, err)
	}
	if err := h.f.SyncData(); err != nil {
		return fmt.Errorf("sync head %s to %s: %w", head, h.path, err)
	}
	h.next = 1 - h.next
	return nil
}

// writeBoth records a head in both slots, one after the other, so that damage
// to either of them loses nothing.
func (h *headFile) writeBoth(head Head) error {
	if err := h.write(head); err != nil {
		return err
	}
	return h.write(head)
}

func (h *headFile) close() error { return h.f.Close() }

func syncDir(fs vfs.FS, path string) error {
	d, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
