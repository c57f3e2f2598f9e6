package migration

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestBranch checks every block of the legacy chains against what their nodes
// said of them.
func TestBranch(t *testing.T) {
	for _, name := range chains {
		s, want := openStore(t, chainDB(name)), expectedOf(t, name)
		b := must(s.Branch(context.Background(), want.Records[ColumnBlocks]))(t)
		head := b.Head()
		if head.Root != want.Head.Root || head.Number != want.Head.Height || b.Len() != head.Number+1 {
			t.Fatalf("%s: head %v of %d, want %v", name, head, b.Len(), want.Head)
		}
		latest := must(s.LatestPow())(t)
		if latest.Root != want.LatestPow.Root || latest.Number != want.LatestPow.Height {
			t.Errorf("%s: latest PoW block %v, want %v", name, latest, want.LatestPow)
		}
		var total, carriers uint64
		payload := common.Hash{}
		for height := range b.Len() {
			got := must(b.Block(height))(t)
			p := &got.Signed.Block.Payload
			if p.ParentHash != payload {
				t.Errorf("%s: payload %d is on %s, want %s", name, height, p.ParentHash, payload)
			}
			payload = p.BlockHash
			if !got.HasFees {
				t.Errorf("%s: no fees at %d", name, height)
			}
			if root, found, err := s.RootAt(height); !found || err != nil || root != got.Root {
				t.Errorf("%s: index has %s at %d, %v", name, root, height, err)
			}
			if h := got.Signed.Block.AuxPowHeader; h != nil {
				carriers++
				if root, found, err := s.AuxPowAt(h.Height); !found || err != nil || root != got.Root {
					t.Errorf("%s: AuxPoW index has %s at %d, %v", name, root, h.Height, err)
				}
			}
			if hash, ok := payloadHash(p); height > 0 && (!ok || hash != p.BlockHash) {
				t.Errorf("%s: payload %d hashes to %s", name, height, hash)
			}
			total += uint64(len(got.Data))
		}
		if payload != want.Head.PayloadHash || total != b.Bytes() || carriers != want.Records[ColumnAuxPow] {
			t.Errorf("%s: payload %s, %d bytes, %d carriers", name, payload, total, carriers)
		}
		if fees, _, err := s.Fees(head.Root); err != nil || fees.Cmp(want.Fees) != 0 {
			t.Errorf("%s: fees %v, %v", name, fees, err)
		}
		if scanned, _, err := s.Scanned(); err != nil || string(want.Other["bitcoin_rescan_height"]) != fmt.Sprint(scanned) {
			t.Errorf("%s: scanned %d, want %s, %v", name, scanned, want.Other["bitcoin_rescan_height"], err)
		}
		if _, err := b.Block(b.Len()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: above the head: %v", name, err)
		}
	}
}

// branchBlock returns one block of a chain with everything in it, as stored.
func branchBlock(t *testing.T, name string, want func(*block.Block) bool) *Block {
	t.Helper()
	s := openStore(t, chainDB(name))
	b := must(s.Branch(context.Background(), 1000))(t)
	for height := range b.Len() {
		if got := must(b.Block(height))(t); want(&got.Signed.Block) {
			return got
		}
	}
	t.Fatal("no such block")
	return nil
}

