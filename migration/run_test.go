package migration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// TestRun hands every chain over and compares both ends with the legacy node's.
func TestRun(t *testing.T) {
	for _, name := range chains {
		var last Progress
		im := newImport(t, chainDB(name), name, Options{Progress: func(p Progress) { last = p }})
		n := (&node{im: im}).start(t)
		got := must(im.Run(context.Background(), n))(t)
		want := expectedOf(t, name)
		if got.Sent != want.Head.Height || got.Abandoned != 0 || got.NoFees != 0 || got.StateRoot != want.Head.StateRoot ||
			last != (Progress{want.Head.Height, want.Head.Height, got.Bytes}) {
			t.Errorf("%s: %+v, %+v", name, got, last)
		}
		source := must(im.store.Digest(context.Background()))(t)
		if h := n.head; h.Head.Root != want.Head.Root || h.LatestPow.Root != want.LatestPow.Root || h.Blocks != want.Head.Height+1 ||
			string(h.Fees) != string(want.Fees.Bytes()) || h.Source != source || h.Rescan == 0 {
			t.Errorf("%s: %+v", name, h)
		}
		height := uint64(1)
		for _, b := range n.batches {
			for _, stored := range b.Blocks {
				root, _ := im.branch.Root(height)
				fees, _, err := im.store.Fees(root)
				if s := must(block.Decode(stored.Signed.Data))(t); s.Root() != root || err != nil || !stored.HasFees || string(stored.Fees) != string(fees.Bytes()) {
					t.Errorf("%s: block %d", name, height)
				}
				height++
			}
			if b.Origin != "legacy" {
				t.Errorf("origin %q", b.Origin)
			}
		}
		t.Logf("%s: %d blocks, %d bytes, %s wei of fees, %.0f blocks/s", name, got.Sent, got.Bytes, got.FeesTotal, got.BlocksPerSecond)
	}
}

// TestBatches looks at the limits, each on its own.
func TestBatches(t *testing.T) {
	dir, c, genesis := synthetic(t, 1000, 3000)
	for _, l := range []limits{{1, 1 << 30, 1}, {256, 1 << 30, 2}, {7, 1 << 30, 3}, {1 << 30, 20_000, 2}, {1 << 30, 1, 2}, {256, 8 << 20, 2}} {
		im := must(New(openStore(t, dir), c, genesis, Options{}))(t)
		im.batch = l
		n := &node{im: im}
		ahead := 0
		n.judge = func(s *block.Signed, _ message.Block) core.Message {
			connected, _, _ := im.state()
			if connected+1 != s.Block.Payload.BlockNumber {
				t.Errorf("block %d on %d", s.Block.Payload.BlockNumber, connected)
			}
			return nil
		}
		n.start(t)
		counted := &counting{node: n, ahead: &ahead}
		if _, err := im.Run(context.Background(), counted); err != nil {
			t.Fatal(err)
		}
		var blocks uint64
		for _, b := range n.batches {
			var size uint64
			for i := range b.Blocks {
				size += uint64(len(b.Blocks[i].Signed.Data))
			}
			if n := uint64(len(b.Blocks)); n == 0 || n > l.blocks || size > l.bytes && n > 1 {
				t.Errorf("%+v: batch of %d blocks, %d bytes", l, n, size)
			}
			blocks += uint64(len(b.Blocks))
		}
		if blocks != 1000 || ahead > l.ahead {
			t.Errorf("%+v: %d blocks, %d batches ahead", l, blocks, ahead)
		}
	}
}

// counting notes how many batches were handed over and not connected.
type counting struct {
	*node
	ahead *int
	ends  []uint64
}

func (c *counting) Blocks(ctx context.Context, m *message.BlocksReceived) error {
	c.last += uint64(len(m.Blocks))
	c.ends = append(c.ends, c.last)
	connected, _, _ := c.im.state()
	open := 0
	for _, end := range c.ends {
		if end > connected {
			open++
		}
	}
	*c.ahead = max(*c.ahead, open)
	return c.node.Blocks(ctx, m)
}

