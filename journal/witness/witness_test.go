package witness_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/tree"
	"github.com/AnduroProject/alys-go/journal/witness"
)

var genesis = common.Hash{0x61}

// member is a member with a journal of made-up events.
type member struct {
	t         *testing.T
	authority uint8
	signer    note.Signer
	key       *checkpoint.NoteKey
	leaves    []tree.Hash
	origin    string
}

func newMember(t *testing.T, authority uint8) *member {
	t.Helper()
	secret, _, err := tree.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, authority: authority, origin: fmt.Sprintf("alys/%032x/0", authority)}
	var public string
	if m.signer, public, err = tree.ReadKey(secret); err != nil {
		t.Fatal(err)
	}
	m.key = checkpoint.SignKey(genesis, authority, public, aura.DevKey(uint64(authority)+1))
	return m
}

// grow adds events; salt tells histories apart.
func (m *member) grow(n int, salt byte) *member {
	for range n {
		m.leaves = append(m.leaves, tree.Leaf([]byte{byte(len(m.leaves)), byte(len(m.leaves) >> 8), salt}))
	}
	return m
}

func (m *member) source() *tree.Source {
	return &tree.Source{
		Stored: func(uint, uint64) (tree.Hash, bool, error) { return tree.Hash{}, false, nil },
		Leaves: func(first, n uint64, yield func(tree.Hash)) error {
			for _, l := range m.leaves[first:min(first+n, uint64(len(m.leaves)))] {
				yield(l)
			}
			return nil
		},
	}
}

func (m *member) root(size uint64) (tree.Hash, error) { return m.source().Root(size) }

// answer is what an honest owner says.
func (m *member) answer(asked *checkpoint.AskJournal) *checkpoint.Journal {
	m.t.Helper()
	size := uint64(len(m.leaves))
	root, err := m.root(size)
	if err != nil {
		m.t.Fatal(err)
	}
	c := tree.Checkpoint{Origin: m.origin, Size: size, Root: root}
	signed, err := c.Sign(m.signer)
	if err != nil {
		m.t.Fatal(err)
	}
	a := &checkpoint.Journal{Key: m.key, Note: signed}
	if asked.Origin == m.origin && asked.Size > 0 && asked.Size <= size {
		path, err := m.source().Consistency(asked.Size, size)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, h := range path {
			a.Path = append(a.Path, h[:]...)
		}
	}
	return a
}

