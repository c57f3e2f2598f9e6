package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// failer is what testing and rapid tests share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// ground is a bridge actor between a simulated sidechain and a simulated Bitcoin chain.
// After each turn its state goes through a snapshot and the sums of every wallet are
// compared with the oracle's.
type ground struct {
	t      failer
	config *message.NodeConfigured
	state  *State
	seq    uint64
	btc    *chainOfBlocks
	told   map[common.Hash]*message.PegBlock // executed blocks
	names  map[[32]byte]string
	roots  map[string]*message.PegBlock
	seen   map[chainhash.Hash]*wire.MsgTx // transactions that were ever taken
	// offered are those in an answer; one that is done at once is in no state.
	offered map[chainhash.Hash]*wire.MsgTx
	held    map[[32]byte][]byte // contents, as a journal has them
	wait    []waitingEffect
	log     strings.Builder
	facts   []core.Message
	unsure  bool // nothing is compared after a turn
}

type waitingEffect struct {
	ref     core.Ref
	edge    string
	request core.Message
}

func newGround(t failer, change func(*spec.Chain, *message.NodeConfigured)) *ground {
	t.Helper()
	c := spec.Dev()
	c.Confirmations = 3
	m := &message.NodeConfigured{Bitcoin: true, Judging: true, Behaviour: 2, Software: "test"}
	if change != nil {
		change(c, m)
	}
	m.ChainSpec = record.NewContent(c.Encode())
	f, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		t.Fatalf("%v", err)
	}
	g := &ground{
		t: t, config: m, state: newState(), btc: newChainOfBlocks(f), told: map[common.Hash]*message.PegBlock{}, names: map[[32]byte]string{},
		roots: map[string]*message.PegBlock{}, seen: map[chainhash.Hash]*wire.MsgTx{}, offered: map[chainhash.Hash]*wire.MsgTx{}, held: map[[32]byte][]byte{},
	}
	g.send(core.Ref{}, m)
	g.follow("genesis", "genesis", g.block("genesis", "", nil))
	return g
}

// send handles one message and checks what must hold after each.
func (g *ground) send(cause core.Ref, m core.Message) {
	g.t.Helper()
	_, contents := record.Encode(m)
	for _, c := range contents {
		g.held[c.Hash] = c.Data
	}
	g.seq++
	next, out := g.state.Clone().(*State), new(core.Out)
	before := g.state
	var was []string
	if !g.unsure {
		was = entries(before)
	}
	New().Handle(next, m, core.Turn{Sequence: g.seq, Time: int64(g.seq), Cause: cause}, out)
	for i, o := range out.List() {
		switch {
		case o.Kind == core.Fact:
			g.facts = append(g.facts, o.Message)
			g.note("fact", o.Message)
		case o.Kind == core.Effect && o.Class.Pending():
			g.wait = append(g.wait, waitingEffect{core.Ref{Sequence: g.seq, Index: uint32(i)}, o.Target, o.Message})
			g.note(o.Target, o.Message)
		default:
			g.note("-> "+o.Target, o.Message)
		}
	}
	g.state = next
	if g.unsure {
		return
	}
	next.deposits.Scan(func(d *Deposit) bool {
		g.seen[d.Txid] = d.tx
		return true
	})
	for txid, tx := range g.offered {
		if next.settled(txid) {
			g.seen[txid] = tx
		}
	}
	if now := entries(before); !reflect.DeepEqual(was, now) {
		g.t.Fatalf("the turn has changed the state that it was a copy of:\n%s", firstDifference(was, now))
	}
	g.reload(next)
	g.audit()
	g.late()
}

// raise drops what is below a window smaller than that of a node.
func (g *ground) raise(keep uint64) {
	g.t.Helper()
	next := g.state.Clone().(*State)
	t := &turn{State: next, out: new(core.Out)}
	t.raiseBase(next.Block(next.Finalized.Root), keep)
	g.state = next
	fmt.Fprintf(&g.log, "base at %s\n", g.names[next.Base.Root])
	g.reload(next)
	g.audit()
	g.late()
}

// late compares the wallet of the base with the one that is computed from genesis, as if
// every transaction had been here from the beginning.
func (g *ground) late() {
	g.t.Helper()
	base := g.state.Block(g.state.Base.Root)
	if base == nil {
		return
	}
	fresh := newState()
	fresh.rules = g.state.rules
	for txid, tx := range g.seen {
		fresh.deposits.Set(&Deposit{Txid: txid, tx: tx})
	}
	var branch []*message.PegBlock
	for b := g.told[base.Root]; b != nil; b = g.told[b.Parent] {
		branch = append(branch, b)
	}
	w := newWallet()
	for i := len(branch) - 1; i >= 0; i-- {
		b, err := fresh.read(branch[i])
		if err != nil {
			g.t.Fatalf("%v", err)
		}
		w = fresh.derive(b, w)
	}
	if a, b := walletEntries(base.Wallet), walletEntries(w); !reflect.DeepEqual(a, b) {
		g.t.Fatalf("the wallet of the base, block %d, is not what it would be from genesis:\n%s", base.Number, firstDifference(a, b))
	}
}

