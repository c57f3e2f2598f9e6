package bitcoin

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// scripted is a node whose chain the test writes. before is called at each call, and may
// move the chain.
type scripted struct {
	chain  []chainhash.Hash // by height
	blocks map[chainhash.Hash][]byte
	info   Info
	fee    uint64
	before func(call string)
	err    error
	made   uint32
}

func newScripted(height int) *scripted {
	n := &scripted{blocks: make(map[chainhash.Hash][]byte), info: Info{Network: "regtest"}}
	for range height + 1 {
		n.extend()
	}
	return n
}

// extend adds a block of transactions to the chain.
func (n *scripted) extend(txs ...*wire.MsgTx) chainhash.Hash {
	n.made++
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, wire.MaxPrevOutIndex), []byte{byte(n.made), byte(n.made >> 8), 1}, nil))
	coinbase.AddTxOut(wire.NewTxOut(1, []byte{0x51}))
	b := wire.NewMsgBlock(&wire.BlockHeader{Nonce: n.made})
	if len(n.chain) > 0 {
		b.Header.PrevBlock = n.chain[len(n.chain)-1]
	}
	ids := []chainhash.Hash{coinbase.TxHash()}
	b.Transactions = append(b.Transactions, coinbase)
	for _, tx := range txs {
		b.Transactions, ids = append(b.Transactions, tx), append(ids, tx.TxHash())
	}
	b.Header.MerkleRoot, _ = peg.MerkleRoot(ids)
	var raw bytes.Buffer
	if err := b.Serialize(&raw); err != nil {
		panic(err)
	}
	hash := b.BlockHash()
	n.blocks[hash], n.chain = raw.Bytes(), append(n.chain, hash)
	return hash
}

// leave takes the last blocks off the best chain.
func (n *scripted) leave(depth int) { n.chain = n.chain[:len(n.chain)-depth] }

func (n *scripted) id(height int) message.BitcoinID {
	return message.BitcoinID{Height: uint64(height), Hash: n.chain[height]}
}

func (n *scripted) called(call string) error {
	if n.before != nil {
		n.before(call)
	}
	return n.err
}

func (n *scripted) Info(context.Context) (Info, error) {
	if err := n.called("Info"); err != nil {
		return Info{}, err
	}
	info := n.info
	info.Height, info.Tip = uint64(len(n.chain)-1), n.chain[len(n.chain)-1]
	return info, nil
}

func (n *scripted) BlockHash(_ context.Context, height uint64) (chainhash.Hash, error) {
	if err := n.called("BlockHash"); err != nil {
		return chainhash.Hash{}, err
	}
	if height >= uint64(len(n.chain)) {
		return chainhash.Hash{}, fault.New(fault.CannotJudge, "beyond the tip")
	}
	return n.chain[height], nil
}

func (n *scripted) Header(_ context.Context, hash chainhash.Hash) (h Header, err error) {
	if err := n.called("Header"); err != nil {
		return h, err
	}
	for height, on := range n.chain {
		if on == hash {
			copy(h.Raw[:], n.blocks[hash])
			h.Height, h.Confirmations = uint64(height), int64(len(n.chain)-height)
			return h, nil
		}
	}
	return h, fault.New(fault.CannotJudge, "unknown")
}

func (n *scripted) Block(_ context.Context, hash chainhash.Hash) ([]byte, error) {
	if err := n.called("Block"); err != nil {
		return nil, err
	}
	if raw := n.blocks[hash]; raw != nil {
		return raw, nil
	}
	return nil, fault.New(fault.CannotJudge, "unknown")
}

func (n *scripted) Transaction(_ context.Context, txid, _ chainhash.Hash) ([]byte, error) {
	if err := n.called("Transaction"); err != nil {
		return nil, err
	}
	for _, raw := range n.blocks {
		var b wire.MsgBlock
		_ = b.Deserialize(bytes.NewReader(raw))
		for _, tx := range b.Transactions {
			if tx.TxHash() == txid {
				return encode(tx), nil
			}
		}
	}
	return nil, fault.New(fault.CannotJudge, "unknown")
}

func (n *scripted) Send(context.Context, []byte) (uint8, string, error) {
	return message.BroadcastAccepted, "", n.called("Send")
}

func (n *scripted) FeeRate(context.Context) (uint64, error) { return n.fee, n.called("FeeRate") }
func (n *scripted) Close() error                            { return nil }

func encode(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	if err := tx.Serialize(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// payment pays scripts, from a coin that n tells apart.
func payment(n byte, witness wire.TxWitness, scripts ...[]byte) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{n}, 0), nil, witness))
	for _, script := range scripts {
		tx.AddTxOut(wire.NewTxOut(1000, script))
	}
	return tx
}