// TestEveryByte flips every bit of every byte of a stored block that has all
// parts. Only the approvals, which are not under the root, get past the walk.
func TestEveryByte(t *testing.T) {
	stored := branchBlock(t, "single", func(b *block.Block) bool {
		return b.AuxPowHeader != nil && b.AuxPowHeader.AuxPow != nil && len(b.FinalizedPegouts) > 0
	})
	message := stored.Signed.Block.Encode()
	if !bytes.Equal(stored.Data[1:1+len(message)], message) {
		t.Fatal("the block does not stand where this test takes it to be")
	}
	approvals := 1 + len(message)
	fields := make(map[string]int)
	left := 0
	for at := range stored.Data {
		for bit := range 8 {
			data := bytes.Clone(stored.Data)
			data[at] ^= 1 << bit
			_, err := checkBlock(stored.Height, stored.Root, data)
			if err == nil {
				if left++; at < approvals {
					t.Errorf("bit %d at offset %d is left to the chain actor", bit, at)
				}
				continue
			}
			var e *BlockError
			if !errors.As(err, &e) || e.Height != stored.Height || e.Root != stored.Root || e.Field == "" || len(e.Field) > 80 || !fault.Is(err, fault.Corrupt) {
				t.Fatalf("bit %d at offset %d: %v", bit, at, err)
			}
			if at > approvals && e.Field != "aggregation bits" && e.Field != "aggregate signature" && e.Field != "approvals" {
				t.Errorf("offset %d of the approvals: field %q", at, e.Field)
			}
			fields[e.Field]++
		}
	}
	for field, n := range fields {
		t.Logf("%6d %s", n, field)
	}
	t.Logf("%6d left to the chain actor, all in the approvals", left)
	if len(fields) < 20 || left == 0 {
		t.Errorf("%d fields, %d left", len(fields), left)
	}
}

