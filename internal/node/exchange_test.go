package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/journal/witness"
)

// among runs a node that has imported a recorded chain as a member among others.
func among(t *testing.T, chainName, dir string, member uint64, boot ...string) (n *node.Node, stop func()) {
	t.Helper()
	key := aura.DevKey(member + 1)
	n, err := node.Open(t.Context(), node.Options{
		DataDir: dir, Importing: true, AuthorityKey: &key, Logger: slog.New(slog.DiscardHandler),
		P2P:         node.P2POptions{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Boot: boot},
		SettleEvery: 8, SettleLook: 50 * time.Millisecond, WitnessEvery: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(ctx, func() { close(ready) }) }()
	<-ready
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return n, stop
}

// until polls.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in a minute", what)
		}
	}
}

// Members over real connections witness each other's journals, and a node that has nothing
// but the chain's specification begins at the block that they state.
func TestCheckpointOverNetwork(t *testing.T) {
	const chainName = "fed3"
	branch, b := legacyBranch(t, chainName), readBitcoin(t, chainName)
	var dirs []string
	for _, name := range []string{"a", "b"} {
		dir := filepath.Join(t.TempDir(), name)
		im, stop := pegNode(t, chainName, dir, b, true)
		im.upTo(branch, branch.Len()-1)
		stop()
		dirs = append(dirs, dir)
	}
	first, stopFirst := among(t, chainName, dirs[0], 0)
	second, stopSecond := among(t, chainName, dirs[1], 1, first.PeerAddresses()[0])

	book := func(dir string) *witness.Book {
		w, err := witness.Open(witness.Options{Dir: node.WitnessDir(dir)})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	until(t, "both journals witnessed", func() bool { return len(book(dirs[0]).Ours()) == 1 && len(book(dirs[1]).Ours()) == 1 })
	for i, dir := range dirs {
		ours := book(dir).Ours()[0]
		if int(ours.Key.Authority) != 1-i || ours.Checkpoint.Size == 0 || len(book(dir).Findings()) != 0 {
			t.Errorf("journal %d is witnessed by %+v", i, ours)
		}
	}

	begun := filepath.Join(t.TempDir(), "begun")
	result, err := node.BeginFromPeers(t.Context(), node.BeginOptions{
		DataDir: begun, ChainSpec: readChain(t, chainName, "chain.json"), GenesisJSON: readChain(t, chainName, "genesis.json"),
		Patience: time.Minute, Logger: slog.New(slog.DiscardHandler),
	}, node.P2POptions{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Boot: []string{first.PeerAddresses()[0], second.PeerAddresses()[0]}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	stopFirst()
	stopSecond()
	if result.Height%8 != 0 || len(result.Members) != 2 {
		t.Fatalf("begun with %+v", result)
	}
	made, _ := settledOf(t, dirs[0], result.Height)
	im, stop := pegNode(t, chainName, begun, b, true)
	im.upTo(branch, branch.Len()-1)
	stop()
	have, _ := settledOf(t, begun, result.Height)
	if !bytes.Equal(have[result.Height].Index, made[result.Height].Index) {
		t.Error("the node that began has another state at that block")
	}
}
