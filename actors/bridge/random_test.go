package bridge

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// suiteSeeds is how many random runs of fixed seeds the fast suite makes.
const suiteSeeds = 60

// TestRandomRuns has random things happen on both chains: deposits of all kinds, blocks
// that list anything and pay with anything, branches, reorganisations, losses and restarts.
// After each turn the state survives a snapshot, the turn has left the state of before
// alone, every wallet equals the oracle's, its sums are conserved, and late transactions
// have made the base what it would be without delay. ALYS_BRIDGE_RANDOM draws new runs.
func TestRandomRuns(t *testing.T) {
	if os.Getenv("ALYS_BRIDGE_RANDOM") != "" {
		rapid.Check(t, func(t *rapid.T) {
			explore(t, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }, 60)
		})
		return
	}
	for seed := range suiteSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			explore(t, r.IntN, 60)
		})
	}
}

// explorer makes random things happen to a ground.
type explorer struct {
	*ground
	pick   func(n int) int
	made   int
	order  []string // names of told blocks
	loose  []*wire.MsgTx
	burned uint32
}

func explore(t failer, pick func(n int) int, steps int) {
	x := &explorer{pick: pick, order: []string{"genesis"}}
	x.ground = newGround(t, func(c *spec.Chain, m *message.NodeConfigured) {
		c.Confirmations = uint32(pick(4))
		c.Activations.StrictPegins = []uint64{0, 1, 4}[pick(3)]
		c.Activations.StrictPegouts = []uint64{0, 1, 4}[pick(3)]
		c.BitcoinStartHeight = uint32(pick(2))
		m.Bitcoin = pick(4) > 0
	})
	actions := []func(){x.mine, x.mine, x.answerBitcoin, x.answerBitcoin, x.reorganise, x.trouble, x.fetch, x.make, x.make, x.make, x.move, x.move, x.final, x.ask, x.share}
	for range steps {
		actions[pick(len(actions))]()
		x.take()
	}
}

func (x *explorer) name() string {
	x.made++
	return fmt.Sprintf("n%d", x.made)
}

func (x *explorer) deposit() *wire.MsgTx {
	amounts := []int64{int64([]int{0, 100, 5000, 70_000_000}[x.pick(4)])}
	if x.pick(3) == 0 {
		amounts = append(amounts, 9000)
	}
	version := []byte{txscript.OP_1, txscript.OP_1, txscript.OP_1, txscript.OP_2, txscript.OP_0}[x.pick(5)]
	tx := x.btc.deposit(common.Address{0xff, byte(x.pick(5))}, []string{"raw", "raw", "text", "utf8", "none"}[x.pick(5)], version, amounts...)
	x.btc.txs[x.name()] = tx
	x.loose = append(x.loose, tx)
	return tx
}

func (x *explorer) mine() {
	var txs []*wire.MsgTx
	for range x.pick(3) {
		tx := x.deposit()
		if x.pick(3) == 0 { // one that was made before, unless it is in the best chain
			tx = x.loose[x.pick(len(x.loose))]
		}
		if !x.btc.has(tx.TxHash()) && !slices.Contains(txs, tx) {
			txs = append(txs, tx)
		}
	}
	x.btc.mine(x.name(), int(x.btc.tip().height), txs...)
}

// has reports whether a transaction is in the best chain.
func (c *chainOfBlocks) has(txid chainhash.Hash) bool {
	for _, b := range c.best {
		for _, tx := range b.txs {
			if tx.TxHash() == txid {
				return true
			}
		}
	}
	return false
}

func (x *explorer) reorganise() {
	depth := 1 + x.pick(3)
	on := int(x.btc.tip().height) - depth
	if on < 0 {
		return
	}
	for i := range depth + x.pick(2) {
		x.btc.mine(x.name(), on+i)
	}
}

func (x *explorer) answerBitcoin() { x.bitcoin(1 + x.pick(4)) }

