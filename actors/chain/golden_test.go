package chain_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/klauspost/compress/zstd"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

var goldenDir = flag.String("golden", "", "write the golden journal of this version into `DIRECTORY` (make golden)")

// goldenSoftware is what a golden journal of a script says wrote it.
const goldenSoftware = "script of actors/chain"

// TestGoldenScript plays what a member can live through into a real journal with
// real snapshots: the golden journal of a version. The identity of a journal is
// random, so two runs differ in hashes and in nothing else; what was released
// stays as it is. internal/node holds every version to it.
func TestGoldenScript(t *testing.T) {
	g := newGolden(t, t.TempDir())
	g.live()
	g.incident(t)
	g.close(t)
	if *goldenDir == "" {
		return
	}
	if err := os.MkdirAll(*goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(*goldenDir, "script.tar.zst")
	if _, err := os.Stat(target); err == nil {
		t.Fatalf("%s is there already, and what was released does not change", target)
	}
	archive, err := pack(g.dir)
	if err == nil {
		err = os.WriteFile(target, archive, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// golden is a rig whose turns go into a journal.
type golden struct {
	*rig
	dir     string
	options journal.Options
	journal *journal.Journal
	store   *snapshot.Store
}

func newGolden(t *testing.T, dir string) *golden {
	quiet := slog.New(slog.DiscardHandler)
	g := &golden{dir: dir, options: journal.Options{Dir: filepath.Join(dir, "journal"), CacheBytes: 4 << 20, Logger: quiet}}
	g.open(t)
	var err error
	if g.store, err = snapshot.Open(snapshot.Options{Dir: filepath.Join(dir, "snapshots"), Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	g.rig = newRigOf(t, g.journal.ID(), 3, func(c *spec.Chain, m *message.NodeConfigured) {
		c.MaxBlocksWithoutPow = 12
		m.Software = goldenSoftware
	}, func(turn actors.Turn) {
		if _, err := g.journal.Append(turn.Event, turn.Contents); err != nil {
			t.Fatal(err)
		}
	})
	return g
}

func (g *golden) open(t *testing.T) {
	t.Helper()
	var err error
	if g.journal, err = journal.Open(g.options); err != nil {
		t.Fatal(err)
	}
}

// live is the script.
func (g *golden) live() {
	// Blocks of ours wait for approvals of others; blocks of others arrive whole.
	g.wait(3000)
	for _, by := range []int{1, 2} {
		root := g.blocks["s1002"].Block.Root()
		g.send(chain.ID, &message.ApprovalReceived{Root: root, Authority: uint8(by), Signature: g.approval(root, by).Signature})
	}
	a := g.make("a", plan{parent: "s1002", by: []int{1, 2}, txs: [][]byte{transfer(0, 2), transfer(1, 3)}})
	b := g.make("b", plan{parent: "a", by: []int{0, 1}})
	g.receive(chain.Gossip, a, b)
	g.snapshot("turns")
	// Work is handed out, solved, queued, and carried by a block of ours.
	g.send(miner.ID, &message.CreateAuxBlock{Request: 1, FeeRecipient: common.Address{0xa1}})
	g.send(miner.ID, &message.SubmitAuxBlock{Request: 2, Hash: [32]byte{9}, AuxPow: []byte("junk")})
	g.send(miner.ID, &message.SubmitAuxBlock{Request: 3, Hash: g.aux.Hash, AuxPow: g.solve(g.aux.Hash, g.aux.Bits).Namecoin()})
	g.wait(3000)
	// A longer branch replaces the head's, and a carrier on it finalises.
	side := []*block.Signed{g.make("x", plan{parent: "a", by: []int{1, 2}, seconds: 2}), g.make("y", plan{parent: "x", by: []int{1, 2}}), g.make("z", plan{parent: "y", by: []int{0, 2}})}
	g.receive(chain.Sync, side...)
	g.receive(chain.Gossip, g.make("w", plan{parent: "z", by: []int{1, 2}, carry: g.header("s1002", "z", common.Address{0xa2})}))
	// What is refused, by structure and by execution.
	g.receive(chain.Gossip, g.make("orphan", plan{parent: "w", by: []int{1, 2}, change: breakers["orphan"]}))
	g.receive(chain.Gossip, g.make("bad", plan{parent: "w", by: []int{1, 2}, extra: "bad"}))
	// The clock steps, the signer refuses, the layer is silent, the process restarts.
	g.wall += 60_000
	g.wait(6000)
	g.wall -= 60_000
	g.refusing = true
	g.wait(6000)
	g.refusing = false
	g.layer.limit = 0
	g.wait(6000)
	g.layer.limit = -1
	g.held[chain.SignerEdge] = true
	g.wait(4000)
	g.snapshot("time")
	delete(g.held, chain.SignerEdge)
	g.restart(nil)
	g.wait(6000)
	g.send(chain.ID, &message.LegacyHead{Head: &message.BlockID{Number: 1}, LatestPow: &message.BlockID{}, Blocks: 2})
}

// incident closes the journal, notes a restore, and goes on as a node does: held,
// refused once, allowed.
func (g *golden) incident(t *testing.T) {
	t.Helper()
	if err := g.journal.Close(); err != nil {
		t.Fatal(err)
	}
	i, err := journal.AddIncident(g.options, journal.Incident{Kind: journal.IncidentRestore, Time: g.wall, Text: "of the script"})
	if err != nil {
		t.Fatal(err)
	}
	g.open(t)
	g.start(nil, &message.JournalIncident{Number: i.Number, Kind: string(i.Kind), After: i.After, HeadBefore: i.Before.Sequence, HashBefore: i.Before.Hash, At: i.Time, Text: i.Text})
	g.wait(6000)
	g.send(chain.ID, &message.AllowSigning{Request: 4, Reason: "the script says so"})
	g.send(chain.ID, &message.AllowSigning{Request: 5, Reason: "once more"})
	g.wait(6000)
}

// snapshot takes one as the runtime does: begun, frozen, written, recorded.
func (g *golden) snapshot(reason string) {
	g.send(core.Supervisor, &message.SnapshotBegun{Reason: reason})
	at := g.machine.Sequence()
	sections := g.machine.Freeze()
	if err := g.journal.WaitDurable(context.Background(), at); err != nil {
		g.t.Fatalf("%v", err)
	}
	_, hash, err := g.journal.Event(at)
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	manifest, err := g.store.Write(snapshot.Position{
		Journal: g.journal.ID(), Sequence: at, Hash: hash,
		Rules: snapshot.Rules{Behaviour: g.config.Behaviour, Fingerprint: g.machine.Fingerprint(g.config.Behaviour)},
	}, sections)
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	digests, err := snapshot.Digests(sections)
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	taken := actors.TakenFrom(at, digests)
	if taken.Root != manifest.Root {
		g.t.Fatalf("the snapshot's root is not that of its digests")
	}
	g.send(core.Supervisor, taken)
}

// close ends the run cleanly and checks what must be in it.
func (g *golden) close(t *testing.T) {
	t.Helper()
	g.send(core.Supervisor, &message.NodeStopped{Reason: "the script is at its end"})
	g.snapshot("stop")
	if err := g.journal.WaitDurable(context.Background(), g.machine.Sequence()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	it := g.journal.Iterate(1, false)
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Type] = true
		for _, o := range e.Outputs {
			seen[o.Type] = true
		}
	}
	if err := errors.Join(it.Err(), it.Close(), g.journal.Close()); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{
		"approval_received", "block_connected", "block_finalized", "block_produced", "block_refused", "block_reverted", "work_queued",
		"slot_skipped", "clock_stepped", "expired", "sign_refused", "build_failed", "legacy_differs", "journal_incident",
		"signing_held", "signing_released", "signing_answer", "snapshot_taken", "aux_block_judged",
	} {
		if !seen[typ] {
			t.Errorf("no %s in the script", typ)
		}
	}
	if g.failed > 0 {
		t.Errorf("%d turns failed", g.failed)
	}
}

// pack makes a compressed archive of a data directory, without lock files.
func pack(dir string) ([]byte, error) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir || d.Name() == "LOCK" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.ToSlash(name) + "/", Mode: 0o755})
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(data))})
		}
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	err = errors.Join(err, w.Close(), z.Close())
	return out.Bytes(), err
}
