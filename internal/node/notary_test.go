package node

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/journal/tree"
)

// notarized is a data directory whose journal has events and nothing else.
func notarized(t *testing.T, events uint64) (string, *journal.Journal, *index.Index) {
	t.Helper()
	dir := t.TempDir()
	j, err := journal.Open(journal.Options{Dir: JournalDir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	x, err := index.Open(j, index.Options{Dir: IndexDir(JournalDir(dir))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	extend(t, j, events)
	return dir, j, x
}

func extend(t *testing.T, j *journal.Journal, to uint64) {
	t.Helper()
	for s := j.Head().Sequence + 1; s <= to; s++ {
		if _, err := j.Append(&journal.Event{Sequence: s, Time: 1, Actor: "chain", Type: "t", Schema: 1, Stored: true, Message: []byte{byte(s)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), to); err != nil {
		t.Fatal(err)
	}
}

func openNotary(t *testing.T, dir string, j *journal.Journal, x *index.Index, create bool) *Notary {
	t.Helper()
	n, err := OpenNotary(dir, j, x, create, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNotaryKeeps(t *testing.T) {
	dir, j, x := notarized(t, 600)
	if _, err := OpenNotary(dir, j, x, false, slog.New(slog.DiscardHandler)); !fault.Is(err, fault.Invalid) {
		t.Errorf("no key, reading only: %v", err)
	}
	n := openNotary(t, dir, j, x, true)
	if info, err := os.Stat(filepath.Join(dir, noteKeyName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info, err)
	}
	for _, size := range []uint64{1, 300, 600, 20} {
		if err := n.Keep(size); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []uint64{0, 601} {
		if _, _, err := n.Sign(size); !fault.Is(err, fault.Invalid) {
			t.Errorf("sign over %d of 600: %v", size, err)
		}
	}
	again := openNotary(t, dir, j, x, true)
	if again.PublicKey() != n.PublicKey() {
		t.Errorf("another key at the second opening")
	}
	kept, signed := again.Kept()
	v, err := tree.ReadPublicKey(again.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tree.OpenCheckpoint(signed, v); err != nil || c != kept || c.Size != 600 || c.Origin != "alys/"+j.ID().String()+"/0" {
		t.Errorf("kept %+v, signed %+v, %v", kept, c, err)
	}
	extend(t, j, 900)
	if err := again.Check(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.new")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A kept checkpoint is believed when it is signed by this key for this history,
// and then the journal has to agree.
func TestNotaryContradicted(t *testing.T) {
	dir, j, x := notarized(t, 600)
	n := openNotary(t, dir, j, x, true)
	keep := func(c tree.Checkpoint) {
		signed, err := c.Sign(n.signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, checkpointName), signed, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]tree.Checkpoint{
		"is not what was signed":          {Origin: n.origin, Size: 500, Root: tree.Hash{1}},
		"acknowledged events are lost":    {Origin: n.origin, Size: 601, Root: tree.Hash{1}},
		"signed checkpoint with the root": {Origin: n.origin, Size: 1, Root: tree.EmptyRoot()},
	} {
		keep(c)
		bad := openNotary(t, dir, j, x, true)
		if err := bad.Check(); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
		if _, _, err := bad.Sign(600); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%s: it signs: %v", what, err)
		}
	}
	keep(tree.Checkpoint{Origin: tree.Origin(j.ID(), 1), Size: 500, Root: tree.Hash{1}})
	other := openNotary(t, dir, j, x, true)
	if kept, _ := other.Kept(); kept.Size != 0 || !fault.Is(other.Unfit(), fault.Invalid) {
		t.Errorf("another history: %+v, %v", kept, other.Unfit())
	}
	aside, err := filepath.Glob(filepath.Join(dir, checkpointName+".*"))
	if err != nil || len(aside) != 1 {
		t.Errorf("moved aside: %v %v", aside, err)
	}
	if err := os.WriteFile(filepath.Join(dir, checkpointName), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if torn := openNotary(t, dir, j, x, false); !fault.Is(torn.Unfit(), fault.Corrupt) {
		t.Errorf("torn: %v", torn.Unfit())
	}
}

// A node indexes and signs as it runs, and does not start on a journal that is
// not what it signed.
func TestNodeSigns(t *testing.T) {
	o := localOptions(t)
	n, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, nil) }()
	for n.Status().Head.Height < 2 {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := n.copyJournal(to); err != nil {
		t.Fatal(err)
	}
	copied, err := journal.Open(journal.Options{Dir: to, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(copied, index.Options{Dir: IndexDir(to), ReadOnly: true, Extract: Terms(n.recovered.Machine, n.memo), Logger: slog.New(slog.DiscardHandler)})
	if err != nil || x.Missing() != nil || x.Position().Sequence == 0 {
		t.Errorf("index of the copy: %v, %v, at %v", err, x.Missing(), x.Position())
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if err := copied.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	last := n.journal.Durable().Sequence
	if kept, _ := n.notary.Kept(); kept.Size != last {
		t.Errorf("signed over %d events of %d", kept.Size, last)
	}
	wrong, err := tree.Checkpoint{Origin: n.notary.origin, Size: last - 1, Root: tree.Hash{1}}.Sign(n.notary.signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.DataDir, checkpointName), wrong, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := Open(t.Context(), o); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "not what was signed") {
		t.Errorf("%v, %v", n, err)
	}
}

// localOptions are those of a node that produces blocks alone.
func localOptions(t *testing.T) Options {
	t.Helper()
	c := spec.Dev()
	genesis, err := json.Marshal(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		t.Fatal(err)
	}
	key := aura.DevKey(1)
	signer := func(f *peg.Federation) (pegsigner.Signer, error) {
		secret, err := pegsigner.DevSecret(1)
		if err != nil {
			return nil, err
		}
		return pegsigner.NewLocal(secret, f)
	}
	return Options{
		DataDir: t.TempDir(), ChainSpec: c.Encode(), GenesisJSON: genesis, AuthorityKey: &key, PegSigner: signer, Version: "test",
		EngineCacheMB: 16, Logger: slog.New(slog.DiscardHandler),
	}
}
