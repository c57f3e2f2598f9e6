package node_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// A node whose journal was restored signs nothing, over restarts too, until an
// operator decides; then it goes on. Every turn of it replays equal.
func TestSigningIsHeldAfterRestore(t *testing.T) {
	dir := t.TempDir()
	runUntil(t, devOptions(t, dir), func(f node.Fact) bool {
		m, ok := f.Message.(*message.HeadChanged)
		return ok && m.Number >= 2
	})
	quiet := slog.New(slog.DiscardHandler)
	incident, err := journal.AddIncident(journal.Options{Dir: node.JournalDir(dir), Logger: quiet}, journal.Incident{
		Kind: journal.IncidentRestore, Time: time.Now().UnixMilli(), Text: "from the backup of a test",
	})
	if err != nil {
		t.Fatal(err)
	}
	skipped := func(f node.Fact) bool {
		m, ok := f.Message.(*message.SlotSkipped)
		return ok && strings.Contains(m.Reason, "signing is held since the restore")
	}
	runUntil(t, devOptions(t, dir), skipped)
	allowed := allowWhileRunning(t, dir, skipped)
	checkHeld(t, dir, incident, allowed)
	equalReplay(t, dir)
}

// allowWhileRunning starts the held node again, tries to allow signing in every
// wrong way, allows it, waits for a block, and returns the turn of the decision.
func allowWhileRunning(t *testing.T, dir string, skipped func(node.Fact) bool) (allowed uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o := devOptions(t, dir)
	held, produced := make(chan struct{}), make(chan struct{})
	o.OnFact = func(f node.Fact) {
		switch m := f.Message.(type) {
		case *message.SlotSkipped:
			if skipped(f) && held != nil {
				close(held)
				held = nil
			}
		case *message.SigningReleased:
			if m.By != "operator" || m.Reason != "a test says so" {
				t.Errorf("released by %+v", m)
			}
			allowed = f.Ref.Sequence
		case *message.BlockProduced:
			if produced != nil {
				close(produced)
				produced = nil
			}
		}
	}
	waitHeld, waitProduced := held, produced
	n, err := node.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, nil) }()
	await := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case err := <-done:
			t.Fatalf("ended before %s: %v", what, err)
		}
	}
	await("a slot passed", waitHeld)
	if s := n.Status(); !s.Chain.Signing.Held || !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "alys signing allow") }) {
		t.Errorf("status %+v, warnings %q", s.Chain.Signing, s.Warnings)
	}
	for _, reason := range []string{"", "  ", strings.Repeat("x", 1025), "two\nlines", "\xff"} {
		if err := n.AllowSigning(ctx, reason); !fault.Is(err, fault.Invalid) || errors.Is(err, node.ErrRefused) {
			t.Errorf("reason %.20q: %v", reason, err)
		}
	}
	if err := n.AllowSigning(ctx, "a test says so"); err != nil {
		t.Error(err)
	}
	await("a block was made", waitProduced)
	if err := n.AllowSigning(ctx, "once more"); !errors.Is(err, node.ErrRefused) {
		t.Errorf("allowed twice: %v", err)
	}
	cancel()
	if err := errors.Join(<-done, n.Close()); err != nil {
		t.Fatal(err)
	}
	return allowed
}

// checkHeld reads the journal: the incident is told first, and between it and the
// decision nothing is signed or made.
func checkHeld(t *testing.T, dir string, incident journal.Incident, allowed uint64) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(dir), ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	it := j.Iterate(incident.After+1, false)
	defer it.Close()
	made := 0
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			t.Fatal(err)
		}
		if e.Sequence == incident.After+1 && e.Type != journal.IncidentType {
			t.Errorf("event %d after the incident is %s", e.Sequence, e.Type)
		}
		for _, out := range e.Outputs {
			switch out.Type {
			case "sign_block", "block_produced":
				made++
				if e.Sequence < allowed {
					t.Errorf("event %d: %s, signing is held until event %d", e.Sequence, out.Type, allowed)
				}
			}
		}
	}
	if err := it.Err(); err != nil || made == 0 || allowed == 0 {
		t.Errorf("%d signatures after the decision at %d, %v", made, allowed, err)
	}
}
