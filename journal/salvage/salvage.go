package salvage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// Options say what to read.
type Options struct {
	// FS is the file system of Dir; nil means the operating system's.
	FS vfs.FS
	// Dir is the journal's directory, or any directory with files of one.
	Dir string
	// Scratch is a directory that does not exist yet, on the operating
	// system's file system; what is found is sorted there, and Close removes
	// it. It takes about as much space as the journal.
	Scratch string
	// Progress, if not nil, is called now and then with bytes read and their
	// total.
	Progress func(done, total int64)
}

// Damage is a place in a file that could not be read as what it should be.
type Damage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes,omitempty"` // 0 when that is not known
	What   string `json:"what"`
	// Tail is set for what follows the last intact chunk of a log. A power
	// cut leaves such an end; the head file tells whether anything is missing.
	Tail bool `json:"tail,omitempty"`
}

// maxDamage bounds the list of damaged places; more are only counted.
const maxDamage = 10_000

// File is one file that was read.
type File struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // table, log, unknown
	Bytes   int64  `json:"bytes"`
	Intact  int    `json:"intact"` // blocks of a table or chunks of a log
	Entries int    `json:"entries"`
}

// Found is everything that was found in the files of a journal.
type Found struct {
	ID      journal.ID // of the journal
	HasID   bool       // false when no file tells
	Files   []File
	Damage  []Damage
	Damaged int // number of damaged places; Damage lists the first of them
	Anchors []Anchor
	Runs    []Run
	// Conflicts are stretches that chain but exclude a run: left over from a
	// turn that was never acknowledged, or from before a repair.
	Conflicts []Run
	Contents  uint64 // content objects whose bytes hash to their name
	// Acknowledged is the last event the head file knows; zero when the file
	// is lost.
	Acknowledged journal.Head
	Meta         map[string][]byte // metadata keys and their newest values

	opt      Options
	archived journal.Head // last event that left the database
	store    *store
	total    int64
	done     int64
}

// Scan reads every file below o.Dir and finds the runs of events. The result
// must be closed.
//
// Damage of any kind is in the result. Errors are Invalid for a directory
// without files of a journal, and Fatal when this machine fails.
func Scan(ctx context.Context, o Options) (f *Found, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	files, err := listFiles(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fault.New(fault.Invalid, "salvage: %s holds no file of a journal; name the directory that holds pebble/ and HEAD", o.Dir)
	}
	unlock, err := lock(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	f = &Found{opt: o}
	for _, file := range files {
		f.total += file.size
	}
	if f.store, err = openStore(o.Scratch); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return f, fault.Wrap(fault.Temporary, err, "salvage")
		}
		if err := f.file(file); err != nil {
			return f, fault.Wrap(fault.Fatal, err, "salvage: read "+file.path)
		}
	}
	if err := f.store.flush(); err != nil {
		return f, err
	}
	if err := f.identify(); err != nil {
		return f, err
	}
	return f, f.chain(ctx)
}

// lock keeps a node from using the directory meanwhile, where there is a lock
// file that can be locked. A disk that is mounted for reading only has no users
// to be kept away.
func lock(fs vfs.FS, dir string) (unlock func(), err error) {
	path := fs.PathJoin(dir, "LOCK")
	if _, err := fs.Stat(path); err != nil {
		return func() {}, nil
	}
	l, err := fs.Lock(path)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || err != nil && strings.Contains(err.Error(), "lock held by current process") {
		return nil, fault.New(fault.Temporary, "salvage: %w: stop the process that uses %s first", journal.ErrLocked, dir)
	}
	if err != nil {
		return func() {}, nil
	}
	return func() { _ = l.Close() }, nil
}

// Close removes the scratch directory.
func (f *Found) Close() error {
	err := f.store.close()
	return errors.Join(err, fault.Wrap(fault.Fatal, os.RemoveAll(f.opt.Scratch), "remove scratch directory"))
}

type foundFile struct {
	name string // below the directory
	path string
	size int64
}

// skipped are directories that hold no events of this store, and files that
// never do.
var skippedDirs = []string{"index", "archive"}

// listFiles returns the files to read, those with newer names last.
func listFiles(fs vfs.FS, dir string) ([]foundFile, error) {
	var out []foundFile
	var walk func(dir, name string, depth int) error
	walk = func(dir, name string, depth int) error {
		names, err := fs.List(dir)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "salvage: list "+dir)
		}
		slices.Sort(names)
		for _, n := range names {
			path, below := fs.PathJoin(dir, n), strings.TrimPrefix(name+"/"+n, "/")
			info, err := fs.Stat(path)
			if err != nil {
				continue // gone, or a link to nothing
			}
			if info.IsDir() {
				if depth < 3 && !slices.Contains(skippedDirs, n) {
					if err := walk(path, below, depth+1); err != nil {
						return err
					}
				}
				continue
			}
			if !bookkeeping(n) {
				out = append(out, foundFile{name: below, path: path, size: info.Size()})
			}
		}
		return nil
	}
	return out, walk(dir, "", 0)
}

