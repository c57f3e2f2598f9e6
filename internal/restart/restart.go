// Package restart brings a machine to the end of its journal.
//
//	p := restart.Program{Behaviour: 2, Machine: newMachine, Migrations: migrations}
//	r, err := p.Recover(ctx, restart.Store{Journal: j, Snapshots: store})
//	if err != nil {
//		r, err = p.Upgrade(s, err, now) // a journal of an older behaviour
//	}
//
// Where it begins, in this order: the newest whole snapshot of the program's
// behaviour; the newest mark of the journal ([actors.Mark]); genesis. The turns
// after that are handled again and compared.
//
// # Behaviour
//
// Programs whose cores answer or remember differently have different behaviour
// numbers. A program upgrades a journal of an older one only from a snapshot that
// covers the whole journal: behind it stand no turns but those that record its
// digests, as a clean stop leaves it. The states are migrated ([actors.Migration])
// and written as the journal's next event, which is the mark; from then on neither
// the old snapshots nor the old program are needed to start. After a crash there
// is no such snapshot, and only the old program can make one. A journal of a
// newer behaviour is refused.
package restart

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

// ErrRefused marks what could be done and is not, for safety.
var ErrRefused = errors.New("refused for safety")

// Program is what of a program decides how a journal goes on.
type Program struct {
	Behaviour uint32 // version of the cores' rules
	// Machine returns a machine at sequence 0.
	Machine func(journal.ID) (*actors.Machine, error)
	// Migrations lead to Behaviour from every older one that can be upgraded.
	Migrations []actors.Migration
	// Loaded is called with a machine before turns are handled again, and Prepare
	// with each of their messages, to compute slow pure work ahead. Both may be nil.
	Loaded  func(*actors.Machine)
	Prepare func(core.Message)
	// Progress is called now and then while turns are handled again; nil for none.
	Progress func(replay.Report)
}

// Store is where a node's past is. Snapshots may be nil.
type Store struct {
	Journal   *journal.Journal
	Snapshots *snapshot.Store
}

func (s Store) resolve(h [32]byte) ([]byte, error) { return s.Journal.Content(h) }

// Recovered is a machine at a position of a journal, and how it got there.
type Recovered struct {
	Machine  *actors.Machine
	Snapshot uint64 // sequence of the snapshot it began from; 0 for none
	Report   replay.Report
}

// Restore returns a machine at the newest snapshot that is whole, belongs to the
// journal and was taken by this behaviour; else at the newest mark of the
// journal, or at sequence 0. after is the chain hash there, for replay. Damaged
// snapshots are passed over with a warning. atMost bounds the position; 0 means
// the journal's head. A journal of another behaviour is a *[replay.BehaviourError].
func (p Program) Restore(s Store, atMost uint64) (m *actors.Machine, after journal.Hash, err error) {
	if s.Snapshots != nil {
		manifest, found, err := s.Snapshots.Newest(func(candidate snapshot.Manifest) error {
			if atMost > 0 && candidate.Sequence > atMost || BehaviourOf(candidate) != p.Behaviour {
				return snapshot.ErrSkip
			}
			if m, err = p.Machine(s.Journal.ID()); err != nil {
				return err
			}
			return fault.Wrap(fault.Corrupt, s.load(m, candidate), "snapshot")
		})
		if err != nil {
			return nil, journal.Hash{}, err
		}
		if found {
			return m, journal.Hash(manifest.Hash), nil
		}
	}
	origin, err := replay.FindOrigin(s.Journal, atMost)
	if err == nil {
		err = origin.Foreign(p.Behaviour)
	}
	if err != nil {
		return nil, journal.Hash{}, err
	}
	if m, err = p.Machine(s.Journal.ID()); err != nil || origin.Mark.Sequence == 0 {
		return m, journal.Hash{}, err
	}
	return m, origin.Hash, replay.LoadMark(s.Journal, m, origin.Mark)
}

// BehaviourOf returns whose states a snapshot holds. The first format of
// snapshots does not tell: it was used by behaviour 1 only.
func BehaviourOf(m snapshot.Manifest) uint32 { return max(m.Behaviour, 1) }

// load brings a machine at sequence 0 to a snapshot.
func (s Store) load(m *actors.Machine, manifest snapshot.Manifest) error {
	if err := s.holds(manifest); err != nil {
		return err
	}
	err := s.Snapshots.Load(manifest, func(section string, key, value []byte) error {
		return m.Load(section, bytes.Clone(key), bytes.Clone(value), s.resolve)
	})
	if err == nil && m.Sequence() != manifest.Sequence {
		err = fault.New(fault.Corrupt, "its states stand at sequence %d, its name says %d", m.Sequence(), manifest.Sequence)
	}
	return err
}

// holds checks that a snapshot's position is one of the journal.
func (s Store) holds(manifest snapshot.Manifest) error {
	if journal.ID(manifest.Journal) != s.Journal.ID() {
		return fault.New(fault.Invalid, "it belongs to journal %x", manifest.Journal)
	}
	_, hash, err := s.Journal.Event(manifest.Sequence)
	if err == nil && hash != journal.Hash(manifest.Hash) {
		err = fault.New(fault.Corrupt, "its chain hash at sequence %d is not the journal's", manifest.Sequence)
	}
	return err
}

// Load returns a machine at a snapshot, which must be one of this behaviour.
func (p Program) Load(s Store, manifest snapshot.Manifest) (*actors.Machine, error) {
	m, err := p.Machine(s.Journal.ID())
	if err != nil {
		return nil, err
	}
	return m, s.load(m, manifest)
}

// Check reads every byte of a snapshot and compares its position and digests
// with the journal. told is false when no event records the digests: the process
// ended right after it wrote the snapshot.
func (s Store) Check(manifest snapshot.Manifest) (told bool, err error) {
	if err := s.Snapshots.Verify(manifest); err != nil {
		return false, err
	}
	if err := s.holds(manifest); err != nil {
		return false, err
	}
	it := s.Journal.Iterate(manifest.Sequence+1, false)
	defer it.Close()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return false, err
		}
		var taken message.SnapshotTaken
		if e.Type != taken.Type() || !e.Stored {
			continue
		}
		if err := record.Decode(e.Message, &taken, nil); err != nil || taken.At > manifest.Sequence {
			return false, err
		}
		if taken.At == manifest.Sequence {
			return true, sameRoot(e.Sequence, taken, manifest)
		}
	}
	return false, it.Err()
}

func sameRoot(sequence uint64, taken message.SnapshotTaken, m snapshot.Manifest) error {
	if snapshot.Hash(taken.Root) != m.Root {
		return fault.New(fault.Corrupt, "event %d says that the states at %d have root %x, the snapshot %s has %s", sequence, taken.At, taken.Root, m.File, m.Root)
	}
	return nil
}

// Recover brings a machine to the journal's head.
func (p Program) Recover(ctx context.Context, s Store) (Recovered, error) {
	m, after, err := p.Restore(s, 0)
	if err != nil {
		return Recovered{}, err
	}
	if p.Loaded != nil {
		p.Loaded(m)
	}
	r := Recovered{Machine: m, Snapshot: m.Sequence()}
	r.Report, err = replay.Run(ctx, s.Journal, m, replay.Options{After: after, Prepare: p.Prepare, Behaviour: p.Behaviour, Progress: p.Progress})
	if err != nil {
		return r, fmt.Errorf("recovering from the journal: %w", err)
	}
	return r, nil
}
