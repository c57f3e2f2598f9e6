package bridge

import (
	"bytes"
	"cmp"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Wallet is what the federation holds and owes after a block. It is read-only once the
// block has it; blocks that change nothing share the wallet of their parent.
type Wallet struct {
	Totals  message.PegTotals
	Pending []Request // requests that the next block's payment is for, oldest first

	coins   *btree.BTreeG[Coin]
	minted  *btree.BTreeG[Mint] // for ever
	spent   *btree.BTreeG[Spent]
	unknown *btree.BTreeG[Unknown]
	lacking *btree.BTreeG[Lacking]
}

// From says how a coin came to the federation.
type From uint8

// The origins of coins.
const (
	FromDeposit From = 1 // an output of a minted deposit
	FromPayment From = 2 // change
)

// Coin is an output the federation holds, and no proposal on the branch spends.
type Coin struct {
	OutPoint wire.OutPoint
	Amount   uint64 // satoshi
	// Version is the first byte of its script, which legacy does not look at. Only
	// OP_1 is an output that the federation alone can spend. (peg.md A3)
	Version byte
	From    From
	Number  uint64 // of the block that mints the deposit or proposes the payment
}

// Spendable reports whether the federation's signatures spend the coin.
func (c Coin) Spendable() bool { return c.Version == txscript.OP_1 }

// Fields implements record.Record.
func (c *Coin) Fields(f *record.Fields) {
	f.Fixed(1, c.OutPoint.Hash[:])
	f.Uint32(2, &c.OutPoint.Index)
	f.Uint64(3, &c.Amount)
	f.Uint8(4, &c.Version)
	f.Uint8(5, (*uint8)(&c.From))
	f.Uint64(6, &c.Number)
}

// Script returns the coin's output script.
func (s *State) Script(c Coin) []byte {
	script := bytes.Clone(s.rules.federation.ScriptPubKey)
	script[0] = c.Version
	return script
}

// How the input of a payment came to be known.
const (
	spentCoin    uint8 = 1 // it was a coin of the wallet
	spentFetched uint8 = 2 // it was none, and its transaction is here
	spentMissing uint8 = 3 // it was none, and its transaction is not here: the amount is unknown
)

// Spent is an output that a proposal spends. It stays for ever, so that what is spent
// is never taken for unknown. (peg.md A9)
type Spent struct {
	OutPoint wire.OutPoint
	By       chainhash.Hash // the payment
	Amount   uint64         // satoshi
	Kind     uint8
	Number   uint64 // of the block that proposes the payment
}

// Fields implements record.Record.
func (s *Spent) Fields(f *record.Fields) {
	f.Fixed(1, s.OutPoint.Hash[:])
	f.Uint32(2, &s.OutPoint.Index)
	f.Fixed(3, s.By[:])
	f.Uint64(4, &s.Amount)
	f.Uint8(5, &s.Kind)
	f.Uint64(6, &s.Number)
}

// Lacking is a payment with inputs whose amount is unknown: what is known of its sums,
// in satoshi.
type Lacking struct {
	Txid chainhash.Hash
	In   uint64
	Out  uint64
	// Inputs is how many amounts are unknown.
	Inputs uint64
}

// Fields implements record.Record.
func (l *Lacking) Fields(f *record.Fields) {
	f.Fixed(1, l.Txid[:])
	f.Uint64(2, &l.In)
	f.Uint64(3, &l.Out)
	f.Uint64(4, &l.Inputs)
}

// Mint is a deposit that a block of the branch mints.
type Mint struct {
	Txid   chainhash.Hash
	Number uint64 // of the first block that lists it
}

// Fields implements record.Record.
func (m *Mint) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Uint64(2, &m.Number)
}

// Unknown is a minted deposit whose transaction is not here.
type Unknown struct {
	message.DepositID
	Number uint64 // of the block that mints it
}

// Fields implements record.Record.
func (u *Unknown) Fields(f *record.Fields) {
	u.DepositID.Fields(f)
	f.Uint64(3, &u.Number)
}

func compareOutPoints(a, b wire.OutPoint) int {
	return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
}

func newWallet() *Wallet {
	return &Wallet{
		coins:   btree.NewBTreeGOptions(func(a, b Coin) bool { return compareOutPoints(a.OutPoint, b.OutPoint) < 0 }, ordered),
		minted:  btree.NewBTreeGOptions(func(a, b Mint) bool { return bytes.Compare(a.Txid[:], b.Txid[:]) < 0 }, ordered),
		spent:   btree.NewBTreeGOptions(func(a, b Spent) bool { return compareOutPoints(a.OutPoint, b.OutPoint) < 0 }, ordered),
		unknown: btree.NewBTreeGOptions(func(a, b Unknown) bool { return bytes.Compare(a.Txid[:], b.Txid[:]) < 0 }, ordered),
		lacking: btree.NewBTreeGOptions(func(a, b Lacking) bool { return bytes.Compare(a.Txid[:], b.Txid[:]) < 0 }, ordered),
	}
}

// edit returns a copy that can be changed.
func (w *Wallet) edit() *Wallet {
	c := *w
	c.coins, c.minted, c.spent = w.coins.Copy(), w.minted.Copy(), w.spent.Copy()
	c.unknown, c.lacking = w.unknown.Copy(), w.lacking.Copy()
	return &c
}

// Coin returns an unspent coin.
func (w *Wallet) Coin(out wire.OutPoint) (Coin, bool) { return w.coins.Get(Coin{OutPoint: out}) }

// Coins calls yield for the unspent coins in the order of their outpoints.
func (w *Wallet) Coins(yield func(Coin) bool) { w.coins.Scan(yield) }

// SpentBy returns the proposal of the branch that spends an output.
func (w *Wallet) SpentBy(out wire.OutPoint) (Spent, bool) { return w.spent.Get(Spent{OutPoint: out}) }

// knows reports whether an output is or was a coin of the branch.
func (w *Wallet) knows(out wire.OutPoint) bool {
	_, held := w.Coin(out)
	_, spent := w.SpentBy(out)
	return held || spent
}

// Minted reports whether a deposit is minted on the branch. (peg.md A5)
func (w *Wallet) Minted(txid chainhash.Hash) bool {
	_, ok := w.minted.Get(Mint{Txid: txid})
	return ok
}

// Unknown reports whether a minted deposit's transaction is not here.
func (w *Wallet) Unknown(txid chainhash.Hash) bool {
	_, ok := w.unknown.Get(Unknown{DepositID: message.DepositID{Txid: txid}})
	return ok
}
