package restart_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

var silent = slog.New(slog.DiscardHandler)

// life is one run of a program of some behaviour on a file system.
type life struct {
	t         *testing.T
	program   restart.Program
	store     restart.Store
	runtime   *actors.Runtime
	releasing atomic.Pointer[actors.Runtime]
	recovered restart.Recovered
	paid      chan uint64
}

func open(t *testing.T, fs vfs.FS) restart.Store {
	t.Helper()
	var s restart.Store
	var err error
	if s.Journal, err = journal.Open(journal.Options{FS: fs, Dir: "d/journal", Logger: silent}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Journal.Close() })
	if s.Snapshots, err = snapshot.Open(snapshot.Options{FS: fs, Dir: "d/snapshots", Keep: 3, Logger: silent}); err != nil {
		t.Fatal(err)
	}
	return s
}

// start opens, recovers or upgrades, and begins a run.
func start(t *testing.T, fs vfs.FS, behaviour uint32) (*life, error) {
	t.Helper()
	l := &life{t: t, program: program(behaviour), paid: make(chan uint64, 1000)}
	var err error
	l.store.Journal, err = journal.Open(journal.Options{FS: fs, Dir: "d/journal", Logger: silent, OnDurable: func(h journal.Head) {
		if r := l.releasing.Load(); r != nil {
			r.Durable(h)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if l.store.Snapshots, err = snapshot.Open(snapshot.Options{FS: fs, Dir: "d/snapshots", Keep: 3, Logger: silent}); err != nil {
		t.Fatal(err)
	}
	if l.recovered, err = l.program.Recover(t.Context(), l.store); err != nil {
		if l.recovered, err = l.program.Upgrade(l.store, err, "DIR", 5000); err != nil {
			return nil, errors.Join(err, l.store.Journal.Close())
		}
	}
	clock := int64(1000)
	l.runtime = actors.NewRuntime(actors.Options{
		Journal: l.store.Journal, Machine: l.recovered.Machine, Snapshots: l.store.Snapshots, Logger: silent, Behaviour: behaviour,
		Clock: func() int64 { clock++; return clock },
		Edges: map[core.Edge]actors.Executor{"bank": actors.ExecutorFunc(func(_ context.Context, r actors.Request) { l.paid <- r.Message.(*pay).Amount })},
	})
	l.releasing.Store(l.runtime)
	first := actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{Behaviour: behaviour, Software: "v" + string('0'+rune(behaviour))}}
	return l, l.runtime.Start(t.Context(), first, nil)
}

// run handles puts and stops cleanly; a crash is simulated by the caller, who
// copies the file system before.
func (l *life) run(before func(), puts ...put) {
	l.t.Helper()
	ctx, stop := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.runtime.Run(ctx) }()
	at := l.runtime.Counts().Sequence
	for i := range puts {
		if err := l.runtime.Submit(ctx, bookID, &puts[i], actors.Normal, actors.Block); err != nil {
			l.t.Fatal(err)
		}
	}
	for l.runtime.Counts().Sequence < at+uint64(len(puts)) {
		<-l.paid // one for each put that is durable
	}
	if err := l.store.Journal.WaitDurable(ctx, at+uint64(len(puts))); err != nil {
		l.t.Fatal(err)
	}
	if before != nil {
		before()
	}
	stop()
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
	if err := l.store.Journal.Close(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) digest() snapshot.Hash { return digest(l.t, l.recovered.Machine) }

func digest(t *testing.T, m *actors.Machine) snapshot.Hash {
	t.Helper()
	d, err := snapshot.Digests(m.Freeze())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Root(d)
}

func balance(m *actors.Machine, id uint64) account {
	a, _ := m.State(bookID).(*bookState).accounts.Get(id)
	return a
}

func mustStart(t *testing.T, fs vfs.FS, behaviour uint32) *life {
	t.Helper()
	l, err := start(t, fs, behaviour)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// removeSnapshots deletes every file of the snapshots.
func removeSnapshots(t *testing.T, fs vfs.FS) {
	t.Helper()
	if err := fs.RemoveAll("d/snapshots"); err != nil {
		t.Fatal(err)
	}
}

// Three behaviours on one journal: each upgrade migrates, replays begin at the
// newest mark from genesis and without snapshots, older programs refuse.
func TestUpgrades(t *testing.T) {
	fs := vfs.NewMem()
	mustStart(t, fs, 1).run(nil, put{1, 10}, put{2, 5})
	mustStart(t, fs, 1).run(nil, put{1, 1})
	l := mustStart(t, fs, 2)
	if a := balance(l.recovered.Machine, 1); a != (account{11, 0}) {
		t.Fatalf("migrated account %+v", a)
	}
	if pending := len(l.recovered.Machine.PendingEffects()); pending != 3 {
		t.Errorf("%d pending effects survived the upgrade, want 3", pending)
	}
	firstMark := l.recovered.Report.Mark
	l.run(nil, put{1, 2})
	if a := balance(l.recovered.Machine, 1); a != (account{15, 1}) {
		t.Fatalf("account %+v after a turn of behaviour 2", a)
	}
	if _, err := start(t, fs, 1); !errors.Is(err, restart.ErrRefused) || !strings.Contains(err.Error(), "behaviour 2") {
		t.Fatalf("behaviour 1 on a journal of 2: %v", err)
	}
	l = mustStart(t, fs, 3)
	secondMark := l.recovered.Report.Mark
	l.run(nil, put{1, 100}, put{9, 9})
	want := l.digest()
	if a := balance(l.recovered.Machine, 1); a != (account{115, 0}) {
		t.Fatalf("account %+v after a turn of behaviour 3", a)
	}
	for _, behaviour := range []uint32{1, 2} {
		if _, err := start(t, fs, behaviour); !errors.Is(err, restart.ErrRefused) {
			t.Errorf("behaviour %d on a journal of 3: %v", behaviour, err)
		}
	}
	removeSnapshots(t, fs)
	s := open(t, fs)
	p := program(3)
	r, err := p.Recover(t.Context(), s)
	if err != nil || digest(t, r.Machine) != want {
		t.Fatalf("without snapshots: %v", err)
	}
	if r.Snapshot != secondMark-1 {
		t.Errorf("recovery began at %d, the newest mark is event %d", r.Snapshot, secondMark)
	}
	m, err := p.Machine(s.Journal.ID())
	if err != nil {
		t.Fatal(err)
	}
	report, err := replay.Run(t.Context(), s.Journal, m, replay.Options{Behaviour: 3})
	if err != nil || digest(t, m) != want {
		t.Fatalf("replay from genesis: %v", err)
	}
	spans := []replay.Span{{First: 1, Last: firstMark - 1, Behaviour: 1}, {First: firstMark, Last: secondMark - 1, Behaviour: 2}}
	if report.Mark != secondMark || report.Skipped != secondMark-1 || len(report.Before) != 2 || report.Before[0] != spans[0] || report.Before[1] != spans[1] {
		t.Errorf("report %+v, want spans %+v", report, spans)
	}
	if report.Skipped+report.Turns != s.Journal.Durable().Sequence {
		t.Errorf("%d skipped and %d equal of %d", report.Skipped, report.Turns, s.Journal.Durable().Sequence)
	}
	if m, err = program(2).Machine(s.Journal.ID()); err != nil {
		t.Fatal(err)
	}
	// The old program can still re-execute its own part.
	report, err = replay.Run(t.Context(), s.Journal, m, replay.Options{Behaviour: 2, To: secondMark - 1})
	if err != nil || report.Mark != firstMark || report.Sequence != secondMark-1 {
		t.Errorf("behaviour 2 up to its end: %+v, %v", report, err)
	}
}

// Two versions at once are migrated in two steps.
func TestUpgradeOverTwo(t *testing.T) {
	fs := vfs.NewMem()
	mustStart(t, fs, 1).run(nil, put{1, 10})
	l := mustStart(t, fs, 3)
	l.run(nil, put{1, 1})
	if a := balance(l.recovered.Machine, 1); a != (account{11, 0}) {
		t.Errorf("account %+v", a)
	}
}

// After a crash a newer program refuses and names the command; the old program
// takes a snapshot, and then it starts.
func TestCrashThenUpgrade(t *testing.T) {
	fs := vfs.NewCrashableMem()
	var crashed vfs.FS
	mustStart(t, fs, 1).run(func() { crashed = fs.CrashClone(vfs.CrashCloneCfg{}) }, put{1, 10}, put{1, 7})
	_, err := start(t, crashed, 2)
	if !errors.Is(err, restart.ErrRefused) || !strings.Contains(err.Error(), "alys snapshot create") || !strings.Contains(err.Error(), "v1") {
		t.Fatalf("after a crash: %v", err)
	}
	s := open(t, crashed)
	m, err := program(1).TakeSnapshot(t.Context(), s, func() int64 { return 3000 })
	if err != nil {
		t.Fatal(err)
	}
	if head := s.Journal.Head().Sequence; m.Sequence != head-1 {
		t.Errorf("the snapshot is of %d, the head is %d", m.Sequence, head)
	}
	if err := s.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	l := mustStart(t, crashed, 2)
	l.run(nil, put{1, 1})
	if a := balance(l.recovered.Machine, 1); a != (account{19, 1}) {
		t.Errorf("account %+v", a)
	}
}

// A power cut while the mark is written leaves the old journal or the mark.
func TestCrashWhileUpgrading(t *testing.T) {
	fs := vfs.NewCrashableMem()
	mustStart(t, fs, 1).run(nil, put{1, 10})
	for _, percent := range []int{0, 50, 100} {
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRand(1)})
		s := open(t, clone)
		_, cause := program(2).Recover(t.Context(), s)
		if _, err := program(2).Upgrade(s, cause, "DIR", 1); err != nil {
			t.Fatal(err)
		}
		cut := clone.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: newRand(uint64(percent))})
		if l := mustStart(t, cut, 2); balance(l.recovered.Machine, 1) != (account{10, 0}) {
			t.Errorf("%d percent: %+v", percent, balance(l.recovered.Machine, 1))
		}
	}
}

