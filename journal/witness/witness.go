package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/tree"
)

const (
	seenDir     = "seen"     // one file a member: its newest checkpoint that was cosigned here
	oursDir     = "ours"     // one file a member: the newest checkpoint of ours that it cosigned
	evidenceDir = "evidence" // one file a finding
	maxEvidence = 64
)

// Options of a book. All but Clock are required; without a Key nothing is cosigned.
type Options struct {
	Dir       string
	Genesis   common.Hash // root of block 0
	Committee *aura.Committee
	Signer    note.Signer         // this node's note key
	Key       *checkpoint.NoteKey // this member's word for it; nil of a node that is no member
	Clock     func() time.Time
}

// Entry is a signed checkpoint of a member's journal.
type Entry struct {
	Key  checkpoint.NoteKey `json:"key"` // who signed
	Note string             `json:"note"`
	Time time.Time          `json:"time"` // when it came

	Checkpoint tree.Checkpoint `json:"-"` // of Note
}

// Finding is a contradiction between what a member signed at two times.
type Finding struct {
	Authority uint8     `json:"authority"`
	Kind      string    `json:"kind"` // one of the Kind constants
	Text      string    `json:"text"`
	Key       string    `json:"key"` // that checks both notes
	First     string    `json:"first"`
	Second    string    `json:"second"`
	Time      time.Time `json:"time"`
}

// Book is what is kept. Its methods may be called from many goroutines.
type Book struct {
	opt Options

	mu       sync.Mutex
	seen     map[uint8]Entry
	ours     map[uint8]Entry
	findings []Finding
}

// Open opens a book; its directory is made when something is kept. A damaged file is
// Corrupt: what was cosigned before must be known before anything is cosigned.
func Open(o Options) (*Book, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	b := &Book{opt: o, seen: map[uint8]Entry{}, ours: map[uint8]Entry{}}
	for _, at := range []struct {
		dir  string
		into map[uint8]Entry
	}{{seenDir, b.seen}, {oursDir, b.ours}} {
		err := readAll(filepath.Join(o.Dir, at.dir), func(path string, data []byte) error {
			var e Entry
			err := json.Unmarshal(data, &e)
			if err == nil {
				err = e.open()
			}
			at.into[e.Key.Authority] = e
			return fault.Wrap(fault.Corrupt, err, path+" is damaged; move it away, and the member's history is witnessed anew")
		})
		if err != nil {
			return nil, err
		}
	}
	return b, readAll(filepath.Join(o.Dir, evidenceDir), func(path string, data []byte) error {
		var f Finding
		err := json.Unmarshal(data, &f)
		b.findings = append(b.findings, f)
		return fault.Wrap(fault.Corrupt, err, path+" is damaged")
	})
}

// open checks an entry's note and reads what it says.
func (e *Entry) open() error {
	v, err := tree.ReadPublicKey(e.Key.Key)
	if err != nil {
		return err
	}
	e.Checkpoint, err = tree.OpenCheckpoint([]byte(e.Note), v)
	return err
}

func readAll(dir string, each func(path string, data []byte) error) error {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Fatal, err, "witnessed checkpoints")
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".json" {
			continue // left by a crash
		}
		path := filepath.Join(dir, f.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return fault.Wrap(fault.Fatal, err, "witnessed checkpoints")
		}
		if err := each(path, data); err != nil {
			return err
		}
	}
	return nil
}

// keep writes a file of the book, which is there whole after a crash.
func (b *Book) keep(dir, name string, v any) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	dir = filepath.Join(b.opt.Dir, dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, name+".json")
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Question is what to ask a member: for its newest checkpoint, and the proof that it
// continues the one cosigned last.
func (b *Book) Question(authority uint8) *checkpoint.AskJournal {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.seen[authority].Checkpoint
	return &checkpoint.AskJournal{Origin: last.Origin, Size: last.Size}
}

