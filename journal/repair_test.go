package journal

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func repairOptions(fs vfs.FS) RepairOptions {
	return RepairOptions{Options: memOptions(fs), Time: time.Unix(1_700_000_000, 0)}
}

const asideDir = "journal.damaged-20231114T221320.000Z"

// withContent returns the last event up to n that names a content.
func withContent(n uint64) uint64 {
	for ; ; n-- {
		if e, _ := event(5, n); len(e.Contents) > 0 {
			return n
		}
	}
}

// repairCases are damages of a journal of 20 events, and what is whole.
var repairCases = []struct {
	name    string
	damage  func(*testing.T, *vfs.MemFS, ID, Head)
	whole   uint64
	claimed uint64
}{
	{"last events gone", editing(deleteEvents(18, 20)), 17, 20},
	{"all events gone", editing(deleteEvents(1, 20)), 0, 20},
	{"hole", editing(deleteEvents(9, 9)), 8, 20},
	{"changed envelope", editing(flipEvent(7, 12)), 6, 20},
	{"content missing", editing(contentGone), withContent(20) - 1, 20},
	{"content damaged", editing(contentDamaged), withContent(20) - 1, 20},
	{"head file gone", removeHead, 20, 20},
	{"head file bad", badHead, 20, 20},
	{"head file foreign", foreignHead, 20, 20},
	{"record ahead", setHead(25), 20, 25},
	{"index ahead", indexAt(23, 0), 20, 23},
	{"index of another history", indexAt(12, 1), 20, 20},
}

func TestRepair(t *testing.T) {
	for _, c := range repairCases {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			id, head := makeJournal(t, fs, 5, 20)
			c.damage(t, fs, id, head)
			before := dump(t, fs, "journal")
			o := repairOptions(fs)

			a, err := Assess(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if a.Healthy() || a.Whole.Sequence != c.whole || a.Claimed.Sequence != c.claimed || a.ID != id {
				t.Fatalf("%+v", a)
			}
			if _, err := Repair(t.Context(), o, c.whole+1); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "verify up to") {
				t.Fatal(err)
			}
			if after := dump(t, fs, "journal"); after != before {
				t.Fatalf("assessing and refusing changed files:\n%s\n%s", before, after)
			}
			done, err := Repair(t.Context(), o, c.whole)
			if err != nil {
				t.Fatal(err)
			}
			if done.Head.Sequence != c.whole || done.Incident.After != c.whole || done.Aside != asideDir {
				t.Fatalf("%+v", done)
			}
			checkAside(t, fs, before)
			checkRepaired(t, fs, id, c.whole)
			if _, err := Repair(t.Context(), o, 1); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "nothing to repair") {
				t.Fatal(err)
			}
		})
	}
}

// checkAside wants every damaged file kept, byte for byte.
func checkAside(t *testing.T, fs vfs.FS, before string) {
	t.Helper()
	kept := dump(t, fs, asideDir)
	for line := range strings.Lines(before) {
		if want := strings.Replace(line, "journal/", asideDir+"/", 1); !strings.Contains(kept, want) {
			t.Fatalf("%s is not among the files put aside:\n%s", want, kept)
		}
	}
}

