package node_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

func devOptions(t *testing.T, dir string) node.Options {
	t.Helper()
	c := spec.Dev()
	genesis, err := json.Marshal(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		t.Fatal(err)
	}
	key := aura.DevKey(1)
	return node.Options{
		DataDir: dir, ChainSpec: c.Encode(), GenesisJSON: genesis, AuthorityKey: &key, PegSigner: devSigner,
		DevMiner: true, DevMinerInterval: time.Second, SnapshotTurns: 50,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// devSigner holds the federation key of the development chain.
func devSigner(f *peg.Federation) (pegsigner.Signer, error) {
	secret, err := pegsigner.DevSecret(1)
	if err != nil {
		return nil, err
	}
	return pegsigner.NewLocal(secret, f)
}

// runUntil runs a node until done answers true for a fact, then stops it cleanly.
func runUntil(t *testing.T, o node.Options, done func(node.Fact) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var reached atomic.Bool
	o.OnFact = func(f node.Fact) {
		if done(f) {
			reached.Store(true)
			cancel()
		}
	}
	n, err := node.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	runErr := n.Run(ctx, nil)
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if runErr != nil {
		t.Fatal(runErr)
	}
	if !reached.Load() {
		t.Fatal("the node did not get there in two minutes")
	}
}

// A development node produces, finalises by AuxPoW, goes on after a stop from
// the same head, and every turn replays equal.
func TestDevelopmentNode(t *testing.T) {
	dir := t.TempDir()
	var head, finalized message.BlockID
	runUntil(t, devOptions(t, dir), func(f node.Fact) bool {
		switch m := f.Message.(type) {
		case *message.HeadChanged:
			head = message.BlockID{Root: m.Root, Number: m.Number}
		case *message.BlockFinalized:
			finalized = message.BlockID{Root: m.Root, Number: m.Number}
		}
		return finalized.Number >= 2 && head.Number > finalized.Number
	})
	t.Logf("head %d, finalised %d", head.Number, finalized.Number)
	o := devOptions(t, dir)
	o.ChainSpec, o.GenesisJSON = nil, nil
	var first uint64
	runUntil(t, o, func(f node.Fact) bool {
		if m, ok := f.Message.(*message.BlockConnected); ok && first == 0 {
			first = m.Number
			return m.Parent == head.Root || t.Failed()
		}
		return first > 0
	})
	if first != head.Number+1 {
		t.Errorf("went on with block %d, the head was %d", first, head.Number)
	}
	equalReplay(t, dir)
}

func equalReplay(t *testing.T, dir string) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(dir), ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	work := memo.New()
	m, err := node.NewMachine(j.ID(), work)
	if err != nil {
		t.Fatal(err)
	}
	report, err := replay.Run(context.Background(), j, m, replay.Options{Prepare: work.Prepare})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d turns equal, %d digests equal, %d failed", report.Turns, report.Digests, report.Failed)
	if report.Failed > 0 {
		t.Errorf("%d turns failed", report.Failed)
	}
	if report.Digests == 0 {
		t.Error("no digest was compared")
	}
}