// A damaged covering snapshot is no base for an upgrade.
func TestUpgradeRefusesDamage(t *testing.T) {
	fs := vfs.NewMem()
	mustStart(t, fs, 1).run(nil, put{1, 10})
	names, err := fs.List("d/snapshots/chunks")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := fs.Remove("d/snapshots/chunks/" + name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := start(t, fs, 2); !errors.Is(err, restart.ErrRefused) || !strings.Contains(err.Error(), "whole snapshot") {
		t.Errorf("error %v", err)
	}
	// The program that wrote the journal needs no snapshot, and leaves a new one.
	mustStart(t, fs, 1).run(nil)
	mustStart(t, fs, 2).run(nil)
}

// A behaviour that nothing leads from is refused before anything is written.
func TestNoMigration(t *testing.T) {
	fs := vfs.NewMem()
	mustStart(t, fs, 1).run(nil, put{1, 10})
	s := open(t, fs)
	before := s.Journal.Head()
	p := program(3)
	p.Migrations = migrations[1:]
	_, cause := p.Recover(t.Context(), s)
	if _, err := p.Upgrade(s, cause, "DIR", 1); !errors.Is(err, restart.ErrRefused) || !strings.Contains(err.Error(), "behaviour 1") {
		t.Errorf("error %v", err)
	}
	if s.Journal.Head() != before {
		t.Error("the journal changed")
	}
}

// A journal with an incident is not upgraded before the program of its behaviour
// has told of it: that turn is what puts signing off.
func TestIncidentIsToldBeforeUpgrade(t *testing.T) {
	fs := vfs.NewMem()
	l, err := start(t, fs, 1)
	if err != nil {
		t.Fatal(err)
	}
	l.run(nil, put{1, 1})
	i, err := journal.AddIncident(journal.Options{FS: fs, Dir: "d/journal", Logger: silent}, journal.Incident{Kind: journal.IncidentRestore, Text: "of a test"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(t, fs, 2)
	if !errors.Is(err, restart.ErrRefused) || !strings.Contains(err.Error(), "has a restore after event") {
		t.Errorf("upgrade: %v", err)
	}
	s := open(t, fs)
	if head := s.Journal.Head(); head.Sequence != i.After {
		t.Errorf("the refused upgrade wrote up to %s", head)
	}
}
