package actors

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/snapshot"
)

// snapshooter takes snapshots between turns: the states are frozen by
// copy-on-write at the SnapshotBegun turn, written by another goroutine once
// that turn is durable, and their digests come back as SnapshotTaken.
type snapshooter struct {
	r       *Runtime
	store   *snapshot.Store
	every   uint64 // turns
	pause   int64  // milliseconds
	begun   uint64 // sequence of the last SnapshotBegun, or of the start
	time    int64  // of that turn, Unix milliseconds
	bytes   int    // messages and contents journaled since
	busy    atomic.Bool
	writers sync.WaitGroup
}

func newSnapshooter(r *Runtime) *snapshooter {
	return &snapshooter{
		r: r, store: r.opt.Snapshots, every: r.opt.SnapshotTurns, pause: r.opt.SnapshotEvery.Milliseconds(), begun: r.machine.Sequence(), time: r.opt.Clock(),
	}
}

// A snapshot is also begun after so many bytes, which measure the work of
// replaying blocks better than turns do, and after so much time.
const snapshotBytes = 2 << 20

// reason says why a snapshot is due, or "".
func (s *snapshooter) reason() string {
	turns := s.r.machine.Sequence() - s.begun
	switch {
	case turns >= s.every:
		return "turns"
	case s.bytes >= snapshotBytes:
		return "bytes"
	case turns > 1 && s.r.machine.Time()-s.time >= s.pause:
		return "time"
	default:
		return ""
	}
}

// count notes what a turn added to the work of replay.
func (s *snapshooter) count(turn Turn) {
	s.bytes += len(turn.Event.Message)
	for i := range turn.Contents {
		s.bytes += len(turn.Contents[i].Data)
	}
}

// due begins a snapshot when enough has happened since the last.
func (s *snapshooter) due() error {
	if s.store == nil {
		return nil
	}
	reason := s.reason()
	if reason == "" || !s.busy.CompareAndSwap(false, true) {
		return nil
	}
	p, sections, err := s.begin(reason)
	if err != nil {
		return err
	}
	s.writers.Go(func() {
		defer s.busy.Store(false)
		if taken := s.write(p, sections); taken != nil {
			s.r.inbox.putResult(Input{Actor: core.Supervisor, Message: taken})
		}
	})
	return nil
}

// last takes the snapshot of a clean stop and waits for it.
func (s *snapshooter) last() error {
	if s.store == nil {
		return nil
	}
	s.writers.Wait()
	p, sections, err := s.begin("stop")
	if err != nil {
		return err
	}
	if taken := s.write(p, sections); taken != nil {
		return s.r.step(Input{Actor: core.Supervisor, Message: taken})
	}
	return nil
}

func (s *snapshooter) begin(reason string) (snapshot.Position, []snapshot.Section, error) {
	if err := s.r.step(Input{Actor: core.Supervisor, Message: &message.SnapshotBegun{Reason: reason}}); err != nil {
		return snapshot.Position{}, nil, err
	}
	s.begun, s.time, s.bytes = s.r.machine.Sequence(), s.r.machine.Time(), 0
	head := s.r.journal.Head()
	p := snapshot.Position{Journal: s.r.journal.ID(), Sequence: head.Sequence, Hash: head.Hash}
	return p, s.r.machine.Freeze(), nil
}

// write waits for the turn, writes the snapshot and returns what to journal of
// it. A snapshot that cannot be written costs time at the next start, not
// state: it is logged and nil is returned.
func (s *snapshooter) write(p snapshot.Position, sections []snapshot.Section) *message.SnapshotTaken {
	if err := s.r.journal.WaitDurable(context.Background(), p.Sequence); err != nil {
		return nil
	}
	m, err := s.store.Write(p, sections)
	if err != nil {
		s.r.log.Warn("snapshot not written; the next start replays more", "seq", p.Sequence, "error", err)
		return nil
	}
	return TakenFrom(m.Sequence, m.Sections)
}

// TakenFrom is the message that records digests taken after turn at.
func TakenFrom(at uint64, digests []snapshot.SectionDigest) *message.SnapshotTaken {
	taken := &message.SnapshotTaken{At: at, Root: snapshot.Root(digests)}
	for _, d := range digests {
		taken.Digests = append(taken.Digests, message.StateDigest{Name: d.Name, Digest: d.Digest})
	}
	return taken
}
