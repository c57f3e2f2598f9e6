package restart

import (
	"context"
	"errors"
	"fmt"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Upgrade makes the journal one of this behaviour when it is of an older one,
// which is what cause, an error of [Program.Recover], says; any other cause is
// returned. It returns once the mark is durable. A crash before that leaves the
// journal as it was. dataDir is for messages, now is in Unix milliseconds.
func (p Program) Upgrade(s Store, cause error, dataDir string, now int64) (Recovered, error) {
	var foreign *replay.BehaviourError
	if !errors.As(cause, &foreign) {
		return Recovered{}, cause
	}
	if foreign.Journal > p.Behaviour {
		return Recovered{}, errors.Join(cause, ErrRefused)
	}
	if i, pending := s.Journal.PendingIncident(); pending {
		return Recovered{}, errors.Join(fault.New(fault.Invalid, "the journal of %s was written by behaviour %d and has a %s after event %d that no turn tells of yet: "+
			"start the program of that behaviour once and stop it cleanly, then start this one again", dataDir, foreign.Journal, i.Kind, i.After), ErrRefused)
	}
	old, err := s.covering(foreign.Journal)
	if err != nil {
		return Recovered{}, err
	}
	if old.File == "" {
		return Recovered{}, uncovered(foreign, dataDir)
	}
	m, err := p.migrate(s, old)
	if err != nil {
		return Recovered{}, err
	}
	if p.Loaded != nil {
		p.Loaded(m)
	}
	mark := &message.BehaviourUpgraded{
		From: foreign.Journal, To: p.Behaviour, FromFingerprint: old.Fingerprint, Fingerprint: m.Fingerprint(p.Behaviour),
		SnapshotAt: old.Sequence, SnapshotRoot: old.Root, Previous: foreign.Since,
	}
	if mark.States, mark.Root, err = m.PackStates(); err != nil {
		return Recovered{}, err
	}
	head, err := s.Turn(m, actors.Input{Actor: core.Supervisor, Message: mark, Time: now})
	if err != nil {
		return Recovered{}, err
	}
	return Recovered{
		Machine: m, Snapshot: old.Sequence,
		Report: replay.Report{From: head.Sequence - 1, Sequence: head.Sequence, To: head.Sequence, Head: head, Mark: head.Sequence},
	}, nil
}

// Turn makes one turn and waits until it is on disk.
func (s Store) Turn(m *actors.Machine, in actors.Input) (journal.Head, error) {
	turn, err := m.Step(in)
	if err == nil && turn.Event.Outcome == journal.OutcomeFailed {
		err = errors.New(turn.Event.Note)
	}
	if err != nil {
		return journal.Head{}, fault.Wrap(fault.Fatal, err, "turn of "+in.Message.Type())
	}
	head, err := s.Journal.Append(turn.Event, turn.Contents)
	if err != nil {
		return journal.Head{}, err
	}
	return head, s.Journal.WaitDurable(context.Background(), head.Sequence)
}

// uncovered says what the program that wrote the journal must do first.
func uncovered(foreign *replay.BehaviourError, dataDir string) error {
	who := ""
	if foreign.Software != "" {
		who = fmt.Sprintf(" (program version %s)", foreign.Software)
	}
	return errors.Join(fault.New(fault.Invalid, "the journal of %s was written by behaviour %d%s and does not end with a whole snapshot, so only that program can re-execute its last turns: "+
		"run \"alys snapshot create --data-dir %s\" of that program, or start it and stop it cleanly, then start this one again", dataDir, foreign.Journal, who, dataDir), ErrRefused)
}

// covering returns the newest whole snapshot of a behaviour that holds the
// states at the journal's end: after it come no turns but those that record
// digests of it. The File is empty when there is none.
func (s Store) covering(behaviour uint32) (snapshot.Manifest, error) {
	if s.Snapshots == nil {
		return snapshot.Manifest{}, nil
	}
	m, found, err := s.Snapshots.Newest(func(m snapshot.Manifest) error {
		if journal.ID(m.Journal) != s.Journal.ID() || BehaviourOf(m) != behaviour || m.Sequence > s.Journal.Head().Sequence {
			return snapshot.ErrSkip
		}
		if err := s.holds(m); err != nil {
			return err
		}
		for sequence := m.Sequence + 1; sequence <= s.Journal.Head().Sequence; sequence++ {
			covered, err := s.records(sequence, m)
			if err != nil {
				return err
			}
			if !covered {
				return snapshot.ErrSkip
			}
		}
		return s.Snapshots.Verify(m)
	})
	if err != nil || !found {
		return snapshot.Manifest{}, err
	}
	return m, nil
}

// records reports whether an event only tells the digests of snapshot m, and
// checks that they are m's.
func (s Store) records(sequence uint64, m snapshot.Manifest) (bool, error) {
	e, _, err := s.Journal.Event(sequence)
	if err != nil {
		return false, err
	}
	var taken message.SnapshotTaken
	if e.Type != taken.Type() || !e.Stored {
		return false, nil
	}
	if err := message.Decode(&taken, e.Schema, e.Message, nil); err != nil || taken.At != m.Sequence {
		return false, err
	}
	return true, sameRoot(sequence, taken, m)
}

// migrate returns a machine of this behaviour at the journal's head, with the
// states of a snapshot that covers it.
func (p Program) migrate(s Store, old snapshot.Manifest) (*actors.Machine, error) {
	sections, err := s.Snapshots.Sections(old)
	if err != nil {
		return nil, err
	}
	if sections, err = actors.Migrate(sections, p.Migrations, BehaviourOf(old), p.Behaviour); err != nil {
		return nil, errors.Join(err, ErrRefused)
	}
	head := s.Journal.Head().Sequence
	last, _, err := s.Journal.Event(head)
	if err != nil {
		return nil, err
	}
	m, err := p.Machine(s.Journal.ID())
	if err != nil {
		return nil, err
	}
	return m, m.LoadMigrated(sections, head, last.Time, s.resolve)
}