func TestResume(t *testing.T) {
	want := expectedOf(t, "fed3")
	branch := must(openStore(t, chainDB("fed3")).Branch(context.Background(), 1000))(t)
	for _, from := range []uint64{1, 100, 214, 215} {
		root, _ := branch.Root(from)
		im := newImport(t, chainDB("fed3"), "fed3", Options{From: from, FromRoot: root})
		n := (&node{im: im}).start(t)
		got, err := im.Run(context.Background(), n)
		if err != nil || got.Sent != 215-from || n.head == nil || n.head.Head.Root != want.Head.Root {
			t.Errorf("from %d: %+v, %v", from, got, err)
		}
		if from < 215 {
			if s := must(block.Decode(n.batches[0].Blocks[0].Signed.Data))(t); s.Block.ParentHash != root {
				t.Errorf("from %d: begins with %d", from, s.Block.Payload.BlockNumber)
			}
		}
	}
	for _, o := range []Options{{From: 100, FromRoot: common.Hash{1}}, {From: 216, FromRoot: common.Hash{1}}, {FromRoot: common.Hash{1}}} {
		im := newImport(t, chainDB("fed3"), "fed3", o)
		n := &node{im: im}
		if _, err := im.Run(context.Background(), n); !fault.Is(err, fault.Invalid) || len(n.batches) > 0 {
			t.Errorf("%+v: %v", o, err)
		}
	}
	c, genesis := chainOf(t, "fed3")
	if _, err := New(openStore(t, chainDB("fed3")), c, genesis, Options{From: 3}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestRefused has the node refuse a block while the hand-over of a later batch
// waits.
func TestRefused(t *testing.T) {
	im := newImport(t, chainDB("single"), "single", Options{})
	im.batch.blocks, im.batch.ahead = 10, 2
	n := &node{im: im}
	n.judge = func(s *block.Signed, _ message.Block) core.Message {
		if s.Block.Payload.BlockNumber < 17 {
			return nil
		}
		im.Fact(&message.BlockRefused{Number: 3, Origin: "gossip", Reason: "does not concern the import"})
		return &message.BlockRefused{Root: s.Root(), Number: 17, Grade: uint8(fault.Invalid), Field: "approvals", Reason: "signature does not verify", Origin: "legacy"}
	}
	n.start(t)
	_, err := im.Run(context.Background(), n)
	root, _ := im.branch.Root(17)
	var e *BlockError
	if !errors.As(err, &e) || !fault.Is(err, fault.Invalid) ||
		err.Error() != `block at height 17 (`+root.Hex()+`): field "approvals": the node refuses it: signature does not verify` {
		t.Error(err)
	}
	if len(n.batches) > 3 || n.head != nil {
		t.Errorf("%d batches, head %v", len(n.batches), n.head)
	}
}

// TestRefusedByExecution has a refusal that does not name the import, as those
// of executed blocks do not.
func TestRefusedByExecution(t *testing.T) {
	im := newImport(t, chainDB("crashed"), "crashed", Options{})
	n := &node{im: im}
	n.judge = func(s *block.Signed, _ message.Block) core.Message {
		if s.Block.Payload.BlockNumber < 7 {
			return nil
		}
		im.Fact(&message.BlockRefused{Number: 7, Root: common.Hash{7}, Origin: "execution", Reason: "another block"})
		return &message.BlockRefused{Root: s.Root(), Number: 7, Grade: uint8(fault.Invalid), Field: "fees", Reason: "differ", Origin: "execution"}
	}
	n.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var e *BlockError
	if _, err := im.Run(ctx, n); !errors.As(err, &e) || e.Height != 7 || e.Field != "fees" {
		t.Error(err)
	}
}

func TestRefusedWhileBusy(t *testing.T) {
	im := newImport(t, chainDB("crashed"), "crashed", Options{})
	busy := blocking{func() {
		im.Fact(&message.BlockRefused{Number: 1, Grade: 99, Origin: "legacy", Field: "slot", Reason: "no"})
	}}
	if _, err := im.Run(context.Background(), busy); !fault.Is(err, fault.Fatal) || !strings.Contains(err.Error(), "height 1 ") {
		t.Error(err)
	}
}

// blocking is a node that is busy until it is told to stop.
type blocking struct{ called func() }

func (b blocking) Blocks(ctx context.Context, _ *message.BlocksReceived) error {
	b.called()
	<-ctx.Done()
	return ctx.Err()
}

func (b blocking) LegacyHead(context.Context, *message.LegacyHead) error { return nil }

func TestStopped(t *testing.T) {
	im := newImport(t, chainDB("crashed"), "crashed", Options{})
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := im.Run(ctx, blocking{cancel}); !fault.Is(err, fault.Temporary) && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	im = newImport(t, chainDB("crashed"), "crashed", Options{})
	if _, err := im.Run(ctx, blocking{}); !fault.Is(err, fault.Temporary) {
		t.Error(err)
	}
	// A node that takes everything and never answers.
	im = newImport(t, chainDB("crashed"), "crashed", Options{})
	ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	n := &node{im: im, queue: make(chan *message.BlocksReceived, 64)}
	if _, err := im.Run(ctx, n); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "at height 0 of 32") {
		t.Error(err)
	}
}

func TestNodeFails(t *testing.T) {
	im := newImport(t, chainDB("crashed"), "crashed", Options{})
	n := &node{im: im, fail: fault.New(fault.Fatal, "journal: disk is full")}
	if _, err := im.Run(context.Background(), n); !fault.Is(err, fault.Fatal) || !strings.Contains(err.Error(), "blocks 1 to 32") {
		t.Error(err)
	}
}

func TestDiffers(t *testing.T) {
	im := newImport(t, chainDB("crashed"), "crashed", Options{})
	n := &node{im: im, sync: true, end: func(*message.LegacyHead) core.Message {
		return &message.LegacyDiffers{Field: "latest_pow_block", Legacy: "A", Ours: "B"}
	}}
	got, err := im.Run(context.Background(), n)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "latest_pow_block is A in the legacy store and B in the node") || got.Sent != 32 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestOtherBranch has the node connect a block that is not the store's.
func TestOtherBranch(t *testing.T) {
	im := newImport(t, chainDB("crashed"), "crashed", Options{})
	n := &node{im: im, sync: true, judge: func(s *block.Signed, _ message.Block) core.Message {
		if s.Block.Payload.BlockNumber == 5 {
			return &message.BlockConnected{Number: 5, Root: common.Hash{1}}
		}
		return nil
	}}
	if _, err := im.Run(context.Background(), n); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "block at height 5 (0x01") {
		t.Error(err)
	}
	im = newImport(t, chainDB("crashed"), "crashed", Options{})
	im.Fact(&message.BlockConnected{Root: common.Hash{2}}) // genesis of a node of another chain
	if _, err := im.Run(context.Background(), n); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestWrongBlockLater has what precedes a damaged block connected first.
func TestWrongBlockLater(t *testing.T) {
	dir := copyStore(t, chainDB("single"))
	b := must(openStore(t, chainDB("single")).Branch(context.Background(), 1000))(t)
	stored := must(b.Block(123))(t)
	stored.Data[len(stored.Data)-250] ^= 1
	editStore(t, dir, func(db *leveldb.DB) {
		if err := db.Put(key(ColumnBlocks, stored.Root[:]), stored.Data, nil); err != nil {
			t.Fatal(err)
		}
	})
	im := newImport(t, dir, "single", Options{})
	im.batch.blocks = 50
	n := (&node{im: im}).start(t)
	got, err := im.Run(context.Background(), n)
	var e *BlockError
	if connected, _, _ := im.state(); !errors.As(err, &e) || e.Height != 123 || connected != 122 || got.Sent != 122 || n.head != nil {
		t.Errorf("connected %d, %+v, %v", connected, got, err)
	}
}

// TestNoFeeRecord has legacy's tolerance for blocks without a record. (C6)
func TestNoFeeRecord(t *testing.T) {
	dir := copyStore(t, chainDB("crashed"))
	b := must(openStore(t, chainDB("crashed")).Branch(context.Background(), 1000))(t)
	root, _ := b.Root(9)
	editStore(t, dir, func(db *leveldb.DB) {
		if err := db.Delete(key(ColumnFees, root[:]), nil); err != nil {
			t.Fatal(err)
		}
	})
	im := newImport(t, dir, "crashed", Options{})
	n := (&node{im: im}).start(t)
	got, err := im.Run(context.Background(), n)
	if err != nil || got.NoFees != 1 || n.batches[0].Blocks[8].HasFees || !n.batches[0].Blocks[9].HasFees {
		t.Errorf("%+v, %v", got, err)
	}
}