// reload takes the state through a snapshot.
func (g *ground) reload(s *State) *State {
	g.t.Helper()
	loaded := newState()
	err := s.Walk(func(key, value []byte) error {
		return loaded.Load(bytes.Clone(key), bytes.Clone(value), func(hash [32]byte) ([]byte, error) {
			if data, ok := g.held[hash]; ok {
				return data, nil
			}
			return nil, fault.New(fault.Corrupt, "no content %x", hash)
		})
	})
	if err != nil {
		g.t.Fatalf("load: %v", err)
	}
	if a, b := entries(s), entries(loaded); !reflect.DeepEqual(a, b) {
		g.t.Fatalf("a loaded state differs:\n%s", firstDifference(a, b))
	}
	s.heights.Scan(func(id message.BlockID) bool {
		a, b := s.Block(id.Root).Wallet, loaded.Block(id.Root).Wallet
		if x, y := walletEntries(a), walletEntries(b); !reflect.DeepEqual(x, y) {
			g.t.Fatalf("the wallet of block %d of a loaded state differs:\n%s", id.Number, firstDifference(x, y))
		}
		return true
	})
	if a, b := s.placed.Len(), loaded.placed.Len(); a != b {
		g.t.Fatalf("%d deposits are placed, %d in a loaded state", a, b)
	}
	return loaded
}

func entries(s *State) (list []string) {
	_ = s.Walk(func(key, value []byte) error {
		list = append(list, fmt.Sprintf("%x=%x", key, value))
		return nil
	})
	return list
}

func walletEntries(w *Wallet) (list []string) {
	w.walk(&walk{yield: func(key, value []byte) error {
		list = append(list, fmt.Sprintf("%x=%x", key, value))
		return nil
	}})
	return list
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("%d and %d entries; entry %d: %q, %q", len(a), len(b), i, slices.Clone(append(a, ""))[min(i, len(a))], append(b, "")[min(i, len(b))])
		}
	}
	return "none"
}

// block makes a sidechain block.
func (g *ground) block(name, on string, change func(*message.PegBlock)) *message.PegBlock {
	b := &message.PegBlock{Root: sha256.Sum256([]byte("block " + name))}
	if parent := g.roots[on]; parent != nil {
		b.Parent, b.Number = parent.Root, parent.Number+1
	}
	b.PayloadHash = sha256.Sum256(b.Root[:])
	if change != nil {
		change(b)
	}
	g.roots[name], g.names[b.Root] = b, name
	return b
}

// follow has blocks executed, and the head and the finalised block moved.
func (g *ground) follow(head, final string, blocks ...*message.PegBlock) {
	g.t.Helper()
	m := &message.FollowChain{}
	for _, b := range blocks {
		m.Blocks = append(m.Blocks, *b)
		g.told[b.Root] = b
	}
	id := func(name string) *message.BlockID {
		if b := g.roots[name]; b != nil {
			return &message.BlockID{Root: b.Root, Number: b.Number}
		}
		return nil
	}
	m.Head, m.Finalized = id(head), id(final)
	g.send(core.Ref{}, m)
}

// credit gives a block the withdrawals that its deposits credit.
func (g *ground) credit(b *message.PegBlock, in peg.PegIn) {
	c := credits(b.Withdrawals)
	c.add(in)
	b.Withdrawals = c
}

// pending takes the oldest request of a kind that waits for its answer.
func pending[T core.Message](g *ground) (request T, ref core.Ref, ok bool) {
	for i, w := range g.wait {
		if r, is := w.request.(T); is {
			g.wait = slices.Delete(g.wait, i, i+1)
			return r, w.ref, true
		}
	}
	return request, ref, false
}

// bitcoin answers a waiting FollowBitcoin from the simulated chain, with at most some
// blocks. It reports whether anything was new.
func (g *ground) bitcoin(most int) bool {
	g.t.Helper()
	r, ref, ok := pending[*message.FollowBitcoin](g)
	if !ok {
		return false
	}
	m, fresh := g.btc.answer(r, most)
	if !fresh {
		g.wait = append(g.wait, waitingEffect{ref, string(BitcoinEdge), r})
		return false
	}
	for i := range m.Blocks {
		for k := range m.Blocks[i].Transactions {
			tx, _ := readTransaction(m.Blocks[i].Transactions[k].Raw.Data)
			g.offered[tx.TxHash()] = tx
		}
	}
	g.send(ref, m)
	return true
}

// wake lets the timers fire.
func (g *ground) wake() {
	for {
		_, ref, ok := pending[*message.StartTimer](g)
		if !ok {
			return
		}
		g.send(ref, &message.TimerFired{})
	}
}

func (g *ground) take() string {
	defer g.log.Reset()
	return g.log.String()
}

// chainOfBlocks is a Bitcoin chain without work, with branches.
type chainOfBlocks struct {
	federation *peg.Federation
	blocks     map[chainhash.Hash]*bitcoinBlock
	names      map[string]*bitcoinBlock
	best       []*bitcoinBlock // by height
	txs        map[string]*wire.MsgTx
	made       uint32
	fee        uint64
	network    string
}

