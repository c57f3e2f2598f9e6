package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// ManifestName is the file that makes a directory a backup.
const ManifestName = "MANIFEST"

// Version is the newest format that this program reads. It writes 1 where the
// backup holds all events, so that older programs read it.
const (
	Version        = 2
	versionWithout = 1 // [Manifest.Elsewhere]
)

// maxManifest bounds the memory for a manifest: millions of files.
const maxManifest = 1 << 30

// Manifest says what a backup holds.
type Manifest struct {
	Journal journal.ID
	Head    journal.Head // of the copied journal; it may hold later events
	Time    int64        // Unix milliseconds at which it was finished
	Files   []File       // ascending by path

	// Elsewhere says where the archived events are when they are not in the
	// backup; nil when all events are.
	Elsewhere *Elsewhere
}

// Elsewhere is the part of a journal that a backup refers to and does not hold.
type Elsewhere struct {
	Storage  string // as its String says
	Segments int
	Last     uint64 // events 1 to Last are there
	Bytes    int64  // of the segments
}

// FindElsewhere asks the storage for the size of each archived segment of a
// journal: one that is missing or has another size is an error.
func FindElsewhere(ctx context.Context, storage archive.Storage, segments []journal.Segment) (*Elsewhere, error) {
	if len(segments) == 0 {
		return nil, nil
	}
	e := &Elsewhere{Storage: storage.String(), Segments: len(segments), Last: segments[len(segments)-1].Last}
	for i := range segments {
		s := &segments[i]
		size, err := storage.Size(ctx, s.Name)
		if err == nil && size != s.Size {
			err = fault.New(fault.Corrupt, "it has %d bytes, the journal says %d", size, s.Size)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Of(err), err, fmt.Sprintf("backup: archived events %d to %d (%s)", s.First, s.Last, s.Name))
		}
		e.Bytes += size
	}
	return e, nil
}

// File is one file of a backup.
type File struct {
	Path string // relative, with slashes
	Size int64
	Sum  [32]byte // SHA-256
}

// Bytes returns the size of all files.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Files {
		n += m.Files[i].Size
	}
	return n
}

func (m *Manifest) encode() []byte {
	var b bytes.Buffer
	version := versionWithout
	if m.Elsewhere != nil {
		version = Version
	}
	fmt.Fprintf(&b, "alys backup %d\njournal %s\nhead %d %s\ntime %d\n", version, m.Journal, m.Head.Sequence, m.Head.Hash, m.Time)
	if e := m.Elsewhere; e != nil {
		fmt.Fprintf(&b, "elsewhere %d %d %d %q\n", e.Segments, e.Last, e.Bytes, e.Storage)
	}
	for i := range m.Files {
		f := &m.Files[i]
		fmt.Fprintf(&b, "%x %d %s\n", f.Sum, f.Size, f.Path)
	}
	fmt.Fprintf(&b, "sum %x\n", sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// decodeManifest accepts exactly what encode makes.
func decodeManifest(data []byte) (m Manifest, err error) {
	bad := func(format string, args ...any) (Manifest, error) {
		return Manifest{}, fault.New(fault.Corrupt, "backup manifest: "+format, args...)
	}
	lines := strings.SplitAfter(string(data), "\n")
	if v, ok := strings.CutPrefix(lines[0], "alys backup "); !ok {
		return bad("it is none")
	} else if n, err := strconv.Atoi(strings.TrimSuffix(v, "\n")); err == nil && n > Version {
		return Manifest{}, fault.New(fault.Invalid, "the backup has format %d, this program reads %d; use the program that wrote it", n, Version)
	}
	if len(lines) < 6 {
		return bad("it is cut short")
	}
	var id, hash string
	if _, err := fmt.Sscanf(lines[1]+lines[2]+lines[3], "journal %32s\nhead %d %64s\ntime %d\n", &id, &m.Head.Sequence, &hash, &m.Time); err != nil {
		return bad("its first lines are damaged: %v", err)
	}
	if !decodeHex(m.Journal[:], id) || !decodeHex(m.Head.Hash[:], hash) {
		return bad("journal or hash are no hexadecimal digits")
	}
	files := lines[4 : len(lines)-2]
	if len(files) > 0 && strings.HasPrefix(files[0], "elsewhere ") {
		var e Elsewhere
		if _, err := fmt.Sscanf(files[0], "elsewhere %d %d %d %q\n", &e.Segments, &e.Last, &e.Bytes, &e.Storage); err != nil {
			return bad("the line %.300q is damaged", files[0])
		}
		m.Elsewhere, files = &e, files[1:]
	}
	for _, line := range files {
		f, ok := decodeFile(strings.TrimSuffix(line, "\n"))
		if !ok || len(m.Files) > 0 && m.Files[len(m.Files)-1].Path >= f.Path {
			return bad("the line %.300q is damaged", line)
		}
		m.Files = append(m.Files, f)
	}
	if !bytes.Equal(m.encode(), data) {
		return bad("its sum is wrong")
	}
	return m, nil
}

func decodeHex(into []byte, text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && copy(into, b) == len(into) && len(b) == len(into)
}

// decodeFile refuses paths that lead out of the backup.
func decodeFile(line string) (f File, ok bool) {
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 || !decodeHex(f.Sum[:], parts[0]) {
		return f, false
	}
	var err error
	if f.Size, err = strconv.ParseInt(parts[1], 10, 64); err != nil || f.Size < 0 {
		return f, false
	}
	f.Path = parts[2]
	inside := f.Path != "." && path.Clean(f.Path) == f.Path && !path.IsAbs(f.Path) && f.Path != ".." && !strings.HasPrefix(f.Path, "../")
	return f, inside && f.Path != ManifestName && !strings.ContainsAny(f.Path, "\\\x00")
}