// checkRepaired wants a journal that opens, verifies and goes on once the
// incident was told.
func checkRepaired(t *testing.T, fs vfs.FS, id ID, head uint64) {
	t.Helper()
	plan, err := Inspect(memOptions(fs))
	if err != nil || plan.Refusal != nil || plan.Pending == nil || plan.Pending.Kind != IncidentRepair || plan.Last.Sequence != head {
		t.Fatalf("%v %v", plan.String(), err)
	}
	j := mustOpen(t, memOptions(fs))
	if j.ID() != id {
		t.Fatal("identity changed")
	}
	e, c := event(5, head+1)
	if _, err := j.Append(e, c); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if _, err := j.Append(incidentEvent(head+1), nil); err != nil {
		t.Fatal(err)
	}
	fill(t, j, 5, head+9)
	if r, err := j.Verify(t.Context(), 0, 0, nil); err != nil || r.Events != head+9 {
		t.Fatal(r, err)
	}
	if head > 0 {
		last, _, err := j.Event(head)
		if want, _ := event(5, head); err != nil || last.Time != want.Time || last.Type != want.Type {
			t.Fatal(last, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range listFiles(t, fs, "journal") {
		if strings.HasPrefix(f, "journal/"+repairName) {
			t.Errorf("%s is left", f)
		}
	}
}

func TestRepairLeavesTheHealthyAlone(t *testing.T) {
	fs := vfs.NewMem()
	makeJournal(t, fs, 5, 20)
	before := dump(t, fs, "journal")
	a, err := Assess(t.Context(), repairOptions(fs))
	if err != nil || !a.Healthy() || a.Whole.Sequence != 20 {
		t.Fatalf("%+v %v", a, err)
	}
	for _, sequence := range []uint64{0, 19, 20, 21} {
		if _, err := Repair(t.Context(), repairOptions(fs), sequence); !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	}
	if after := dump(t, fs, "journal"); after != before {
		t.Fatalf("files changed:\n%s\n%s", before, after)
	}
	if _, err := Assess(t.Context(), repairOptions(vfs.NewMem())); !errors.Is(err, ErrAbsent) {
		t.Fatal(err)
	}
	j := mustOpen(t, memOptions(fs))
	defer j.Close()
	if _, err := Repair(t.Context(), repairOptions(fs), 19); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
}

func TestRepairLeavesTheNewerAlone(t *testing.T) {
	for _, f := range []func(*pebble.DB) error{newerDatabase, newerEvent} {
		fs := vfs.NewMem()
		makeJournal(t, fs, 5, 20)
		edit(t, fs, f)
		if _, err := Repair(t.Context(), repairOptions(fs), 5); !errors.Is(err, ErrNewerFormat) {
			t.Fatal(err)
		}
	}
}

// TestRepairKeepsOlderIncidents repairs twice; an incident behind the cut goes.
func TestRepairKeepsOlderIncidents(t *testing.T) {
	fs := vfs.NewMem()
	id, _ := makeJournal(t, fs, 5, 20)
	if _, err := AddIncident(memOptions(fs), Incident{Kind: IncidentRestore, Time: 1}); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, memOptions(fs))
	if _, err := j.Append(incidentEvent(21), nil); err != nil {
		t.Fatal(err)
	}
	fill(t, j, 5, 30)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, fs, deleteEvents(28, 30))
	if _, err := Repair(t.Context(), repairOptions(fs), 27); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, memOptions(fs))
	kinds := []IncidentKind{}
	for _, i := range j.Incidents() {
		kinds = append(kinds, i.Kind)
	}
	if err := j.Close(); err != nil || !slices.Equal(kinds, []IncidentKind{IncidentRestore, IncidentRepair}) {
		t.Fatal(kinds, err)
	}
	checkRepaired(t, fs, id, 27)
	edit(t, fs, deleteEvents(15, 15))
	o := repairOptions(fs)
	o.Time = o.Time.Add(time.Second)
	if _, err := Repair(t.Context(), o, 14); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, memOptions(fs))
	if list := j.Incidents(); len(list) != 1 || list[0].After != 14 || list[0].Number != 1 {
		t.Fatalf("%+v", list)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRepairSurvivesPowerCuts cuts the power before each operation of a repair:
// the journal never opens with less than it had and no incident, and the same
// repair finishes.
func TestRepairSurvivesPowerCuts(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 7 // beside the race detector
	}
	for _, c := range repairCases {
		if c.name != "last events gone" && c.name != "head file gone" && c.name != "index ahead" && c.name != "content missing" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			id, head := makeJournal(t, mem, 5, 20)
			c.damage(t, mem, id, head)
			for _, d := range []string{"", "journal", "journal/pebble"} {
				if err := syncDir(mem, d); err != nil {
					t.Fatal(err)
				}
			}
			cuts := &cutter{mem: mem, rng: rand.New(rand.NewPCG(8, 9)), percents: []int{0, 50, 100}, every: every}
			if _, err := Repair(t.Context(), repairOptions(errorfs.Wrap(mem, cuts.injector())), c.whole); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d cuts", len(cuts.cuts))
			for i, cut := range cuts.cuts {
				resume(t, cut.fs, id, c.whole)
				if t.Failed() {
					t.Fatalf("cut %d, before %s", i, cut.op)
				}
			}
		})
	}
}

func resume(t *testing.T, fs vfs.FS, id ID, whole uint64) {
	t.Helper()
	plan, err := Inspect(memOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Refusal == nil {
		if plan.Pending == nil {
			t.Fatalf("opens without the incident: %s", plan.String())
		}
		checkRepaired(t, fs, id, whole)
		return
	}
	o := repairOptions(fs)
	o.Time = o.Time.Add(time.Minute)
	a, err := Assess(t.Context(), o)
	if err != nil || a.Healthy() || a.Whole.Sequence != whole {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := Repair(t.Context(), o, whole); err != nil {
		t.Fatal(err)
	}
	checkRepaired(t, fs, id, whole)
}

// TestRepairBehindAnArchive cuts a journal whose oldest events left the
// database: they stay where they are, and are read as before.
func TestRepairBehindAnArchive(t *testing.T) {
	fs := vfs.NewMem()
	id, _ := makeJournal(t, fs, 5, 40)
	j := mustOpen(t, memOptions(fs))
	if _, err := j.Archive(t.Context(), 15, ArchiveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, fs, deleteEvents(30, 31))
	o := repairOptions(fs)
	a, err := Assess(t.Context(), o)
	if err != nil || a.Archived != 14 || a.Whole.Sequence != 29 || a.Claimed.Sequence != 40 {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := Repair(t.Context(), o, 13); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "in the archive") {
		t.Fatal(err)
	}
	if _, err := Repair(t.Context(), o, 29); err != nil {
		t.Fatal(err)
	}
	checkRepaired(t, fs, id, 29)
	j = mustOpen(t, memOptions(fs))
	defer j.Close()
	if e, _, err := j.Event(3); err != nil || e.Sequence != 3 {
		t.Fatal(e, err)
	}
}
