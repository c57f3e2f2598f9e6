package node

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// history is what one node lives through.
type history struct {
	chain    *spec.Chain
	contract common.Address
	all      []*block.Signed   // with transactions of all types
	long     []*block.Signed   // the branch that is left again and again
	branches [][]*block.Signed // which replace 1, 40 and 200 blocks
	invalid  *block.Signed     // whose state root is wrong
}

// reorgDepths are those of [history]. Clients limit a rewind to 32 blocks unless told
// otherwise, and keep about 128 states.
var reorgDepths = []int{1, 40, 200}

func newHistory(t testing.TB) *history {
	t.Helper()
	h := &history{chain: spec.Dev()}
	h.chain.MaxBlocksWithoutPow = 100_000
	f := newForger(t, h.chain)
	h.contract, _ = f.sendAllTypes(f.users)
	h.all = append(h.all, f.child(f.root, 1, 200*time.Millisecond))
	if n := len(h.all[0].Block.Payload.Transactions); n != 4 {
		t.Fatalf("%d transactions in the first block", n)
	}
	h.long = f.branch(h.all[0], 205, 1)
	on := slices.Concat(h.all, h.long)
	for _, depth := range reorgDepths {
		fork := len(on) - depth - 1
		side := f.branch(on[fork], depth+1, 2)
		h.branches = append(h.branches, side)
		on = append(on[:fork+1:fork+1], side...)
	}
	bad := f.child(on[len(on)-1], 1, 0).Block
	bad.Payload.StateRoot[0]++
	executable := engine.ToExecutable(&bad.Payload)
	if sealed, err := blockHash(executable); err != nil {
		t.Fatal(err)
	} else {
		bad.Payload.BlockHash = sealed
	}
	h.invalid = f.sign(bad)
	return h
}

// play plays the history on an execution layer. between is called between inputs.
func (h *history) play(t testing.TB, api engine.API, payloads *player, between func()) *player {
	t.Helper()
	p := newPlayer(t, h.chain, api)
	if payloads != nil {
		p.payloads, p.repeat = slices.Clone(payloads.payloads), true
	}
	feed := func(list []*block.Signed) {
		for batch := range slices.Chunk(list, 64) {
			p.receive(batch...)
		}
		last := list[len(list)-1]
		p.wall = max(p.wall, int64(last.Block.Payload.Timestamp)*1000)
		p.wantHead(last)
		between()
	}
	feed(h.all)
	feed(h.long)
	for _, branch := range h.branches {
		feed(branch)
	}
	p.receive(h.invalid)
	if p.state().Head.Root == h.invalid.Block.Root() {
		t.Fatal("a block with a wrong state root is the head")
	}
	p.edge.watch(context.Background()) // a client that was killed may have lost its head
	p.wantLevel()
	between()
	for range 3 {
		p.slot()
	}
	p.restart()
	between()
	for range 4 {
		p.slot()
	}
	p.wantLevel()
	if made := p.state().Head.Number - h.branches[2][200].Block.Payload.BlockNumber; made < 4 {
		t.Fatalf("%d blocks of our own", made)
	}
	return p
}

// A recorded history has the same turns, byte for byte, in front of the embedded
// execution layer and of a real geth, whether or not that is stopped, or killed, between
// the inputs.
func TestGethSameTurns(t *testing.T) {
	genesis := engine.DevGenesis(uint64(spec.Dev().ChainID))
	newGeth(t, genesis, pathState).kill() // skips before the work
	h := newHistory(t)
	embedded, err := engine.OpenEmbedded(engine.EmbeddedOptions{Dir: t.TempDir(), Genesis: genesis, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Close()
	want := h.play(t, embedded, nil, func() {})
	t.Logf("%d turns, head %d", len(want.turns), want.state().Head.Number)
	for _, c := range []struct {
		name  string
		state gethState
		end   func(*geth) // between the inputs; nil for nothing
	}{
		{"path", pathState, nil},
		{"path and restarts", pathState, (*geth).stop},
		{"archive", archiveState, nil},
		{"archive and kills", archiveState, (*geth).kill},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGeth(t, genesis, c.state)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("geth wrote:\n%s", g.output.Bytes())
				}
			})
			client := g.dial(g.secret)
			defer client.Close()
			inputs := 0
			got := h.play(t, client, want, func() {
				// A geth that was killed before it wrote any state goes over to snap sync.
				if inputs++; c.end != nil && inputs > 1 {
					c.end(g)
					g.start()
				}
			})
			sameTurns(t, want.turns, got.turns)
			got.wantGeth(g)
		})
	}
}

// wantGeth compares the node's head with what geth tells its users.
func (p *player) wantGeth(g *geth) {
	p.t.Helper()
	header, err := g.users().HeaderByNumber(context.Background(), nil)
	s := p.state()
	if want := s.Entry(s.Head.Root); err != nil || header.Hash() != want.PayloadHash {
		p.t.Fatalf("geth's users see %v (%v), the node's head is %s", header, err, want.PayloadHash)
	}
}
