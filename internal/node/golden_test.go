package node_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/heads"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

var describeGolden = flag.Bool("describe-golden", false, "write what a golden journal holds beside each that has no description yet")

// goldenJournal describes one archive of testdata/journals: what the program that
// wrote it says of it.
type goldenJournal struct {
	Software  string `json:"software"`
	Behaviour uint32 `json:"behaviour"`
	Journal   string `json:"journal"`
	Sequence  uint64 `json:"head_sequence"`
	Hash      string `json:"head_hash"`
	Events    uint64 `json:"events"`
	Contents  uint64 `json:"contents"`
	Snapshots int    `json:"snapshots"`
	Height    uint64 `json:"chain_height"`
	Head      string `json:"chain_head"`
	Finalized uint64 `json:"chain_finalized"`
}

// TestGoldenJournals opens the journals of every released version: each byte must
// verify, each payload decode, each snapshot hold, and where the behaviour is that
// of this program, every turn comes out the same again.
func TestGoldenJournals(t *testing.T) {
	archives, err := filepath.Glob("../../testdata/journals/*/*.tar.zst")
	if err != nil || len(archives) < 2 {
		t.Fatalf("%d golden journals (%v)", len(archives), err)
	}
	for _, archive := range archives {
		name := strings.TrimSuffix(archive, ".tar.zst")
		t.Run(filepath.Base(filepath.Dir(archive))+"/"+filepath.Base(name), func(t *testing.T) {
			dir := t.TempDir()
			if err := unpack(archive, dir); err != nil {
				t.Fatal(err)
			}
			got := readGolden(t, dir)
			if *describeGolden {
				writeDescription(t, name+".json", got)
			}
			if want := readDescription(t, name+".json"); got != want {
				t.Fatalf("read\n%+v, it was written as\n%+v", got, want)
			}
			reexecuted := got.Behaviour == node.Behaviour
			if reexecuted {
				replayGolden(t, dir, got)
			}
			t.Logf("%d events, %d contents, %d snapshots, turns run again: %t", got.Events, got.Contents, got.Snapshots, reexecuted)
			upgradeGolden(t, dir, got)
		})
	}
}

func unpack(archive, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := zstd.NewReader(file)
	if err != nil {
		return err
	}
	defer plain.Close()
	files := tar.NewReader(plain)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, data, 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
}

func openGolden(t *testing.T, dir string, readOnly bool) (*journal.Journal, *snapshot.Store) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(dir), ReadOnly: readOnly, CacheBytes: 8 << 20, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.Open(snapshot.Options{Dir: node.SnapshotDir(dir), ReadOnly: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return j, store
}

// readGolden verifies and decodes everything in an unpacked archive.
func readGolden(t *testing.T, dir string) (g goldenJournal) {
	t.Helper()
	ctx := context.Background()
	j, store := openGolden(t, dir, true)
	defer j.Close()
	report, err := j.Verify(ctx, 1, 0, nil)
	if err != nil || !report.Complete {
		t.Fatalf("verify: %v, complete %t", err, report.Complete)
	}
	g = goldenJournal{
		Journal: j.ID().String(), Sequence: report.Head.Sequence, Hash: report.Head.Hash.String(),
		Events: report.Events, Contents: report.Contents,
	}
	decodeGolden(t, j, &g)
	var v heads.View
	if err := v.Follow(ctx, j, 1); err != nil {
		t.Fatal(err)
	}
	g.Height, g.Head, g.Finalized = v.Head.Number, v.Head.Root.Hex(), v.Finalized.Number
	all, err := store.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := store.Verify(m); err != nil {
			t.Errorf("snapshot %d: %v", m.Sequence, err)
		}
		g.Snapshots++
	}
	return g
}

// decodeGolden decodes every message and output by its type, with its contents.
func decodeGolden(t *testing.T, j *journal.Journal, g *goldenJournal) {
	t.Helper()
	machine, err := node.NewMachine(j.ID(), memo.New())
	if err != nil {
		t.Fatal(err)
	}
	decode := func(at uint64, typ string, schema uint32, data []byte) {
		m, err := machine.DecodeMessage(typ, schema, data, func(h [32]byte) ([]byte, error) { return j.Content(h) })
		if err != nil {
			t.Fatalf("event %d: %v", at, err)
		}
		if c, ok := m.(*message.NodeConfigured); ok {
			g.Software, g.Behaviour = c.Software, c.Behaviour
		}
	}
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			t.Fatal(err)
		}
		if e.Stored {
			decode(e.Sequence, e.Type, e.Schema, e.Message)
		}
		for i := range e.Outputs {
			decode(e.Sequence, e.Outputs[i].Type, e.Outputs[i].Schema, e.Outputs[i].Payload)
		}
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
}

// replayGolden runs every turn again, from genesis and from the newest snapshot.
func replayGolden(t *testing.T, dir string, g goldenJournal) {
	t.Helper()
	ctx := context.Background()
	j, store := openGolden(t, dir, true)
	defer j.Close()
	for _, from := range []*snapshot.Store{nil, store} {
		work := memo.New()
		m, after, err := node.Restore(j, from, work, 0)
		if err != nil {
			t.Fatal(err)
		}
		if from != nil && m.Sequence() == 0 {
			t.Error("no snapshot loads")
		}
		r, err := replay.Run(ctx, j, m, replay.Options{After: after, Prepare: work.Prepare})
		if err != nil {
			t.Fatal(err)
		}
		v := node.ViewOf(chainStateOf(m))
		if r.Sequence != g.Sequence || from == nil && (r.Digests == 0 || r.Turns != g.Events) || v.Head.Root.Hex() != g.Head || v.Finalized.Number != g.Finalized {
			t.Errorf("replay ends at %+v with head %+v", r, v.Head)
		}
	}
}

// upgradeGolden opens the journal for writing, which brings its format up to this
// program's, adds a turn, and reads it all again.
func upgradeGolden(t *testing.T, dir string, g goldenJournal) {
	t.Helper()
	j, _ := openGolden(t, dir, false)
	if head := j.Durable(); head.Sequence != g.Sequence || head.Hash.String() != g.Hash {
		t.Fatalf("opened for writing at %s, not %d (%s)", head, g.Sequence, g.Hash)
	}
	last, _, err := j.Event(g.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	stopped := &message.NodeStopped{Reason: "upgraded"}
	payload, _ := record.Encode(stopped)
	_, err = j.Append(&journal.Event{
		Sequence: g.Sequence + 1, Time: last.Time, Actor: "supervisor", Type: stopped.Type(), Schema: stopped.Schema(), Stored: true, Message: payload,
	}, nil)
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	want := g
	want.Sequence, want.Events = g.Sequence+1, g.Events+1
	got := readGolden(t, dir)
	want.Hash = got.Hash
	if got != want {
		t.Errorf("after the upgrade\n%+v, want\n%+v", got, want)
	}
}

func writeDescription(t *testing.T, path string, g goldenJournal) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return // what was released does not change
	}
	data, err := json.MarshalIndent(g, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readDescription(t *testing.T, path string) (g goldenJournal) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		t.Fatalf("golden journal without description (-describe-golden writes it): %v", err)
	}
	return g
}

func chainStateOf(m *actors.Machine) *chain.State { return m.State(chain.ID).(*chain.State) }
