package actors

import (
	"bytes"
	"fmt"
	"math"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Mark is an event that carries the states of all actors as they were right
// before it: a journal can be re-executed from there by a program that does not
// know what is before. The states are contents of the event, so they stay as
// long as the journal does.
type Mark struct {
	Sequence  uint64 // of the event
	Time      int64  // of the event before it, Unix milliseconds
	Behaviour uint32 // of its turn and those after it
	Before    uint32 // behaviour of the turns before it, 0 for none
	Previous  uint64 // sequence of the mark before it, 0 for none
	Root      [32]byte
	States    []message.StatePack
}

// MarkOf returns what a message carries as a mark; ok is false for messages
// that are none. Sequence and Time are left for the caller.
func MarkOf(m record.Record) (mark Mark, ok bool) {
	switch m := m.(type) {
	case *message.BehaviourUpgraded:
		return Mark{Behaviour: m.To, Before: m.From, Previous: m.Previous, Root: m.Root, States: m.States}, true
	case *message.CheckpointStarted:
		return Mark{Behaviour: m.Behaviour, Before: m.Behaviour, Root: m.Root, States: m.States}, true
	}
	return Mark{}, false
}

// maxMarked bounds the states that a mark can carry: they are written in one
// batch of the journal.
const maxMarked = 2 << 30

// PackStates returns the machine's states as a mark carries them, and their root.
func (m *Machine) PackStates() (packs []message.StatePack, root [32]byte, err error) {
	sections := m.Freeze()
	digests, err := snapshot.Digests(sections)
	if err != nil {
		return nil, root, err
	}
	var total uint64
	for _, d := range digests {
		total += d.Bytes
	}
	if total > maxMarked {
		return nil, root, fault.New(fault.Invalid, "the states take %d bytes, a mark in the journal carries at most %d", total, maxMarked)
	}
	for _, s := range sections {
		err := snapshot.Packs(s, func(pack []byte) error {
			packs = append(packs, message.StatePack{Name: s.Name, Entries: record.NewContent(pack)})
			return nil
		})
		if err != nil {
			return nil, root, err
		}
	}
	return packs, snapshot.Root(digests), nil
}

// LoadMark brings a machine at sequence 0 to the states that a mark carries.
// The digest of what was loaded is compared with the mark's.
func (m *Machine) LoadMark(mark Mark, resolve record.Resolver) error {
	for _, p := range mark.States {
		pack := p.Entries.Data
		if pack == nil {
			var err error
			if pack, err = resolve(p.Entries.Hash); err != nil {
				return fmt.Errorf("states of %q that event %d carries: %w", p.Name, mark.Sequence, err)
			}
		}
		err := snapshot.Unpack(pack, func(key, value []byte) error {
			return m.Load(p.Name, bytes.Clone(key), bytes.Clone(value), resolve)
		})
		if err != nil {
			return fmt.Errorf("states of %q that event %d carries: %w", p.Name, mark.Sequence, err)
		}
	}
	return m.AtMark(mark)
}

// AtMark checks that the machine has exactly the states that a mark carries.
func (m *Machine) AtMark(mark Mark) error {
	digests, err := snapshot.Digests(m.Freeze())
	if err != nil {
		return err
	}
	if root := snapshot.Root(digests); root != mark.Root || m.Sequence()+1 != mark.Sequence {
		return fault.New(fault.Corrupt, "event %d carries states of root %x, loaded they stand at sequence %d and have root %s", mark.Sequence, mark.Root, m.Sequence(), root)
	}
	return nil
}

// Migration turns the states of one behaviour into those of the next.
type Migration struct {
	From uint32 // to From+1
	// Sections names the states that change: an actor's ID, or [RuntimeSection].
	// Others stay as they are. The function gets the old section (one without
	// entries when there was none) and returns the new one, whose Walk may work
	// entry by entry; one without entries is the state before the first message.
	Sections map[string]func(old snapshot.Section) snapshot.Section
}

// Migrate applies the migrations that lead from one behaviour to another. The
// work is done as the sections returned are walked.
func Migrate(sections []snapshot.Section, migrations []Migration, from, to uint32) ([]snapshot.Section, error) {
	for ; from < to; from++ {
		step, err := migrationFrom(migrations, from)
		if err != nil {
			return nil, err
		}
		sections = step.apply(sections)
	}
	return sections, nil
}

func migrationFrom(migrations []Migration, from uint32) (Migration, error) {
	for _, m := range migrations {
		if m.From == from {
			return m, nil
		}
	}
	return Migration{}, fault.New(fault.Invalid, "this program cannot migrate states of behaviour %d: use one released between it and the program that wrote them", from)
}

func (m Migration) apply(old []snapshot.Section) []snapshot.Section {
	out := make([]snapshot.Section, 0, len(old))
	had := make(map[string]bool, len(old))
	for _, s := range old {
		had[s.Name] = true
		if change := m.Sections[s.Name]; change != nil {
			s = change(s)
		}
		out = append(out, s)
	}
	for _, name := range sortedNames(m.Sections) {
		if !had[name] {
			nothing := snapshot.Section{Name: name, Walk: func(func(key, value []byte) error) error { return nil }}
			out = append(out, m.Sections[name](nothing))
		}
	}
	return out
}

// LoadMigrated brings a machine at sequence 0 to the given states, placed at a
// position of the journal: turns may lie between the snapshot that the states
// are of and the mark that will carry them, which only recorded that snapshot.
func (m *Machine) LoadMigrated(sections []snapshot.Section, sequence uint64, time int64, resolve record.Resolver) error {
	for _, s := range sections {
		err := s.Walk(func(key, value []byte) error {
			return m.Load(s.Name, bytes.Clone(key), bytes.Clone(value), resolve)
		})
		if err != nil {
			return fmt.Errorf("migrating the states of %q: %w", s.Name, err)
		}
	}
	if sequence == math.MaxUint64 || sequence < m.own.sequence || time < m.own.time {
		return fault.New(fault.Corrupt, "the states stand at sequence %d, the journal ends at %d", m.own.sequence, sequence)
	}
	m.own.sequence, m.own.time = sequence, time
	return nil
}
