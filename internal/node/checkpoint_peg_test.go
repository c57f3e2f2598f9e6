package node_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

var errNoBlock = fault.New(fault.CannotJudge, "the recorded chain does not have it")

// recordedBitcoin is a Bitcoin node that has the blocks recorded beside a legacy chain.
type recordedBitcoin struct {
	raw    [][]byte
	blocks []*wire.MsgBlock
	height map[chainhash.Hash]int
}

func readBitcoin(t *testing.T, chain string) *recordedBitcoin {
	t.Helper()
	f, err := os.Open(filepath.Join(legacyChains, chain, "bitcoin.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b := &recordedBitcoin{height: map[chainhash.Hash]int{}}
	for d := json.NewDecoder(unzipped); ; {
		var line struct{ Block string }
		if err := d.Decode(&line); err == io.EOF {
			return b
		} else if err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(line.Block)
		if err != nil {
			t.Fatal(err)
		}
		block := new(wire.MsgBlock)
		if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		b.height[block.BlockHash()] = len(b.raw)
		b.raw, b.blocks = append(b.raw, raw), append(b.blocks, block)
	}
}

func (b *recordedBitcoin) tip() uint64 { return uint64(len(b.blocks) - 1) }

func (b *recordedBitcoin) find(hash chainhash.Hash) (int, error) {
	h, ok := b.height[hash]
	if !ok {
		return 0, errNoBlock
	}
	return h, nil
}

func (b *recordedBitcoin) Info(context.Context) (bitcoin.Info, error) {
	return bitcoin.Info{Network: "regtest", Software: "recorded", Height: b.tip(), Tip: b.blocks[b.tip()].BlockHash(), Headers: b.tip(), TxIndex: true}, nil
}

func (b *recordedBitcoin) BlockHash(_ context.Context, height uint64) (chainhash.Hash, error) {
	if height > b.tip() {
		return chainhash.Hash{}, errNoBlock
	}
	return b.blocks[height].BlockHash(), nil
}

func (b *recordedBitcoin) Header(_ context.Context, block chainhash.Hash) (out bitcoin.Header, err error) {
	h, err := b.find(block)
	if err == nil {
		out.Raw, out.Height, out.Confirmations = [80]byte(b.raw[h]), uint64(h), int64(b.tip())-int64(h)+1
	}
	return out, err
}

func (b *recordedBitcoin) Block(_ context.Context, block chainhash.Hash) ([]byte, error) {
	h, err := b.find(block)
	if err != nil {
		return nil, err
	}
	return b.raw[h], nil
}

func (b *recordedBitcoin) Transaction(_ context.Context, txid, block chainhash.Hash) ([]byte, error) {
	h, err := b.find(block)
	if err != nil {
		return nil, err
	}
	for _, tx := range b.blocks[h].Transactions {
		if tx.TxHash() == txid {
			var raw bytes.Buffer
			err := tx.Serialize(&raw)
			return raw.Bytes(), err
		}
	}
	return nil, errNoBlock
}

func (*recordedBitcoin) Send(context.Context, []byte) (uint8, string, error) {
	return message.BroadcastAccepted, "", nil
}

func (*recordedBitcoin) FeeRate(context.Context) (uint64, error) { return 2000, nil }

func (*recordedBitcoin) Close() error { return nil }

// pegNode imports with a Bitcoin node until stop. One that never did before has followed
// that to its tip first.
func pegNode(t *testing.T, chain, dir string, b *recordedBitcoin, fresh bool) (im *importing, stop func()) {
	t.Helper()
	var followed atomic.Uint64
	im, stop = startImporting(t, chain, dir, func(o *node.Options) {
		o.Bitcoin, o.BitcoinNetwork = b, &chaincfg.RegressionNetParams
		before := o.OnFact
		o.OnFact = func(f node.Fact) {
			if m, ok := f.Message.(*message.BitcoinTipChanged); ok {
				followed.Store(m.Height)
			}
			before(f)
		}
	})
	for deadline := time.Now().Add(time.Minute); fresh && followed.Load() < b.tip(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Bitcoin is followed to %d of %d", followed.Load(), b.tip())
		}
	}
	return im, stop
}

// bridgeAt returns the bridge actor's state at a journal's end.
func bridgeAt(t *testing.T, dir string) *bridge.State {
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
	if _, err := replay.Run(t.Context(), j, m, replay.Options{Prepare: work.Prepare}); err != nil {
		t.Fatal(err)
	}
	return m.State(bridge.ID).(*bridge.State)
}

func dumpOf(t *testing.T, s core.State) (list [][]byte) {
	t.Helper()
	if err := s.Walk(func(key, value []byte) error {
		list = append(list, slices.Concat(key, []byte{0}, value))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// answers is what a bridge says of a block to build on its head, and of that block.
func answers(t *testing.T, s *bridge.State) (list [][]byte) {
	t.Helper()
	s = s.Clone().(*bridge.State)
	var planned core.Out
	turn := core.Turn{Sequence: 1 << 40, Time: 1}
	bridge.New().Handle(s, &message.PlanPeg{Slot: 1, Parent: s.Head.Root, Room: 16}, turn, &planned)
	plan, ok := planned.List()[0].Message.(*message.PegPlanned)
	if !ok {
		t.Fatalf("a plan is answered with %s", planned.List()[0].Message.Type())
	}
	block := &message.PegBlock{Root: [32]byte{1}, Parent: s.Head.Root, Number: s.Head.Number + 1, PegIns: plan.PegIns, Proposal: plan.Proposal, Withdrawals: plan.Credits}
	var judged core.Out
	bridge.New().Handle(s, &message.JudgePeg{Block: block}, turn, &judged)
	verdict, ok := judged.List()[len(judged.List())-1].Message.(*message.PegJudged)
	if !ok || fault.Grade(verdict.Grade) == fault.Invalid || plan.Refused != "" {
		t.Errorf("the plan %q for block %d is judged %+v", plan.Refused, block.Number, verdict)
	}
	for _, o := range append(planned.List(), judged.List()...) {
		data, _ := record.Encode(o.Message)
		list = append(list, data)
	}
	return list
}

// Another machine that starts from a snapshot, with pegs under way, has the first one's
// wallet: it comes to the same sums, plans and verdicts.
func TestPegTravels(t *testing.T) {
	const chain, at = "fed3", 47 // block 48 carries a payout, and has a proposal
	branch, b := legacyBranch(t, chain), readBitcoin(t, chain)
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	im, stop := pegNode(t, chain, first, b, true)
	im.upTo(branch, at)
	stop()
	restoreFrom(t, first, second)
	ours, theirs := bridgeAt(t, first), bridgeAt(t, second)
	w := ours.Block(ours.Head.Root).Wallet
	if ours.Head.Number != at || w.Totals.Coins == 0 || w.Totals.Unknown != 0 || len(w.Pending) == 0 || ours.Incomplete != "" {
		t.Fatalf("at %d the wallet has %d coins, %d pending, %+v, incomplete %q: nothing travels", ours.Head.Number, w.Totals.Coins, len(w.Pending), w.Totals, ours.Incomplete)
	}
	if have, want := dumpOf(t, theirs), dumpOf(t, ours.Shared()); !slices.EqualFunc(have, want, bytes.Equal) {
		t.Errorf("%d entries arrived, %d were shared", len(have), len(want))
	}

	for _, dir := range []string{first, second} {
		_, stop := pegNode(t, chain, dir, b, dir == second)
		stop()
	}
	if !slices.EqualFunc(answers(t, bridgeAt(t, first)), answers(t, bridgeAt(t, second)), bytes.Equal) {
		t.Errorf("above block %d the second node plans or judges another block than the first", at)
	}
	for _, dir := range []string{first, second} {
		im, stop := pegNode(t, chain, dir, b, false)
		im.upTo(branch, branch.Len()-1)
		stop()
		equalReplay(t, dir)
	}
	ours, theirs = bridgeAt(t, first), bridgeAt(t, second)
	for x, y := ours.Block(ours.Head.Root), theirs.Block(theirs.Head.Root); x.Number > at; x, y = ours.Block(x.Parent), theirs.Block(y.Parent) {
		if x.Root != y.Root || x.Wallet.Totals != y.Wallet.Totals {
			t.Fatalf("at %d the sums are %+v and %+v", x.Number, x.Wallet.Totals, y.Wallet.Totals)
		}
	}
	if !slices.EqualFunc(answers(t, ours), answers(t, theirs), bytes.Equal) {
		t.Error("at the end the two plan or judge another block")
	}
}

// restoreFrom begins a data directory with a snapshot of another one.
func restoreFrom(t *testing.T, from, to string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	m, err := node.TakeSnapshot(t.Context(), from, nil, 2, quiet)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(from), ReadOnly: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	store, err := snapshot.Open(snapshot.Options{Dir: node.SnapshotDir(from), ReadOnly: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := node.ExportSnapshot(t.Context(), from, restart.Store{Journal: j, Snapshots: store}, m, &file, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := node.RestoreSnapshot(t.Context(), &file, to, nil, quiet, nil); err != nil {
		t.Fatal(err)
	}
}