type bitcoinBlock struct {
	header wire.BlockHeader
	height uint64
	txs    []*wire.MsgTx
}

func newChainOfBlocks(f *peg.Federation) *chainOfBlocks {
	c := &chainOfBlocks{federation: f, blocks: map[chainhash.Hash]*bitcoinBlock{}, names: map[string]*bitcoinBlock{}, txs: map[string]*wire.MsgTx{}, fee: 2000, network: "regtest"}
	c.mine("g", -1)
	return c
}

// mine adds a block on the one at a height of the best chain, which it becomes part of.
func (c *chainOfBlocks) mine(name string, on int, txs ...*wire.MsgTx) *bitcoinBlock {
	c.made++
	coinbase := wire.NewMsgTx(1)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 1<<32 - 1}, SignatureScript: binary.BigEndian.AppendUint32(nil, c.made)})
	coinbase.AddTxOut(wire.NewTxOut(50e8, []byte{txscript.OP_TRUE}))
	b := &bitcoinBlock{height: uint64(on + 1), txs: append([]*wire.MsgTx{coinbase}, txs...)}
	var txids []chainhash.Hash
	for _, tx := range b.txs {
		txids = append(txids, tx.TxHash())
	}
	b.header.MerkleRoot, _ = peg.MerkleRoot(txids)
	b.header.Nonce = c.made
	if on >= 0 {
		b.header.PrevBlock = c.best[on].header.BlockHash()
	}
	c.best = append(slices.Clone(c.best[:on+1]), b)
	c.blocks[b.header.BlockHash()], c.names[name] = b, b
	return b
}

func (c *chainOfBlocks) tip() *bitcoinBlock { return c.best[len(c.best)-1] }

func (b *bitcoinBlock) id() message.BitcoinID {
	return message.BitcoinID{Height: b.height, Hash: b.header.BlockHash()}
}

// answer is what the edge answers, and whether it has anything to tell.
func (c *chainOfBlocks) answer(r *message.FollowBitcoin, most int) (*message.BitcoinFollowed, bool) {
	tip := c.tip().id()
	m := &message.BitcoinFollowed{Tip: &tip, FeeRate: c.fee, Network: c.network}
	from := r.From
	for _, id := range r.Known {
		if id.Height < uint64(len(c.best)) && c.best[id.Height].id() == id {
			m.Ancestor, from = &id, id.Height+1
			break
		}
	}
	if len(r.Known) > 0 && m.Ancestor == nil {
		return m, true
	}
	for h := from; h < uint64(len(c.best)) && len(m.Blocks) < most; h++ {
		m.Blocks = append(m.Blocks, c.tell(c.best[h]))
	}
	left := len(r.Known) > 0 && *m.Ancestor != r.Known[0]
	return m, len(m.Blocks) > 0 || left || r.Tip == nil || *r.Tip != tip
}

func (c *chainOfBlocks) tell(b *bitcoinBlock) message.BitcoinBlock {
	told := message.BitcoinBlock{Height: b.height, Hash: b.header.BlockHash()}
	var header bytes.Buffer
	_ = b.header.Serialize(&header)
	told.Header = [80]byte(header.Bytes())
	var txids []chainhash.Hash
	for _, tx := range b.txs {
		txids = append(txids, tx.TxHash())
	}
	for i, tx := range b.txs {
		pays := slices.ContainsFunc(tx.TxOut, func(o *wire.TxOut) bool { return c.federation.Owns(o.PkScript) })
		if !pays {
			continue
		}
		branch, _ := peg.MerkleBranch(txids, i)
		t := message.BitcoinTransaction{Raw: content(tx), Index: uint32(i)}
		for _, h := range branch {
			t.Branch = append(t.Branch, message.SigHash{Value: h})
		}
		told.Transactions = append(told.Transactions, t)
	}
	return told
}

func content(tx *wire.MsgTx) record.Content {
	var raw bytes.Buffer
	_ = tx.Serialize(&raw)
	return record.NewContent(raw.Bytes())
}

// deposit makes a transaction that pays the federation amounts in one output each, and
// names an account in one of the encodings: raw, text, utf8 or none.
func (c *chainOfBlocks) deposit(account common.Address, form string, version byte, amounts ...int64) *wire.MsgTx {
	c.made++
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sha256.Sum256(binary.BigEndian.AppendUint32(nil, c.made))}})
	for _, a := range amounts {
		script := bytes.Clone(c.federation.ScriptPubKey)
		script[0] = version
		tx.AddTxOut(wire.NewTxOut(a, script))
	}
	switch form {
	case "raw":
		tx.AddTxOut(wire.NewTxOut(0, append([]byte{txscript.OP_RETURN, 20}, account[:]...)))
	case "utf8": // 20 raw bytes that are text as well
		tx.AddTxOut(wire.NewTxOut(0, append([]byte{txscript.OP_RETURN, 20}, "twenty bytes of text"...)))
	case "text":
		tx.AddTxOut(wire.NewTxOut(0, append([]byte{txscript.OP_RETURN, 40}, []byte(fmt.Sprintf("%x", account[:]))...)))
	}
	return tx
}