// Observe judges a member's answer to a question. It must have come from that member itself,
// for the proof in it is not signed. One that continues what was seen is kept and cosigned;
// nil when this node is no member, or there is nothing new. Errors: Invalid for an answer that
// proves nothing, Corrupt for a contradiction, which is kept as a finding, Temporary when it
// cannot be kept, or is the answer to an older question.
func (b *Book) Observe(authority uint8, asked *checkpoint.AskJournal, m *checkpoint.Journal) (*checkpoint.Cosigned, error) {
	e, err := b.read(m.Key, m.Note)
	if err != nil {
		return nil, err
	}
	if e.Key.Authority != authority {
		return nil, fault.New(fault.Invalid, "authority %d answers with a checkpoint of authority %d", authority, e.Key.Authority)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.seen[authority]
	if known && (asked.Origin != last.Checkpoint.Origin || asked.Size != last.Checkpoint.Size) {
		return nil, fault.New(fault.Temporary, "the answer of authority %d is to an older question", authority)
	}
	if known && last.Note == e.Note {
		return nil, nil
	}
	if known {
		if kind, text := judge(last.Checkpoint, e.Checkpoint, m.Path); kind != "" {
			return nil, b.find(Finding{Authority: authority, Kind: kind, Text: text, Key: e.Key.Key, First: last.Note, Second: e.Note})
		}
	}
	if err := b.keep(seenDir, name(authority), e); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "keeping a member's checkpoint")
	}
	b.seen[authority] = e
	if b.opt.Key == nil {
		return nil, nil
	}
	signed, err := e.Checkpoint.Sign(b.opt.Signer)
	return &checkpoint.Cosigned{Key: b.opt.Key, Note: signed}, err
}

func name(authority uint8) string { return fmt.Sprintf("%02d", authority) }

// read checks who signed a note, and that it is a member's of this chain.
func (b *Book) read(key *checkpoint.NoteKey, signed []byte) (e Entry, err error) {
	if key == nil {
		return e, fault.New(fault.Invalid, "the checkpoint is not a member's")
	}
	if key.Genesis != b.opt.Genesis {
		return e, fault.New(fault.Invalid, "the note key is of another chain")
	}
	if err := key.Verify(b.opt.Committee); err != nil {
		return e, fault.Wrap(fault.Invalid, err, "note key")
	}
	e = Entry{Key: *key, Note: string(signed), Time: b.opt.Clock().UTC().Truncate(time.Second)}
	if err := e.open(); err != nil {
		return e, fault.Wrap(fault.Invalid, err, fmt.Sprintf("checkpoint of authority %d", key.Authority))
	}
	if e.Checkpoint.Size == 0 {
		return e, fault.New(fault.Invalid, "the checkpoint of authority %d is over nothing", key.Authority)
	}
	return e, nil
}

// find keeps a finding, unless the same is there.
func (b *Book) find(f Finding) error {
	f.Time = b.opt.Clock().UTC().Truncate(time.Second)
	err := fault.New(fault.Corrupt, "journal of authority %d: %s", f.Authority, f.Text)
	if len(b.findings) >= maxEvidence || slices.ContainsFunc(b.findings, func(o Finding) bool {
		return o.Authority == f.Authority && o.Kind == f.Kind && o.First == f.First && (o.Second == f.Second || f.Kind == KindUnproven)
	}) {
		return err
	}
	if failed := b.keep(evidenceDir, fmt.Sprintf("%s-%d", name(f.Authority), len(b.findings)), f); failed != nil {
		return errors.Join(err, failed)
	}
	b.findings = append(b.findings, f)
	return err
}

// Take keeps what a member signed of our journal. ours returns the root of our first events,
// of the present history. Errors are Invalid for what is not so, Temporary when it cannot be kept.
func (b *Book) Take(m *checkpoint.Cosigned, origin string, ours func(size uint64) (tree.Hash, error)) error {
	e, err := b.read(m.Key, m.Note)
	if err != nil {
		return err
	}
	if b.opt.Key != nil && e.Key.Authority == b.opt.Key.Authority {
		return fault.New(fault.Invalid, "we are no witness of our own journal")
	}
	c := e.Checkpoint
	if c.Origin != origin {
		return fault.New(fault.Invalid, "it is about %s, our journal is %s", c.Origin, origin)
	}
	root, err := ours(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fault.New(fault.Invalid, "authority %d signed another root of our first %d events", e.Key.Authority, c.Size)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, ok := b.ours[e.Key.Authority]; ok && last.Checkpoint.Origin == origin && last.Checkpoint.Size >= c.Size {
		return nil
	}
	if err := b.keep(oursDir, name(e.Key.Authority), e); err != nil {
		return fault.Wrap(fault.Temporary, err, "keeping a witness")
	}
	b.ours[e.Key.Authority] = e
	return nil
}

// Ours returns what members signed of this node's journal, by authority.
func (b *Book) Ours() []Entry { return b.list(b.ours) }

// Seen returns the newest checkpoints of other members' journals, by authority.
func (b *Book) Seen() []Entry { return b.list(b.seen) }

func (b *Book) list(of map[uint8]Entry) (list []Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range of {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return int(a.Key.Authority) - int(b.Key.Authority) })
	return list
}

// Findings returns the contradictions that were found, oldest first.
func (b *Book) Findings() []Finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.findings)
}