func (x *explorer) trouble() {
	switch x.pick(6) {
	case 0:
		if _, ref, ok := pending[*message.FollowBitcoin](x.ground); ok {
			x.send(ref, &message.BitcoinAway{Grade: uint8(fault.Temporary), Reason: "random"})
		}
	case 1:
		if _, ref, ok := pending[*message.FollowBitcoin](x.ground); ok {
			x.send(ref, &core.Expired{Reason: "restart"})
		}
	case 2:
		m := *x.config
		m.Bitcoin = x.pick(4) > 0
		x.send(core.Ref{}, &m)
	case 3:
		x.send(core.Ref{}, &message.ResumePeg{Request: 1, Reason: "random"})
	case 4:
		x.btc.network = []string{"regtest", "regtest", "main"}[x.pick(3)]
	}
	x.wake()
}

func (x *explorer) fetch() {
	r, ref, ok := pending[*message.FetchTransaction](x.ground)
	if !ok {
		return
	}
	for _, tx := range x.loose {
		if tx.TxHash() == r.Txid && x.pick(3) > 0 {
			x.offered[r.Txid] = tx
			x.send(ref, &message.TransactionFetched{Txid: r.Txid, Block: r.Block, Height: 1, Raw: content(tx)})
			return
		}
	}
	x.send(ref, &message.TransactionMissing{Txid: r.Txid, Block: r.Block, Reason: "random"})
}

// make has a block of random content executed.
func (x *explorer) make() {
	on := x.order[len(x.order)-1-min(x.pick(4), len(x.order)-1)]
	parent := x.state.Block(x.roots[on].Root)
	if parent == nil {
		return
	}
	name := x.name()
	b := x.block(name, on, func(b *message.PegBlock) {
		for range x.pick(3) {
			if len(x.loose) == 0 {
				break
			}
			tx := x.loose[x.pick(len(x.loose))]
			b.PegIns = append(b.PegIns, message.DepositID{Txid: tx.TxHash()})
			if in, ok := x.state.credit(tx, b.Number); ok && x.pick(8) > 0 {
				x.credit(b, in)
			}
		}
		if x.pick(2) == 0 {
			b.Proposal = x.proposal(parent)
		}
		b.Receipts = x.burn()
		if x.pick(6) == 0 {
			b.FeeShares = []message.Withdrawal{{Address: common.Address{1}, Amount: 77}}
		}
	})
	x.order = append(x.order, name)
	x.follow("", "", b)
}

// proposal pays what waits, or part of it, with coins that there are or not.
func (x *explorer) proposal(parent *Block) []byte {
	tx := wire.NewMsgTx(2)
	var coins, spent []wire.OutPoint
	total := int64(0)
	parent.Wallet.Coins(func(c Coin) bool {
		coins = append(coins, c.OutPoint)
		return true
	})
	parent.Wallet.spent.Scan(func(s Spent) bool {
		spent = append(spent, s.OutPoint)
		return true
	})
	for range 1 + x.pick(3) {
		switch kind := x.pick(6); {
		case kind == 0 && len(spent) > 0:
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: spent[x.pick(len(spent))]})
		case kind == 1 && len(x.loose) > 0:
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: x.loose[x.pick(len(x.loose))].TxHash(), Index: uint32(x.pick(3))}})
		case len(coins) > 0:
			out := coins[x.pick(len(coins))]
			c, _ := parent.Wallet.Coin(out)
			total += int64(c.Amount)
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: out})
		}
	}
	for _, r := range parent.Wallet.Pending {
		if x.pick(5) > 0 {
			amount := int64(r.Amount) - int64(x.pick(400))
			total -= amount
			tx.AddTxOut(wire.NewTxOut(amount, r.Script))
		}
	}
	switch x.pick(5) {
	case 0:
		tx.AddTxOut(wire.NewTxOut(max(total, 0)+int64(x.pick(2000)), x.btc.federation.ScriptPubKey))
	case 1:
		tx.AddTxOut(wire.NewTxOut(1234, []byte{txscript.OP_TRUE}))
	case 2:
		tx.AddTxOut(wire.NewTxOut(max(total-500, 0), x.btc.federation.ScriptPubKey))
	}
	var raw bytes.Buffer
	_ = tx.SerializeNoWitness(&raw)
	if x.pick(20) == 0 {
		return raw.Bytes()[:raw.Len()/2]
	}
	return raw.Bytes()
}

