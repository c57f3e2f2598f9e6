package journal

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func incidentEvent(sequence uint64) *Event {
	e, _ := event(5, sequence)
	return &Event{Sequence: sequence, Time: e.Time, Actor: "supervisor", Type: IncidentType, Schema: 1, Stored: true, Message: []byte("told")}
}

func TestIncidentMustBeTold(t *testing.T) {
	fs := vfs.NewMem()
	_, head := makeJournal(t, fs, 5, 20)
	before := Head{Sequence: 23, Hash: Hash{3}}
	added, err := AddIncident(memOptions(fs), Incident{Kind: IncidentRepair, Before: before, Time: 77, Text: "three events"})
	if err != nil {
		t.Fatal(err)
	}
	want := Incident{Number: 1, Kind: IncidentRepair, After: 20, Before: before, Time: 77, Text: "three events"}
	if added != want {
		t.Fatalf("%+v", added)
	}
	// A second one before anything was appended: the newest is pending.
	if _, err := AddIncident(memOptions(fs), Incident{Kind: IncidentRestore, Time: 78}); err != nil {
		t.Fatal(err)
	}

	j := mustOpen(t, memOptions(fs))
	if got := j.Incidents(); len(got) != 2 || got[0] != want || got[1].Kind != IncidentRestore || got[1].After != 20 {
		t.Fatalf("%+v", got)
	}
	if i, ok := j.PendingIncident(); !ok || i.Number != 2 {
		t.Fatalf("%+v %v", i, ok)
	}
	e, c := event(5, 21)
	if _, err := j.Append(e, c); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "follows a restore") {
		t.Fatal(err)
	}
	if j.Head() != head {
		t.Fatal("a refused event moved the head")
	}
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(incidentEvent(21), nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := j.PendingIncident(); ok {
		t.Fatal("told, and still pending")
	}
	fill(t, j, 5, 30)
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, memOptions(fs))
	defer j.Close()
	if _, ok := j.PendingIncident(); ok || len(j.Incidents()) != 2 {
		t.Fatal("incidents changed by reopening")
	}
}

func TestIncidentNeedsAJournal(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := AddIncident(memOptions(fs), Incident{Kind: IncidentRepair}); !errors.Is(err, ErrAbsent) {
		t.Fatal(err)
	}
	makeJournal(t, fs, 5, 3)
	if _, err := AddIncident(memOptions(fs), Incident{}); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	j := mustOpen(t, memOptions(fs))
	defer j.Close()
	if _, err := AddIncident(memOptions(fs), Incident{Kind: IncidentRepair}); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
}

func TestDamagedIncidents(t *testing.T) {
	good := Incident{Number: 1, Kind: IncidentRepair, After: 20, Text: "x"}
	next := Incident{Number: 2, Kind: IncidentRepair, After: 10, Text: "x"}
	newer := good.appendTo(nil)
	newer[0]++
	for _, c := range []struct {
		name string
		set  map[string][]byte
		want error
		text string
	}{
		{"undecodable", map[string][]byte{string(incidentKey(1)): []byte{1, 2}}, errCorrupt, "m/incident/1"},
		{"bytes after it", map[string][]byte{string(incidentKey(1)): append(good.appendTo(nil), 0)}, errCorrupt, "after the end"},
		{"a number is missing", map[string][]byte{string(incidentKey(2)): good.appendTo(nil)}, errCorrupt, "m/incident/1"},
		{"strange key", map[string][]byte{"mincident/x": good.appendTo(nil)}, errCorrupt, "m/incident/1"},
		{"going back", map[string][]byte{string(incidentKey(1)): good.appendTo(nil), string(incidentKey(2)): next.appendTo(nil)}, errCorrupt, "m/incident/2"},
		{"newer", map[string][]byte{string(incidentKey(1)): newer}, ErrNewerFormat, "version 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			makeJournal(t, fs, 5, 20)
			edit(t, fs, func(db *pebble.DB) error {
				for k, v := range c.set {
					if err := db.Set([]byte(k), v, pebble.Sync); err != nil {
						return err
					}
				}
				return nil
			})
			if _, err := Open(memOptions(fs)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Fatal(err)
			}
		})
	}
}

// TestVerifyFindsAnUntoldIncident puts an incident behind an event that has a
// successor already.
func TestVerifyFindsAnUntoldIncident(t *testing.T) {
	fs := vfs.NewMem()
	makeJournal(t, fs, 5, 20)
	i := Incident{Number: 1, Kind: IncidentRepair, After: 9}
	edit(t, fs, func(db *pebble.DB) error { return db.Set(incidentKey(1), i.appendTo(nil), pebble.Sync) })
	j := mustOpen(t, memOptions(fs))
	defer j.Close()
	var damage *CorruptError
	if _, err := j.Verify(t.Context(), 0, 0, nil); !errors.As(err, &damage) || damage.Sequence != 10 {
		t.Fatal(err)
	}
}

func TestIncidentEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := Incident{
			Number: rapid.Uint32Range(1, 1<<31).Draw(t, "number"), Kind: IncidentKind(rapid.StringN(1, 16, 64).Draw(t, "kind")),
			After: rapid.Uint64Range(0, 1<<63).Draw(t, "after"), Time: rapid.Int64().Draw(t, "time"),
			Before: Head{Sequence: rapid.Uint64().Draw(t, "before"), Hash: SumContent(nil)}, Text: rapid.StringN(0, 100, 1000).Draw(t, "text"),
		}
		got, err := decodeIncident(i.Number, i.appendTo(nil))
		if err != nil || got != i {
			t.Fatalf("%+v, %+v, %v", i, got, err)
		}
	})
}

func FuzzDecodeIncident(f *testing.F) {
	i := Incident{Number: 1, Kind: IncidentRepair, After: 20, Before: Head{Sequence: 23}, Time: 9, Text: "x"}
	f.Add(i.appendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := decodeIncident(1, data)
		if err == nil && !bytes.Equal(i.appendTo(nil), data) {
			t.Fatalf("%x decodes to %+v, which encodes differently", data, i)
		}
	})
}