// bookkeeping reports whether a file holds no data: the database's own records
// of which tables are live, options, locks.
func bookkeeping(name string) bool {
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "marker.", "LOCK", "CURRENT", "HEAD"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// file reads one file by its name, or by what it looks like.
func (f *Found) file(file foundFile) error {
	in, err := f.opt.FS.Open(file.path)
	if err != nil {
		return err
	}
	defer in.Close()
	entry := File{Name: file.name, Bytes: file.size, Kind: f.kind(file, in)}
	var failed error
	switch entry.Kind {
	case "table":
		t := &tableReader{name: file.name, file: in, size: file.size, note: f.note}
		t.entry = func(kind byte, key, value []byte, sequence uint64, place string) {
			entry.Entries++
			failed = errors.Join(failed, f.entry(kind, key, value, sequence, place))
		}
		err = t.read()
		entry.Intact = t.blocks
	default:
		l := &logReader{name: file.name, r: in, note: f.note}
		// The newest log is read last, and its database sequences are not
		// followed: among logs, later ones win.
		order := uint64(len(f.Files)+1) << 40
		l.entry = func(kind byte, key, value []byte, place string) {
			entry.Entries++
			order++
			failed = errors.Join(failed, f.entry(kind, key, value, order, place))
		}
		err = l.read()
		entry.Intact = l.chunks
		if file.size == 0 {
			f.note(Damage{File: file.name, What: "the file is empty"})
		}
	}
	f.Files = append(f.Files, entry)
	f.done += file.size
	f.tell()
	return errors.Join(err, failed)
}

// kind tells tables from logs. A file with another name, as a file system check
// leaves, is a table when it ends like one.
func (f *Found) kind(file foundFile, in vfs.File) string {
	switch {
	case strings.HasSuffix(file.name, ".sst"):
		return "table"
	case strings.HasSuffix(file.name, ".log"):
		return "log"
	}
	end := make([]byte, len(tableMagic))
	if file.size >= int64(len(end)) {
		if n, _ := in.ReadAt(end, file.size-int64(len(end))); n == len(end) && string(end) == tableMagic {
			return "table"
		}
	}
	return "unknown"
}

func (f *Found) tell() {
	if f.opt.Progress != nil {
		f.opt.Progress(f.done, f.total)
	}
}

func (f *Found) note(d Damage) {
	f.Damaged++
	if len(f.Damage) < maxDamage {
		f.Damage = append(f.Damage, d)
	}
}

// entry keeps what may belong to the journal.
func (f *Found) entry(kind byte, key, value []byte, order uint64, place string) error {
	if kind != kindSet || len(key) == 0 {
		return nil
	}
	switch {
	case key[0] == prefixEvent && len(key) == 1+8:
		if len(value) < hashLen {
			f.note(Damage{File: place, What: fmt.Sprintf("event %d has a value of %d bytes", binary.BigEndian.Uint64(key[1:]), len(value))})
			return nil
		}
		return f.store.putEvent(binary.BigEndian.Uint64(key[1:]), value)
	case key[0] == prefixContent && len(key) == 1+hashLen:
		h := journal.Hash(key[1:])
		if _, err := journal.DecodeContent(h, value); err != nil {
			f.note(Damage{File: place, What: fmt.Sprintf("content %s: %v", h, err)})
			return nil
		}
		return f.store.putContent(h, value)
	case key[0] == prefixMeta:
		return f.store.putMeta(key, order, value)
	}
	f.note(Damage{File: place, What: fmt.Sprintf("key %x is no key of a journal", key)})
	return nil
}

// metaID is the metadata key of the journal's identity.
const metaID = "mid"

// originAnchor is the name of the anchor before event 1.
const originAnchor = "origin"

// identify finds whose journal it is, and which hashes are known.
func (f *Found) identify() error {
	var err error
	if f.Meta, err = f.store.metadata(); err != nil {
		return err
	}
	if id := f.Meta[metaID]; len(id) == len(f.ID) {
		f.ID, f.HasID = journal.ID(id), true
	}
	for _, dir := range []string{f.opt.Dir, f.opt.FS.PathDir(f.opt.Dir)} {
		if _, err := f.opt.FS.Stat(f.opt.FS.PathJoin(dir, "HEAD")); err != nil {
			continue
		}
		if err := f.heads(dir); err != nil {
			return err
		}
		break
	}
	if !f.HasID {
		return nil
	}
	f.Anchors = append(f.Anchors, Anchor{Head: journal.Head{Hash: journal.Origin(f.ID)}, From: originAnchor})
	if value, ok := f.Meta[journal.ArchiveKey]; ok {
		if f.archived, err = journal.ArchivedHead(f.ID, value); err != nil {
			f.note(Damage{File: "record of the archive", What: err.Error()})
		} else if f.archived.Sequence > 0 {
			f.Anchors = append(f.Anchors, Anchor{Head: f.archived, From: "archive record"})
		}
	}
	return nil
}

// heads takes the records of the head file as anchors.
func (f *Found) heads(dir string) error {
	records, damage, err := journal.HeadRecords(f.opt.FS, dir)
	if err != nil {
		return err
	}
	for _, d := range damage {
		f.note(Damage{File: "HEAD", What: d.Error()})
	}
	for _, r := range records {
		if !f.HasID {
			f.ID, f.HasID = r.ID, true
		}
		if r.ID != f.ID {
			f.note(Damage{File: "HEAD", What: fmt.Sprintf("it belongs to journal %s, the database to %s", r.ID, f.ID)})
			continue
		}
		if r.Head.Sequence == 0 {
			continue
		}
		f.Anchors = append(f.Anchors, Anchor{Head: r.Head, From: "head file"})
		if r.Head.Sequence > f.Acknowledged.Sequence {
			f.Acknowledged = r.Head
		}
	}
	return nil
}

// chain finds the runs.
func (f *Found) chain(ctx context.Context) error {
	c := &chainer{anchors: f.Anchors, before: ^uint64(0)}
	err := f.store.eachSequence(0, ^uint64(0), func(sequence uint64, found []candidate) (bool, error) {
		if sequence != 0 {
			c.step(sequence, found)
		}
		return true, fault.Wrap(fault.Temporary, ctx.Err(), "salvage")
	})
	if err != nil {
		return err
	}
	f.Runs, f.Conflicts = c.runs()
	return f.store.each([]byte{prefixContent}, []byte{prefixContent + 1}, func(_, _ []byte) (bool, error) {
		f.Contents++
		return true, nil
	})
}

// Gap is a stretch of events that no file holds.
type Gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Gaps returns what is missing between the first event there ever was and the
// last one known of.
func (f *Found) Gaps() []Gap {
	next := f.firstHot()
	var out []Gap
	for _, r := range f.Runs {
		if r.First.Sequence > next {
			out = append(out, Gap{next, r.First.Sequence - 1})
		}
		next = max(next, r.Last.Sequence+1)
	}
	if f.Acknowledged.Sequence >= next {
		out = append(out, Gap{next, f.Acknowledged.Sequence})
	}
	return out
}

// firstHot is the first event that the database should hold; those before it
// are in the archive's segments, which are files of their own.
func (f *Found) firstHot() uint64 { return f.archived.Sequence + 1 }

// Event is one event of a run, as it was stored.
type Event struct {
	Sequence uint64
	Envelope []byte // valid until the next event
	Hash     journal.Hash
	// Proven is false for the first event of a run that is not linked to
	// anything known.
	Proven bool
}

// Each calls visit for every event of a run, in order.
func (f *Found) Each(r Run, visit func(Event) error) error {
	for i, s := range r.path {
		before, known := journal.Hash{}, false
		if i > 0 {
			before, known = r.path[i-1].last.Hash, true
		} else if r.Whole {
			for _, a := range f.Anchors {
				if a.Head.Sequence+1 == s.first.Sequence && a.From == r.Anchored {
					before, known = a.Head.Hash, true
				}
			}
		}
		if err := f.eachOf(s, before, known, visit); err != nil {
			return err
		}
	}
	return nil
}

func (f *Found) eachOf(s segment, before journal.Hash, known bool, visit func(Event) error) error {
	return f.store.eachSequence(s.first.Sequence, s.last.Sequence, func(sequence uint64, found []candidate) (bool, error) {
		for _, c := range found {
			if known && journal.Link(before, c.envelope) != c.hash {
				continue
			}
			if sequence == s.first.Sequence && (c.hash != s.first.Hash || !known && !plausible(sequence, c.envelope)) {
				continue
			}
			e := Event{Sequence: sequence, Envelope: c.envelope, Hash: c.hash, Proven: known}
			before, known = c.hash, true
			return true, visit(e)
		}
		return false, fault.New(fault.Fatal, "salvage: event %d was found and is not in the scratch database any more", sequence)
	})
}

// HasContent reports whether a content object was found.
func (f *Found) HasContent(h journal.Hash) bool {
	return f.store.hasContent(h)
}

// Content returns a content object that was found, checked by its hash.
func (f *Found) Content(h journal.Hash) ([]byte, error) {
	stored, err := f.store.content(h)
	if err != nil {
		return nil, fault.New(fault.Invalid, "salvage: content %s: %w", h, journal.ErrNotFound)
	}
	return journal.DecodeContent(h, stored)
}