// burn makes the receipts of a few requests.
func (x *explorer) burn() record.Content {
	var m message.PegReceipts
	for range x.pick(3) {
		x.burned++
		amount := []uint64{1, 900_000, 1_000_000, 3_000_000}[x.pick(4)]
		destinations := []string{"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "no address"}
		if address, err := x.btc.federation.Address(&chaincfg.RegressionNetParams); err == nil {
			destinations = append(destinations, address)
		}
		l := requestLog(amount, destinations[x.pick(len(destinations))])
		l.Transaction, l.Index = common.BigToHash(big.NewInt(int64(x.burned))), x.burned
		if x.pick(5) == 0 {
			l.Emitter = common.Address{9}
		}
		if x.pick(5) == 0 {
			l.To = common.Address{8}
		}
		m.Logs = append(m.Logs, l)
	}
	if len(m.Logs) == 0 {
		return record.Content{}
	}
	data, _ := record.Encode(&m)
	return record.NewContent(data)
}

// requestLog is the log of a peg-out of an amount in satoshi, with some wei more.
func requestLog(amount uint64, destination string) message.PegLog {
	wei := new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(10_000_000_000))
	wei.Add(wei, big.NewInt(42))
	data := make([]byte, 96+96)
	data[31] = 64
	wei.FillBytes(data[32:64])
	data[95] = byte(len(destination))
	copy(data[96:], destination)
	return message.PegLog{
		HasTo: true, To: peg.BridgeAddress, Emitter: peg.BridgeAddress,
		Topics: []message.Topic{{Value: peg.RequestTopic}, {Value: common.Hash{31: 5}}}, Data: data,
	}
}

// share has another node begin with what depends on blocks alone: it has the same wallets
// on the head's branch, and comes to the same ones.
func (x *explorer) share() {
	other := x.reload(x.state.Shared())
	for b := other.Block(other.Head.Root); b != nil; b = other.Block(b.Parent) {
		if a, o := walletEntries(x.state.Block(b.Root).Wallet), walletEntries(b.Wallet); !reflect.DeepEqual(a, o) {
			x.t.Fatalf("the wallet of block %d is another in what is shared:\n%s", b.Number, firstDifference(a, o))
		}
	}
	if other.Config.Bitcoin || other.bitcoin.Len() > 0 || other.placed.Len() > 0 || other.Following != (Following{}) || len(other.Open)+len(other.Fetches) > 0 {
		x.t.Fatalf("what is shared has more than blocks: %+v", other.pointers)
	}
	x.block("shared", x.names[other.Head.Root], func(b *message.PegBlock) { b.Receipts = x.burn() })
	m := &message.FollowChain{Blocks: []message.PegBlock{*x.roots["shared"]}, Head: &message.BlockID{Root: x.roots["shared"].Root, Number: other.Head.Number + 1}}
	for _, s := range []*State{other, x.state.Clone().(*State)} {
		New().Handle(s, m, core.Turn{Sequence: x.seq + 1}, new(core.Out))
		if err := conserved(s.Block(s.Head.Root).Wallet); err != nil || s.Head != *m.Head {
			x.t.Fatalf("the shared state does not go on: %v", err)
		}
	}
}

func (x *explorer) recent() string { return x.order[len(x.order)-1-min(x.pick(5), len(x.order)-1)] }

func (x *explorer) move() {
	if name := x.recent(); x.state.Block(x.roots[name].Root) != nil {
		x.follow(name, "")
	}
}

// final makes an ancestor of the head final, and sometimes drops what is below it.
func (x *explorer) final() {
	b := x.state.Block(x.state.Head.Root)
	for range x.pick(4) {
		if parent := x.state.Block(b.Parent); parent != nil {
			b = parent
		}
	}
	if b.Number < x.state.Finalized.Number || !x.stands(b, x.state.Finalized.Root) {
		return
	}
	x.follow("", x.names[b.Root])
	if x.pick(2) == 0 {
		x.raise(uint64(x.pick(3)))
	}
}

func (x *explorer) stands(b *Block, root common.Hash) bool {
	for ; b != nil; b = x.state.Block(b.Parent) {
		if b.Root == root {
			return true
		}
	}
	return false
}

func (x *explorer) ask() {
	b := x.roots[x.recent()]
	x.send(core.Ref{}, &message.JudgePeg{Block: b})
	x.send(core.Ref{}, &message.PlanPeg{Slot: 1, Parent: b.Root, Room: uint32(x.pick(18))})
}