func committeeOf(t *testing.T, n int) *aura.Committee {
	t.Helper()
	keys := make([]aura.PublicKey, n)
	for i := range keys {
		keys[i] = aura.DevKey(uint64(i + 1)).PublicKey()
	}
	c, err := aura.NewCommittee(keys)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *member) open(dir string) *witness.Book {
	m.t.Helper()
	b, err := witness.Open(witness.Options{Dir: dir, Genesis: genesis, Committee: committeeOf(m.t, 3), Signer: m.signer, Key: m.key})
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// look has a witness ask an owner, and the owner take what comes back.
func look(b *witness.Book, owner *member, book *witness.Book) error {
	asked := b.Question(owner.authority)
	back, err := b.Observe(owner.authority, asked, owner.answer(asked))
	if err != nil || back == nil {
		return err
	}
	return book.Take(back, owner.origin, owner.root)
}

// A journal that grows is cosigned at each look, across restarts of witness and owner, and
// both know it after.
func TestWitnessing(t *testing.T) {
	owner, other := newMember(t, 0), newMember(t, 1)
	mine, theirs := t.TempDir(), t.TempDir()
	for i := range 20 {
		owner.grow(1+i*3, 0)
		if err := look(other.open(theirs), owner, owner.open(mine)); err != nil {
			t.Fatal(err)
		}
		ours, seen := owner.open(mine).Ours(), other.open(theirs).Seen()
		size := uint64(len(owner.leaves))
		if len(ours) != 1 || len(seen) != 1 || ours[0].Checkpoint.Size != size || seen[0].Checkpoint.Size != size ||
			ours[0].Key.Authority != 1 || seen[0].Key.Authority != 0 {
			t.Fatalf("at %d events: %+v %+v", size, ours, seen)
		}
	}
	b := other.open(theirs)
	asked := b.Question(0)
	if back, err := b.Observe(0, asked, owner.answer(asked)); back != nil || err != nil {
		t.Errorf("nothing new is cosigned again: %v %v", back, err)
	}
	// A repair begins another history, which is declared; a new data directory too.
	for _, origin := range []string{owner.origin[:len(owner.origin)-1] + "1", "alys/other/0"} {
		owner.origin, owner.leaves = origin, nil
		owner.grow(5, 7)
		if err := look(b, owner, owner.open(mine)); err != nil {
			t.Errorf("history %s: %v", origin, err)
		}
	}
	if f := b.Findings(); len(f) != 0 {
		t.Errorf("findings of an honest owner: %+v", f)
	}
}

// What an owner cannot show to continue what it signed before is not cosigned, is told of, and
// is kept as evidence that the owner's key alone convicts.
func TestContradictions(t *testing.T) {
	for _, x := range []struct {
		name, kind string
		change     func(owner *member)
	}{
		{"other history", witness.KindUnproven, func(o *member) { o.leaves = nil; o.grow(200, 9) }},
		{"one event changed", witness.KindUnproven, func(o *member) { o.leaves[3][0] ^= 1; o.grow(20, 0) }},
		{"same length", witness.KindFork, func(o *member) { o.leaves[99][0] ^= 1 }},
		{"shorter", witness.KindRollback, func(o *member) { o.leaves = o.leaves[:60] }},
		{"history before the repair", witness.KindRollback, func(o *member) { o.origin = "alys/x/1" }},
	} {
		t.Run(x.name, func(t *testing.T) {
			owner, other := newMember(t, 0), newMember(t, 1)
			owner.origin = "alys/x/2"
			dir := t.TempDir()
			b := other.open(dir)
			owner.grow(100, 0)
			if err := look(b, owner, owner.open(t.TempDir())); err != nil {
				t.Fatal(err)
			}
			before := b.Seen()[0].Note
			x.change(owner)
			for range 3 {
				asked := b.Question(0)
				if back, err := b.Observe(0, asked, owner.answer(asked)); back != nil || fault.Of(err) != fault.Corrupt {
					t.Fatalf("cosigned %v: %v", back, err)
				}
			}
			b = other.open(dir)
			f := b.Findings()
			if len(f) != 1 || f[0].Kind != x.kind || f[0].Authority != 0 || b.Seen()[0].Note != before {
				t.Fatalf("findings %+v", f)
			}
			v, err := tree.ReadPublicKey(f[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			one, err := tree.OpenCheckpoint([]byte(f[0].First), v)
			two, failed := tree.OpenCheckpoint([]byte(f[0].Second), v)
			if err := errors.Join(err, failed); err != nil || one == two {
				t.Errorf("the evidence: %v, %+v %+v", err, one, two)
			}
		})
	}
}

// What proves nothing is refused without a finding: nobody can have another member accused.
func TestRefused(t *testing.T) {
	owner, other, third := newMember(t, 0), newMember(t, 1), newMember(t, 2)
	b, book := other.open(t.TempDir()), owner.open(t.TempDir())
	owner.grow(50, 0)
	if err := look(b, owner, book); err != nil {
		t.Fatal(err)
	}
	owner.grow(50, 0)
	asked := b.Question(0)
	for name, change := range map[string]func(*checkpoint.Journal){
		"no key":        func(m *checkpoint.Journal) { m.Key = nil },
		"other key":     func(m *checkpoint.Journal) { m.Key = third.key },
		"forged key":    func(m *checkpoint.Journal) { k := *third.key; k.Authority = 0; m.Key = &k },
		"other chain":   func(m *checkpoint.Journal) { k := *m.Key; k.Genesis[0]++; m.Key = &k },
		"flipped note":  func(m *checkpoint.Journal) { m.Note = bytes.Clone(m.Note); m.Note[10] ^= 1 },
		"other's notes": func(m *checkpoint.Journal) { third.grow(3, 0); *m = *third.answer(asked) },
	} {
		m := owner.answer(asked)
		change(m)
		if back, err := b.Observe(0, asked, m); back != nil || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v %v", name, back, err)
		}
	}
	if _, err := b.Observe(0, &checkpoint.AskJournal{}, owner.answer(asked)); fault.Of(err) != fault.Temporary {
		t.Errorf("the answer to another question: %v", err)
	}
	if len(b.Findings()) != 0 {
		t.Errorf("findings: %+v", b.Findings())
	}
	back, err := b.Observe(0, asked, owner.answer(asked))
	if err != nil || back == nil {
		t.Fatal(err)
	}
	for name, taken := range map[string]func() error{
		"other history": func() error { return book.Take(back, "alys/y/0", owner.root) },
		"other root": func() error {
			return book.Take(back, owner.origin, func(uint64) (tree.Hash, error) { return tree.Hash{1}, nil })
		},
		"our own": func() error {
			return book.Take(&checkpoint.Cosigned{Key: owner.key, Note: owner.answer(asked).Note}, owner.origin, owner.root)
		},
		"not the witness's": func() error {
			return book.Take(&checkpoint.Cosigned{Key: other.key, Note: owner.answer(asked).Note}, owner.origin, owner.root)
		},
	} {
		if err := taken(); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A damaged file is no fresh start: nothing is cosigned by a book that lost what it cosigned.
func TestDamagedBook(t *testing.T) {
	owner, other := newMember(t, 0), newMember(t, 1)
	dir := t.TempDir()
	owner.grow(9, 0)
	if err := look(other.open(dir), owner, owner.open(t.TempDir())); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "seen", "00.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = witness.Open(witness.Options{Dir: dir, Genesis: genesis, Committee: committeeOf(t, 3), Signer: other.signer, Key: other.key})
	if fault.Of(err) != fault.Corrupt {
		t.Errorf("a damaged book: %v", err)
	}
}
