package actors

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

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
	rules   snapshot.Rules
	begun   uint64 // sequence of the last SnapshotBegun, or of the start
	time    int64  // of that turn, Unix milliseconds
	bytes   uint64 // messages and contents journaled since
	busy    atomic.Bool
	writers sync.WaitGroup
	written atomic.Uint64 // sequence of the newest snapshot that this run has on disk
	hurry   atomic.Bool   // turns wait for the snapshot under way

	mu     sync.Mutex
	wanted []answer
}

func newSnapshooter(r *Runtime) *snapshooter {
	rules := snapshot.Rules{Behaviour: r.opt.Behaviour, Fingerprint: r.machine.Fingerprint(r.opt.Behaviour)}
	return &snapshooter{
		r: r, store: r.opt.Snapshots, rules: rules, every: r.opt.SnapshotTurns, pause: r.opt.SnapshotEvery.Milliseconds(), begun: r.opt.SnapshotAt, time: r.opt.Clock(),
	}
}

// reason says why a snapshot is due, or "". Bytes measure the work of replaying
// blocks better than turns do.
func (s *snapshooter) reason() string {
	turns := s.r.machine.Sequence() - s.begun
	switch {
	case turns >= s.every:
		return "turns"
	case s.bytes >= s.r.opt.SnapshotBytes:
		return "bytes"
	case turns > 1 && s.r.machine.Time()-s.time >= s.pause:
		return "time"
	default:
		return ""
	}
}

// count notes what a turn added to the work of replay.
func (s *snapshooter) count(turn Turn) {
	s.bytes += uint64(len(turn.Event.Message))
	for i := range turn.Contents {
		s.bytes += uint64(len(turn.Contents[i].Data))
	}
}

// answer is where the outcome of a snapshot that somebody asked for goes.
type answer chan<- asked

type asked struct {
	manifest snapshot.Manifest
	err      error
}

// ask has a snapshot begun after the turns under way.
func (s *snapshooter) ask(a answer) {
	s.mu.Lock()
	s.wanted = append(s.wanted, a)
	s.mu.Unlock()
	s.r.inbox.nudge()
}

func (s *snapshooter) takeWanted() []answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.wanted
	s.wanted = nil
	return wanted
}

// due begins a snapshot when enough has happened since the last, or somebody
// asks for one.
func (s *snapshooter) due() error {
	if s.store == nil {
		return nil
	}
	if s.busy.Load() && s.r.machine.Sequence()-max(s.written.Load(), s.r.opt.SnapshotAt) >= s.r.opt.MaxTail {
		s.hurry.Store(true)
		s.writers.Wait()
		s.hurry.Store(false)
	}
	if s.busy.Load() {
		return nil
	}
	wanted := s.takeWanted()
	reason := s.reason()
	if len(wanted) > 0 {
		reason = "operator"
	}
	if reason == "" {
		return nil
	}
	s.busy.Store(true)
	p, sections, err := s.begin(reason)
	if err != nil {
		return err
	}
	for i := range sections {
		sections[i].Walk = s.paced(sections[i].Walk)
	}
	s.writers.Go(func() {
		m, err := s.write(p, sections)
		if err == nil {
			s.r.inbox.putResult(Input{Actor: core.Supervisor, Message: TakenFrom(m.Sequence, m.Sections)})
		}
		for _, a := range wanted {
			a <- asked{m, err}
		}
		s.busy.Store(false)
		s.r.inbox.nudge() // one may have been asked for meanwhile
	})
	return nil
}

// A walk beside the running sequencer rests as long as it works, in slices short
// enough that a turn that comes due never waits long for a processor.
const (
	paceEntries = 64
	paceSlice   = 500 * time.Microsecond
)

// paced returns a walk that takes at most half of a processor, unless turns wait
// for it.
func (s *snapshooter) paced(walk func(yield func(key, value []byte) error) error) func(yield func(key, value []byte) error) error {
	return func(yield func(key, value []byte) error) error {
		begun, entries := time.Now(), 0
		return walk(func(key, value []byte) error {
			if entries++; entries%paceEntries == 0 {
				if worked := time.Since(begun); worked >= paceSlice && !s.hurry.Load() {
					time.Sleep(worked)
					begun = time.Now()
				}
			}
			return yield(key, value)
		})
	}
}

// last takes a snapshot after which no turn comes but the one that records it,
// and waits for it.
func (s *snapshooter) last(reason string) (snapshot.Manifest, error) {
	s.writers.Wait()
	p, sections, err := s.begin(reason)
	if err != nil {
		return snapshot.Manifest{}, err
	}
	m, err := s.write(p, sections)
	if err != nil {
		return m, err
	}
	return m, s.r.step(Input{Actor: core.Supervisor, Message: TakenFrom(m.Sequence, m.Sections)})
}

// refuseWanted answers those whose snapshot comes no more.
func (s *snapshooter) refuseWanted() {
	for _, a := range s.takeWanted() {
		a <- asked{err: ErrStopped}
	}
}

func (s *snapshooter) begin(reason string) (snapshot.Position, []snapshot.Section, error) {
	if err := s.r.step(Input{Actor: core.Supervisor, Message: &message.SnapshotBegun{Reason: reason}}); err != nil {
		return snapshot.Position{}, nil, err
	}
	s.begun, s.time, s.bytes = s.r.machine.Sequence(), s.r.machine.Time(), 0
	head := s.r.journal.Head()
	p := snapshot.Position{Journal: s.r.journal.ID(), Sequence: head.Sequence, Hash: head.Hash, Rules: s.rules}
	return p, s.r.machine.Freeze(), nil
}

// write waits for the turn and writes the snapshot. One that cannot be written
// costs time at the next start, not state: it is logged.
func (s *snapshooter) write(p snapshot.Position, sections []snapshot.Section) (snapshot.Manifest, error) {
	if err := s.r.journal.WaitDurable(context.Background(), p.Sequence); err != nil {
		return snapshot.Manifest{}, err
	}
	m, err := s.store.Write(p, sections)
	if err != nil {
		s.r.log.Warn("snapshot not written; the next start replays more", "seq", p.Sequence, "error", err)
		return m, err
	}
	s.written.Store(p.Sequence)
	return m, nil
}

// TakenFrom is the message that records digests taken after turn at.
func TakenFrom(at uint64, digests []snapshot.SectionDigest) *message.SnapshotTaken {
	taken := &message.SnapshotTaken{At: at, Root: snapshot.Root(digests)}
	for _, d := range digests {
		taken.Digests = append(taken.Digests, message.StateDigest{Name: d.Name, Digest: d.Digest})
	}
	return taken
}