func follow(t *testing.T, n *scripted, m *message.FollowBitcoin) *message.BitcoinFollowed {
	t.Helper()
	f, err := NewReader(n, deposits(3), "regtest").Follow(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func heights(f *message.BitcoinFollowed) string {
	if f == nil {
		return "nothing"
	}
	text := "from none:"
	if f.Ancestor != nil {
		text = fmt.Sprintf("from %d:", f.Ancestor.Height)
	}
	for i := range f.Blocks {
		text += fmt.Sprintf(" %d", f.Blocks[i].Height)
	}
	return text + fmt.Sprintf(" tip %d", f.Tip.Height)
}

func TestFollow(t *testing.T) {
	n := newScripted(5)
	tip := n.id(5)
	stale := message.BitcoinID{Height: 5, Hash: chainhash.Hash{1}}
	lower := message.BitcoinID{Height: 4, Hash: chainhash.Hash{2}}
	for _, c := range []struct {
		name string
		ask  message.FollowBitcoin
		want string
	}{
		{"the beginning", message.FollowBitcoin{From: 3}, "from none: 3 4 5 tip 5"},
		{"before the start height", message.FollowBitcoin{From: 9}, "from none: tip 5"},
		{"nothing new", message.FollowBitcoin{Known: []message.BitcoinID{tip}, Tip: &tip}, "nothing"},
		{"after a loss", message.FollowBitcoin{Known: []message.BitcoinID{tip}}, "from 5: tip 5"},
		{"another tip was told", message.FollowBitcoin{Known: []message.BitcoinID{tip}, Tip: &stale}, "from 5: tip 5"},
		{"on to the tip", message.FollowBitcoin{Known: []message.BitcoinID{n.id(2), n.id(1)}, Tip: &tip}, "from 2: 3 4 5 tip 5"},
		{"a reorganisation", message.FollowBitcoin{Known: []message.BitcoinID{stale, lower, n.id(3), n.id(2)}, Tip: &stale}, "from 3: 4 5 tip 5"},
		{"another chain", message.FollowBitcoin{Known: []message.BitcoinID{stale, lower}, From: 2}, "from none: 2 3 4 5 tip 5"},
	} {
		if got := heights(follow(t, n, &c.ask)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestFollowRefuses(t *testing.T) {
	known := newScripted(9).id(9)
	for _, c := range []struct {
		name  string
		node  func(n *scripted)
		ask   message.FollowBitcoin
		grade fault.Grade
		says  string
	}{
		{"wrong network", func(n *scripted) { n.info.Network = "main" }, message.FollowBitcoin{}, fault.Invalid, "bitcoin.network"},
		{"away", func(n *scripted) { n.err = fault.New(fault.Temporary, "not reached") }, message.FollowBitcoin{}, fault.Temporary, "not reached"},
		{"pruned", func(n *scripted) { n.info.Pruned, n.info.PruneHeight = true, 4 }, message.FollowBitcoin{From: 3}, fault.Invalid, "has pruned"},
		{"behind", func(*scripted) {}, message.FollowBitcoin{Known: []message.BitcoinID{known}}, fault.Temporary, "synchronising anew"},
		{"no block", func(n *scripted) { delete(n.blocks, n.chain[4]) }, message.FollowBitcoin{From: 3}, fault.Temporary, "pruned it"},
		{"damaged block", func(n *scripted) { n.blocks[n.chain[4]] = n.blocks[n.chain[4]][:100] }, message.FollowBitcoin{From: 3}, fault.Temporary, "height 4"},
		{"another block", func(n *scripted) { n.blocks[n.chain[4]] = n.blocks[n.chain[3]] }, message.FollowBitcoin{From: 3}, fault.Temporary, "for "},
		{"a transaction changed", func(n *scripted) {
			raw := n.blocks[n.chain[4]]
			raw[len(raw)-5] ^= 1
		}, message.FollowBitcoin{From: 3}, fault.Temporary, "Merkle root"},
	} {
		n := newScripted(5)
		c.node(n)
		_, err := NewReader(n, deposits(3), "regtest").Follow(t.Context(), &c.ask)
		if !fault.Is(err, c.grade) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s: %v", c.name, fault.Of(err), err)
		}
	}
}

// Only what concerns the federation is told, and each with what proves it.
func TestFollowTransactions(t *testing.T) {
	f := deposits(3)
	loose := append([]byte{0x52}, f.ScriptPubKey[1:]...)
	n := newScripted(1)
	n.extend(
		payment(1, nil, []byte{0x51}),
		payment(2, nil, []byte{0x51}, f.ScriptPubKey),
		payment(3, nil, loose),
		payment(4, wire.TxWitness{{1}, {2}, f.Script, f.ControlBlock}, []byte{0x51}),
		payment(5, wire.TxWitness{{1}, f.Script, f.ControlBlock, {0x50, 1}}, []byte{0x51}),
		payment(6, wire.TxWitness{f.ControlBlock, f.Script}, []byte{0x51}),
	)
	b := follow(t, n, &message.FollowBitcoin{From: 2}).Blocks[0]
	var found []uint32
	for i := range b.Transactions {
		tx := &b.Transactions[i]
		found = append(found, tx.Index)
		decoded, err := decodeTransaction(tx.Raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		branch := make([]chainhash.Hash, len(tx.Branch))
		for j := range tx.Branch {
			branch[j] = tx.Branch[j].Value
		}
		size := len(encode(&wire.MsgTx{Version: decoded.Version, TxIn: withoutWitness(decoded.TxIn), TxOut: decoded.TxOut}))
		if err := peg.CheckBranch(decoded.TxHash(), size, tx.Index, branch, chainhash.Hash(b.Header[36:68])); err != nil {
			t.Error(err)
		}
	}
	if fmt.Sprint(found) != "[2 3 4 5]" {
		t.Errorf("transactions %d are told", found)
	}
}

// withoutWitness takes the witnesses off inputs.
func withoutWitness(ins []*wire.TxIn) (out []*wire.TxIn) {
	for _, in := range ins {
		out = append(out, &wire.TxIn{PreviousOutPoint: in.PreviousOutPoint, Sequence: in.Sequence})
	}
	return out
}

// Large chains come in answers of a bounded size.
func TestFollowBounds(t *testing.T) {
	n := newScripted(2*maxBlocks + 10)
	got := follow(t, n, &message.FollowBitcoin{From: 1})
	if len(got.Blocks) != maxBlocks {
		t.Errorf("%d blocks in an answer", len(got.Blocks))
	}
	n = newScripted(1)
	big := payment(1, nil, deposits(3).ScriptPubKey, append([]byte{0x6a}, make([]byte, 1_500_000)...))
	for i := range 6 {
		big.TxIn[0].PreviousOutPoint.Index = uint32(i)
		n.extend(big.Copy())
	}
	if got := follow(t, n, &message.FollowBitcoin{From: 2}); len(got.Blocks) != 3 {
		t.Errorf("%d blocks of 1.5 MB in an answer", len(got.Blocks))
	}
}

// A follower that takes every answer has the node's chain, whenever that moves: also in the
// middle of an answer.
func TestFollowMoving(t *testing.T) {
	for seed := range int64(200) {
		r := rand.New(rand.NewSource(seed))
		n := newScripted(3 + r.Intn(10))
		moves := 0
		n.before = func(string) {
			if r.Intn(12) == 0 && moves < 40 {
				moves++
				depth := r.Intn(min(4, len(n.chain)-1))
				n.leave(depth)
				for range depth + 1 {
					n.extend()
				}
			}
		}
		reader := NewReader(n, deposits(3), "regtest")
		followed := map[uint64]chainhash.Hash{}
		var top uint64
		var tip *message.BitcoinID
		for turn := 0; ; turn++ {
			m := &message.FollowBitcoin{Tip: tip}
			for h := top; len(followed) > 0; h-- {
				m.Known = append(m.Known, message.BitcoinID{Height: h, Hash: followed[h]})
				if h == 0 {
					break
				}
			}
			f, err := reader.Follow(t.Context(), m)
			if fault.Is(err, fault.Temporary) && turn < 500 {
				continue
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if f == nil {
				break
			}
			tip = f.Tip
			before := chainhash.Hash{}
			if f.Ancestor != nil {
				for h := f.Ancestor.Height + 1; h <= top; h++ {
					delete(followed, h)
				}
				top, before = f.Ancestor.Height, f.Ancestor.Hash
			}
			for i := range f.Blocks {
				b := &f.Blocks[i]
				if chainhash.Hash(b.Header[4:36]) != before && b.Height > 0 {
					t.Fatalf("seed %d: block %d does not follow", seed, b.Height)
				}
				followed[b.Height], top, before = b.Hash, b.Height, b.Hash
			}
		}
		if int(top) != len(n.chain)-1 {
			t.Fatalf("seed %d: followed to %d of %d", seed, top, len(n.chain)-1)
		}
		for h, hash := range n.chain {
			if followed[uint64(h)] != hash {
				t.Fatalf("seed %d: height %d differs", seed, h)
			}
		}
	}
}

func TestFetchAndBroadcast(t *testing.T) {
	n := newScripted(3)
	tx := payment(1, nil, deposits(3).ScriptPubKey)
	block := n.extend(tx)
	r := NewReader(n, deposits(3), "regtest")
	got, err := r.Fetch(t.Context(), &message.FetchTransaction{Txid: tx.TxHash(), Block: block})
	if err != nil || got.Height != 4 || !bytes.Equal(got.Raw.Data, encode(tx)) {
		t.Errorf("%+v %v", got, err)
	}
	got, err = r.Fetch(t.Context(), &message.FetchTransaction{Txid: tx.TxHash(), Block: chainhash.Hash{9}})
	if err != nil || got.Height != 0 {
		t.Errorf("of an unknown block: %+v %v", got, err)
	}
	if _, err := r.Fetch(t.Context(), &message.FetchTransaction{Txid: chainhash.Hash{9}, Block: block}); !fault.Is(err, fault.CannotJudge) {
		t.Errorf("unknown: %v", err)
	}
	if got := r.Broadcast(t.Context(), tx.TxHash(), encode(tx)); got.Outcome != message.BroadcastAccepted || got.Txid != tx.TxHash() {
		t.Errorf("%+v", got)
	}
	n.info.Network = "main"
	if got := r.Broadcast(t.Context(), tx.TxHash(), encode(tx)); got.Outcome != message.BroadcastAway || !strings.Contains(got.Reason, "network main") {
		t.Errorf("to another network: %+v", got)
	}
}
