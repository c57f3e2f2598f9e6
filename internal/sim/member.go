package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Where things are on a member's disk, as in a node's data directory.
const (
	JournalDir  = "member/journal"
	SnapshotDir = "member/snapshots"
)

// member is one node of the federation, through all its lives.
type member struct {
	w         *world
	index     int
	disk      *Disk
	layer     *standin.Layer // survives the process; forgets what it did not sync
	away      int            // reasons why the layer does not answer
	skew      int64          // of the wall clock against true time, milliseconds
	signer    signer         // knows every signature that ever left
	steps     int            // of the wall clock so far
	dishonest *dishonest     // nil for an honest member
	process   *process       // nil while it is down
	recent    recentTurns
	lives     int
	gone      bool // it never comes back

	durable  frozen   // the states of what is on disk for certain
	inFlight []frozen // after each turn of the group under way, which a crash may leave
}

// frozen are states at a turn; digests are computed only when they are compared.
type frozen struct {
	sequence uint64
	sections []snapshot.Section
}

func freeze(m *actors.Machine) frozen { return frozen{m.Sequence(), m.Freeze()} }

func (f frozen) root() (snapshot.Hash, error) {
	digests, err := snapshot.Digests(f.sections)
	if err != nil {
		return snapshot.Hash{}, err
	}
	return snapshot.Root(digests), nil
}

func newMember(w *world, index int) *member {
	m := &member{w: w, index: index, disk: newDisk(), layer: standin.NewLayer(), skew: w.plan.skew[index]}
	m.signer = signer{m: m, slots: map[uint64]common.Hash{}, ends: map[common.Hash]bool{}, stated: map[common.Hash]bool{}}
	if w.plan.dishonest[index] {
		m.dishonest = newDishonest(m)
	}
	return m
}

func (m *member) honest() bool { return m.dishonest == nil }

// wall is the member's wall clock, Unix milliseconds.
func (m *member) wall() int64 { return m.w.now + m.skew }

// identity is the journal's: made of seed and member, so that the same run has the
// same journals.
func (m *member) identity() (id journal.ID) {
	binary.BigEndian.PutUint64(id[:], m.w.opt.Seed+1)
	binary.BigEndian.PutUint32(id[8:], uint32(m.w.opt.Members))
	binary.BigEndian.PutUint32(id[12:], uint32(m.index+1))
	return id
}

// config is the configuration of every life.
func (m *member) config() *message.NodeConfigured {
	c := &message.NodeConfigured{
		ChainSpec: m.w.rules, GenesisPayload: m.w.genesis,
		Producing: true, HasAuthority: true, Authority: uint32(m.index), Judging: true,
		Behaviour: cores.Behaviour, Software: standin.Software + " federation", BuildWaitMs: 5,
	}
	c.Peers, c.ListenSlots = true, m.w.plan.listen
	if m.w.peg != nil {
		m.w.peg.configure(c, m.index)
	}
	return c
}

// program is the program of every life: the node's, with stand-in signatures.
func (w *world) program() restart.Program {
	return restart.Program{
		Behaviour:  cores.Behaviour,
		Machine:    func(id journal.ID) (*actors.Machine, error) { return cores.NewMachine(id, w.work) },
		Migrations: cores.Migrations(),
	}
}

// start begins a life: journal, snapshots and machine are opened and brought to the
// journal's end, and the process goes on as a node does.
func (m *member) start() {
	if m.process != nil || m.gone || m.w.failure != nil {
		return
	}
	m.lives++
	p, err := m.recover()
	if err != nil {
		m.w.fail("journal", []*member{m}, "member %d does not come up: %v", m.index, err)
		return
	}
	if m.lives > 1 && !m.sameAsBefore(p) {
		return
	}
	m.durable, m.inFlight = freeze(p.machine), nil
	m.process = p
	m.w.oracle.caughtUp(m, p)
	m.w.tell("m%d starts, life %d, at turn %d", m.index, m.lives, p.machine.Sequence())
	p.begin()
}

func (m *member) recover() (*process, error) {
	fs := m.disk.FS()
	j, err := journal.Open(journal.Options{
		FS: fs, Dir: JournalDir, NewID: m.identity(), CacheBytes: 1 << 18, Logger: m.w.quiet,
	})
	if err != nil {
		return nil, err
	}
	store, err := snapshot.Open(snapshot.Options{FS: fs, Dir: SnapshotDir, Keep: 2, Logger: m.w.quiet})
	if err != nil {
		return nil, err
	}
	r, err := m.w.program().Recover(context.Background(), restart.Store{Journal: j, Snapshots: store})
	if err != nil {
		return nil, err
	}
	return newProcess(m, j, store, r), nil
}

// sameAsBefore is the replay oracle at a restart: the recovered states are those
// that the machine had at that turn, when it ran.
func (m *member) sameAsBefore(p *process) bool {
	at, before := p.machine.Sequence(), m.durable
	for _, f := range m.inFlight {
		if f.sequence == at {
			before = f
		}
	}
	if at != before.sequence {
		m.w.fail("journal", []*member{m}, "member %d comes back at turn %d: on disk were %d turns, and none of the %d under way ended there",
			m.index, at, m.durable.sequence, len(m.inFlight))
		return false
	}
	return m.w.oracle.sameStates(m, before, freeze(p.machine))
}

// How a life ends.
type ending uint8

const (
	killed  ending = iota // the process ends, the disk keeps everything written
	powered               // power cut: what was not synced is lost
	failed                // a disk operation failed; the node ends itself
	stopped               // a clean stop
)

func (e ending) String() string {
	return [...]string{"is killed", "loses its power", "ends: its disk failed", "stops"}[e]
}

// end ends the life and schedules the next one; negative downtime is for ever.
func (m *member) end(how ending, downtime int64) {
	p := m.process
	if p == nil {
		return
	}
	m.process = nil
	m.w.tell("m%d %s at turn %d (on disk %d), down for %.1f s", m.index, how, p.machine.Sequence(), m.durable.sequence, float64(downtime)/1000)
	m.w.net.ended(p, how)
	m.disk.end(how == powered)
	go func() { _ = p.journal.Close() }() // its disk is not the member's any more
	switch how {
	case powered:
		m.w.result.Cuts++
		m.layer.Crash()
	case failed:
		m.w.result.Faults++
	case killed:
		m.w.result.Kills++
		if m.w.rand.layer.IntN(2) == 0 { // an embedded layer dies with the process
			m.layer.Crash()
		}
	}
	if downtime < 0 {
		m.gone = true
		m.w.result.Gone++
		return
	}
	m.w.after(downtime, "start", m.index, m.start)
}

// state returns the chain actor's state of a running member.
func (m *member) state() *chain.State { return m.process.machine.State(chain.ID).(*chain.State) }

// content reads what the member's journal has on disk.
func (p *process) content(h [32]byte) ([]byte, error) {
	data, err := p.journal.Content(journal.Hash(h))
	if err != nil {
		return nil, fmt.Errorf("member %d: %w", p.m.index, err)
	}
	return bytes.Clone(data), nil
}
