package bridge

import (
	"bytes"
	"cmp"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// State is what the bridge actor knows. Blocks are bounded by the chain actor's
// window below the finalised block and what it executes above; the window of Bitcoin
// blocks by the confirmations that are required. Deposits that are not minted, coins
// and minted txids grow with what was paid on Bitcoin and burned on the sidechain
// alone: both cost their maker money.
type State struct {
	pointers
	rules *ruleset // derived from Config; nil until configured

	blocks   *btree.BTreeG[*Block]          // by root
	heights  *btree.BTreeG[message.BlockID] // the same, by height
	deposits *btree.BTreeG[*Deposit]        // by txid
	placed   *btree.BTreeG[place]           // deposits in followed Bitcoin blocks, by height
	bitcoin  *btree.Map[uint64, chainhash.Hash]
	payments

	loading *Wallet // of the base block, while a snapshot is loaded
}

// pointers is the part of the state that is one record.
type pointers struct {
	Config    *message.NodeConfigured
	Base      message.BlockID // the lowest block that is kept
	Head      message.BlockID
	Finalized message.BlockID
	Before    message.BlockID // that was finalised before Finalized

	// Incomplete is why the wallet lacks history, or "".
	Incomplete string
	// Halted is why the peg stands still until an operator resumes it, or "".
	Halted string

	Following Following
	Open      []Judgement // verdicts that may change, oldest first

	Fetches    []Fetch        // transactions that are asked for, oldest first
	FetchAfter chainhash.Hash // the last that was asked for in this round
	FetchAt    core.Ref       // the timer before the next round
}

// ruleset is what the configuration means.
type ruleset struct {
	spec       *spec.Chain
	federation *peg.Federation
}

// Fields implements record.Record.
func (p *pointers) Fields(f *record.Fields) {
	record.Optional(f, 1, &p.Config)
	f.Fixed(2, p.Base.Root[:])
	f.Uint64(3, &p.Base.Number)
	f.Fixed(4, p.Head.Root[:])
	f.Uint64(5, &p.Head.Number)
	f.Fixed(6, p.Finalized.Root[:])
	f.Uint64(7, &p.Finalized.Number)
	f.Fixed(8, p.Before.Root[:])
	f.Uint64(9, &p.Before.Number)
	f.String(10, &p.Incomplete)
	f.String(11, &p.Halted)
	p.Following.fields(f, 20)
	record.List(f, 40, &p.Open)
	record.List(f, 41, &p.Fetches)
	f.Uint64(42, &p.FetchAt.Sequence)
	f.Uint32(43, &p.FetchAt.Index)
	f.Fixed(44, p.FetchAfter[:])
}

var ordered = btree.Options{NoLocks: true}

func compareIDs(a, b message.BlockID) bool {
	return cmp.Or(cmp.Compare(a.Number, b.Number), bytes.Compare(a.Root[:], b.Root[:])) < 0
}

func newState() *State {
	return &State{
		blocks:   btree.NewBTreeGOptions(func(a, b *Block) bool { return bytes.Compare(a.Root[:], b.Root[:]) < 0 }, ordered),
		heights:  btree.NewBTreeGOptions(compareIDs, ordered),
		deposits: btree.NewBTreeGOptions(func(a, b *Deposit) bool { return bytes.Compare(a.Txid[:], b.Txid[:]) < 0 }, ordered),
		placed:   btree.NewBTreeGOptions(comparePlaces, ordered),
		bitcoin:  new(btree.Map[uint64, chainhash.Hash]),
		payments: newPayments(),
	}
}

// Clone implements core.State. Blocks, wallets, deposits and payments are replaced,
// never changed in place.
func (s *State) Clone() core.State {
	c := *s
	c.blocks, c.heights = s.blocks.Copy(), s.heights.Copy()
	c.deposits, c.placed = s.deposits.Copy(), s.placed.Copy()
	c.bitcoin, c.payments = s.bitcoin.Copy(), s.payments.copy()
	c.Open = s.Open[:len(s.Open):len(s.Open)]
	c.Fetches = s.Fetches[:len(s.Fetches):len(s.Fetches)]
	return &c
}

// Block returns the block with this root, or nil.
func (s *State) Block(root common.Hash) *Block {
	b, _ := s.blocks.Get(&Block{PegBlock: message.PegBlock{Root: root}})
	return b
}

// Deposit returns the deposit with this txid, or nil.
func (s *State) Deposit(txid chainhash.Hash) *Deposit {
	d, _ := s.deposits.Get(&Deposit{Txid: txid})
	return d
}

// Federation returns what follows from the federation's keys; nil before configuration.
func (s *State) Federation() *peg.Federation {
	if s.rules == nil {
		return nil
	}
	return s.rules.federation
}

func (s *State) putBlock(b *Block) {
	s.blocks.Set(b)
	s.heights.Set(b.id())
}

func (s *State) dropBlock(b *Block) {
	s.blocks.Delete(b)
	s.heights.Delete(b.id())
}

// strictPegIns reports whether the tighter reading of deposits decides at a height.
// (peg.md A3)
func (s *State) strictPegIns(number uint64) bool {
	return spec.Active(s.rules.spec.Activations.StrictPegins, number)
}

// strictPegOuts reports whether the tighter rules of requests and payments decide at a
// height. (peg.md A7, A8, A9)
func (s *State) strictPegOuts(number uint64) bool {
	return spec.Active(s.rules.spec.Activations.StrictPegouts, number)
}