// TestDamagedBlocks flips a byte in one block of a store, many times: the error
// names the block, or the damage is in its approvals.
func TestDamagedBlocks(t *testing.T) {
	const name = "crashed"
	s := openStore(t, chainDB(name))
	b := must(s.Branch(context.Background(), 1000))(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 120 {
		height := rng.Uint64N(b.Len())
		stored := must(b.Block(height))(t)
		data := bytes.Clone(stored.Data)
		at := rng.IntN(len(data))
		data[at] ^= byte(1 + rng.IntN(255))
		dir := copyStore(t, chainDB(name))
		editStore(t, dir, func(db *leveldb.DB) {
			if err := db.Put(key(ColumnBlocks, stored.Root[:]), data, nil); err != nil {
				t.Fatal(err)
			}
		})
		_, err := verify(t, dir, name)
		var e *BlockError
		switch {
		case err == nil && at < 1+len(stored.Signed.Block.Encode()):
			t.Errorf("height %d, offset %d: not noticed", height, at)
		case err == nil || height == 0 && errors.As(err, &e): // genesis' approvals are known
		case !errors.As(err, &e) || e.Field == "":
			t.Errorf("height %d, offset %d: %v", height, at, err)
		case e.Height != height:
			t.Errorf("height %d, offset %d: %v", height, at, err)
		case !strings.Contains(err.Error(), fmt.Sprintf("block at height %d (0x", e.Height)):
			t.Errorf("height %d: %v", height, err)
		}
	}
}

func TestDamagedPart(t *testing.T) {
	for _, c := range []struct {
		want   string
		in     func(b *block.Block) bool
		damage func(b *block.Block)
	}{
		{"payload: block number", func(b *block.Block) bool { return b.ParentHash != (common.Hash{}) }, func(b *block.Block) { b.Payload.BlockNumber++ }},
		{"payload", func(b *block.Block) bool { return len(b.Payload.Withdrawals) > 0 }, func(b *block.Block) { b.Payload.GasUsed++ }},
		{"payload", func(b *block.Block) bool { return len(b.Payload.Withdrawals) > 0 }, func(b *block.Block) { b.Payload.Withdrawals = b.Payload.Withdrawals[1:] }},
		{"payload: transaction", func(b *block.Block) bool { return len(b.Payload.Transactions) > 0 }, func(b *block.Block) { b.Payload.Transactions[0] = []byte{1} }},
		{"slot", func(b *block.Block) bool { return b.ParentHash != (common.Hash{}) }, func(b *block.Block) { b.Slot++ }},
		{"pegins", func(b *block.Block) bool { return len(b.Pegins) > 0 }, func(b *block.Block) { b.Pegins[0].Txid[3]++ }},
		{"pegout proposal", func(b *block.Block) bool { return b.PegoutProposal != nil }, func(b *block.Block) { b.PegoutProposal.LockTime++ }},
	} {
		stored := branchBlock(t, "single", c.in)
		s := must(block.Decode(stored.Data))(t)
		c.damage(&s.Block)
		_, err := checkBlock(stored.Height, stored.Root, s.Encode())
		var e *BlockError
		if !errors.As(err, &e) || !slices.Contains(strings.Split(e.Field, " or "), c.want) {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

// TestBrokenStores changes records other than blocks.
func TestBrokenStores(t *testing.T) {
	const name = "crashed"
	s := openStore(t, chainDB(name))
	b := must(s.Branch(context.Background(), 1000))(t)
	root := func(height uint64) []byte { r, _ := b.Root(height); return r[:] }
	position := func(root []byte, height uint64) []byte {
		return binary.LittleEndian.AppendUint64(bytes.Clone(root), height)
	}
	head := key(ColumnChain, single(keyHead))
	for _, c := range []struct {
		text   string
		change func(batch *leveldb.Batch)
	}{
		{`block at height 17 (` + common.Hash(root(17)).Hex() + `): field "record": the block is not stored`,
			func(w *leveldb.Batch) { w.Delete(key(ColumnBlocks, root(17))) }},
		{"is 32, by the head record the block is at height 1152921504606846976", func(w *leveldb.Batch) { w.Put(head, position(root(32), 1<<60)) }},
		{"is 31, by the head record the block is at height 32", func(w *leveldb.Batch) { w.Put(head, position(root(31), 32)) }},
		{"is 32, by the head record the block is at height 31", func(w *leveldb.Batch) { w.Put(head, position(root(32), 31)) }},
		{"field \"record\": the block is not stored", func(w *leveldb.Batch) { w.Put(head, position(make([]byte, 32), 32)) }},
		{"record of the head: 39 bytes, want 40", func(w *leveldb.Batch) { w.Put(head, position(root(32), 32)[:39]) }},
		{"latest PoW block is missing", func(w *leveldb.Batch) { w.Delete(key(ColumnChain, single(keyLatestPow))) }},
		{"block at height 32 (" + common.Hash(root(32)).Hex() + `): field "fee": the head has no fee record`,
			func(w *leveldb.Batch) { w.Delete(key(ColumnFees, root(32))) }},
		{"fee record of " + common.Hash(root(9)).Hex() + ": 3 bytes, want 32",
			func(w *leveldb.Batch) { w.Put(key(ColumnFees, root(9)), []byte{1, 2, 3}) }},
		{"below the parent's", func(w *leveldb.Batch) { w.Put(key(ColumnFees, root(30)), bytes.Repeat([]byte{9}, 32)) }},
		{"scanned Bitcoin height: 5 bytes", func(w *leveldb.Batch) { w.Put(key(ColumnScan, single(keyScan)), make([]byte, 5)) }},
		{"bbh record of height 0: 1 bytes", func(w *leveldb.Batch) { w.Put(key(ColumnHeights, make([]byte, 8)), []byte{1}) }},
		{"block at height 20 (" + common.Hash(root(20)).Hex() + `): field "parent hash"`,
			func(w *leveldb.Batch) { w.Put(key(ColumnBlocks, root(20)), []byte{0x92, 0x97, 0xd9, 66, '0'}) }},
		{`block at height 12 (` + common.Hash(root(12)).Hex() + `): field "parent hash or slot`, // a circle, ended by the height
			func(w *leveldb.Batch) {
				w.Put(key(ColumnBlocks, root(12)), must(b.Block(12))(t).withParent(t, root(13)))
			}},
	} {
		dir := copyStore(t, chainDB(name))
		editStore(t, dir, func(db *leveldb.DB) {
			w := new(leveldb.Batch)
			c.change(w)
			if err := db.Write(w, nil); err != nil {
				t.Fatal(err)
			}
		})
		_, err := verify(t, dir, name)
		if err == nil || !strings.Contains(err.Error(), c.text) || !fault.Is(err, fault.Corrupt) {
			t.Errorf("want %q, got %v", c.text, err)
		}
	}
}

// withParent returns the block's bytes with another parent hash.
func (b *Block) withParent(t *testing.T, parent []byte) []byte {
	t.Helper()
	s := must(block.Decode(b.Data))(t)
	s.Block.ParentHash = common.Hash(parent)
	return s.Encode()
}

// TestAbandoned stores a block off the head's branch.
func TestAbandoned(t *testing.T) {
	const name = "crashed"
	s := openStore(t, chainDB(name))
	b := must(s.Branch(context.Background(), 1000))(t)
	stale := must(block.Decode(must(b.Block(20))(t).Data))(t)
	stale.Block.Slot++
	root := stale.Root()
	dir := copyStore(t, chainDB(name))
	editStore(t, dir, func(db *leveldb.DB) {
		if err := db.Put(key(ColumnBlocks, root[:]), stale.Encode(), nil); err != nil {
			t.Fatal(err)
		}
		if err := db.Put([]byte("xyz"), nil, nil); err != nil {
			t.Fatal(err)
		}
	})
	got, err := verify(t, dir, name)
	if err != nil || got.Abandoned != 1 || got.Blocks != 33 || got.Records[OtherKeys] != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnotherChain(t *testing.T) {
	s := openStore(t, chainDB("single"))
	c, genesis := chainOf(t, "fed3")
	_, err := New(s, c, genesis, Options{})
	stored, _, _ := s.RootAt(0)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another chain") || !strings.Contains(err.Error(), stored.Hex()) ||
		!strings.Contains(err.Error(), block.Genesis(c, *genesis).Root().Hex()) {
		t.Error(err)
	}
	// Without the index it takes the walk to notice.
	dir := copyStore(t, chainDB("single"))
	editStore(t, dir, func(db *leveldb.DB) {
		if err := db.Delete(key(ColumnHeights, make([]byte, 8)), nil); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := verify(t, dir, "fed3"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another chain") {
		t.Error(err)
	}
	c, genesis = chainOf(t, "single")
	genesis.BlockNumber = 1
	if _, err := New(s, c, genesis, Options{}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := New(s, spec.Dev(), &block.Payload{}, Options{}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestFlippedBlock flips every byte of stored blocks. What the check lets pass
// is in the approvals, which the chain actor judges.
func TestFlippedBlock(t *testing.T) {
	for _, c := range []struct {
		chain  string
		height uint64
		step   int
	}{{"crashed", 1, 1}, {"crashed", 29, 67}, {"crashed", 31, 1}, {"single", 107, 1}, {"single", 145, 101}, {"fed3", 48, 1}} {
		b := must(openStore(t, chainDB(c.chain)).Branch(t.Context(), 1000))(t)
		stored := must(b.Block(c.height))(t)
		passed := 0
		for at := 0; at < len(stored.Data); at += c.step {
			data := bytes.Clone(stored.Data)
			data[at] ^= 1 << (at % 8)
			signed, err := checkBlock(c.height, stored.Root, data)
			var e *BlockError
			switch {
			case err == nil:
				passed++
				if signed.Approvals == stored.Signed.Approvals {
					t.Errorf("%s block %d: byte %d flipped has no effect", c.chain, c.height, at)
				}
			case !errors.As(err, &e) || e.Height != c.height || e.Field == "" || !fault.Is(err, fault.Corrupt):
				t.Errorf("%s block %d: byte %d flipped: %v", c.chain, c.height, at, err)
			}
		}
		t.Logf("%s block %d: %d bytes, %d flips left to the chain actor", c.chain, c.height, len(stored.Data), passed)
	}
}
