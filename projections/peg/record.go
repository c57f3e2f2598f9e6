package peg

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// moment is where a fact stands in the journal.
type moment struct {
	Time     uint64 // Unix milliseconds
	Sequence uint64
	Output   uint32
}

// Fields implements record.Record.
func (m *moment) Fields(f *record.Fields) {
	f.Uint64(1, &m.Time)
	f.Uint64(2, &m.Sequence)
	f.Uint32(3, &m.Output)
}

// entry is one deposit, request or payment as the newest fact has it; one of the last
// three fields is set.
type entry struct {
	First   moment
	Last    moment
	Changes uint64
	PegIn   *message.PegInChanged
	PegOut  *message.PegOutChanged
	Payment *message.PaymentChanged
}

// Fields implements record.Record.
func (e *entry) Fields(f *record.Fields) {
	first, last := &e.First, &e.Last
	record.Optional(f, 1, &first)
	record.Optional(f, 2, &last)
	f.Uint64(3, &e.Changes)
	record.Optional(f, 4, &e.PegIn)
	record.Optional(f, 5, &e.PegOut)
	record.Optional(f, 6, &e.Payment)
	if f.Decoding() && first != nil && last != nil {
		e.First, e.Last = *first, *last
	}
}

// change is one state in a life: what may differ from fact to fact. Its key says where
// it stands in the journal.
type change struct {
	Time          uint64
	State         uint8
	Reason        string
	Root          common.Hash
	Number        uint64
	BitcoinBlock  chainhash.Hash
	BitcoinHeight uint64
	BitcoinTip    uint64
	Paid          uint64
	Payment       chainhash.Hash
	Output        uint32
	Signers       uint32
	Fee           uint64
}

// Fields implements record.Record.
func (c *change) Fields(f *record.Fields) {
	f.Uint64(1, &c.Time)
	f.Uint8(2, &c.State)
	f.String(3, &c.Reason)
	f.Fixed(4, c.Root[:])
	f.Uint64(5, &c.Number)
	f.Fixed(6, c.BitcoinBlock[:])
	f.Uint64(7, &c.BitcoinHeight)
	f.Uint64(8, &c.BitcoinTip)
	f.Uint64(9, &c.Paid)
	f.Fixed(10, c.Payment[:])
	f.Uint32(11, &c.Output)
	f.Uint32(12, &c.Signers)
	f.Uint64(13, &c.Fee)
}

// change takes from the newest fact of an entry what may differ.
func (e *entry) change() change {
	c := change{Time: e.Last.Time}
	switch {
	case e.PegIn != nil:
		m := e.PegIn
		c.State, c.Reason, c.Root, c.Number = m.State, m.Reason, m.Root, m.Number
		c.BitcoinBlock, c.BitcoinHeight, c.BitcoinTip = m.BitcoinBlock, m.BitcoinHeight, m.BitcoinTip
	case e.PegOut != nil:
		m := e.PegOut
		c.State, c.Reason, c.Root, c.Number = m.State, m.Reason, m.Root, m.Number
		c.Paid, c.Payment, c.Output, c.BitcoinHeight = m.Paid, m.Payment, m.Output, m.BitcoinHeight
	case e.Payment != nil:
		m := e.Payment
		c.State, c.Reason, c.Root, c.Number = m.State, m.Reason, m.Root, m.Number
		c.Signers, c.Fee = m.Signers, m.Fee
		c.BitcoinBlock, c.BitcoinHeight, c.BitcoinTip = m.BitcoinBlock, m.BitcoinHeight, m.BitcoinTip
	}
	return c
}

// apply sets an entry back to what it was at a change.
func (e *entry) apply(c change) {
	switch {
	case e.PegIn != nil:
		m := e.PegIn
		m.State, m.Reason, m.Root, m.Number = c.State, c.Reason, c.Root, c.Number
		m.BitcoinBlock, m.BitcoinHeight, m.BitcoinTip = c.BitcoinBlock, c.BitcoinHeight, c.BitcoinTip
	case e.PegOut != nil:
		m := e.PegOut
		m.State, m.Reason, m.Root, m.Number = c.State, c.Reason, c.Root, c.Number
		m.Paid, m.Payment, m.Output, m.BitcoinHeight = c.Paid, c.Payment, c.Output, c.BitcoinHeight
	case e.Payment != nil:
		m := e.Payment
		m.State, m.Reason, m.Root, m.Number = c.State, c.Reason, c.Root, c.Number
		m.Signers, m.Fee = c.Signers, c.Fee
		m.BitcoinBlock, m.BitcoinHeight, m.BitcoinTip = c.BitcoinBlock, c.BitcoinHeight, c.BitcoinTip
	}
}

// state is the present state and the amount that sums count.
func (e *entry) state() (state uint8, amount uint64) {
	switch {
	case e.PegIn != nil:
		return e.PegIn.State, e.PegIn.Amount
	case e.PegOut != nil:
		return e.PegOut.State, e.PegOut.Amount
	case e.Payment != nil:
		return e.Payment.State, e.Payment.Fee
	}
	return 0, 0
}

// account is whom lists by account have the entry under.
func (e *entry) account() (a common.Address, ok bool) {
	switch {
	case e.PegIn != nil:
		return e.PegIn.Account, true
	case e.PegOut != nil:
		return e.PegOut.Account, true
	}
	return a, false
}

// wallet is the sums of the head's wallet at a fact.
type wallet struct {
	Time   uint64
	Root   common.Hash
	Number uint64
	Totals *message.PegTotals
}

// Fields implements record.Record.
func (w *wallet) Fields(f *record.Fields) {
	f.Uint64(1, &w.Time)
	f.Fixed(2, w.Root[:])
	f.Uint64(3, &w.Number)
	record.Optional(f, 4, &w.Totals)
}

// tip is what Bitcoin was at a fact.
type tip struct {
	Time       uint64
	Height     uint64 // followed to
	Hash       chainhash.Hash
	NodeHeight uint64
	FeeRate    uint64
	Reverted   uint64 // Bitcoin blocks that were left, from the beginning on
	Lost       bool   // the node cannot be asked
	Grade      uint8
	Reason     string
}

// Fields implements record.Record.
func (t *tip) Fields(f *record.Fields) {
	f.Uint64(1, &t.Time)
	f.Uint64(2, &t.Height)
	f.Fixed(3, t.Hash[:])
	f.Uint64(4, &t.NodeHeight)
	f.Uint64(5, &t.FeeRate)
	f.Uint64(6, &t.Reverted)
	f.Bool(7, &t.Lost)
	f.Uint8(8, &t.Grade)
	f.String(9, &t.Reason)
}

// header is a Bitcoin block that was followed.
type header struct {
	Hash   chainhash.Hash
	Header [80]byte
	Kept   bool // it has a transaction of the peg
}

// Fields implements record.Record.
func (h *header) Fields(f *record.Fields) {
	f.Fixed(1, h.Hash[:])
	f.Fixed(2, h.Header[:])
	f.Bool(3, &h.Kept)
}

// proof is where a transaction stands in a Bitcoin block.
type proof struct {
	Height uint64
	Header [80]byte
	Index  uint32
	Branch []message.SigHash
	Raw    record.Content
}

// Fields implements record.Record.
func (p *proof) Fields(f *record.Fields) {
	f.Uint64(1, &p.Height)
	f.Fixed(2, p.Header[:])
	f.Uint32(3, &p.Index)
	record.List(f, 4, &p.Branch)
	f.Content(5, &p.Raw)
}

// chain is what the ledger knows of the sidechain, and of the rules in force.
type chain struct {
	Head, Finalized     message.BlockID
	Times               []blockTime // of the newest blocks, lowest first
	Carriers            []uint64    // heights of the newest carriers, lowest first
	Confirmations       uint64      // that a deposit needs (A1)
	PayoutConfirmations uint64
	Bitcoin             bool // this node has a Bitcoin node to ask
	HaltedSince         uint64
	HaltReason          string
	Alarms              uint64
	Members             []memberSeen // by their index in the federation
}

// Fields implements record.Record.
func (c *chain) Fields(f *record.Fields) {
	head, finalized := &c.Head, &c.Finalized
	record.Optional(f, 1, &head)
	record.Optional(f, 2, &finalized)
	record.List(f, 3, &c.Times)
	f.Uint64s(4, &c.Carriers)
	f.Uint64(5, &c.Confirmations)
	f.Uint64(6, &c.PayoutConfirmations)
	f.Bool(7, &c.Bitcoin)
	f.Uint64(8, &c.HaltedSince)
	f.String(9, &c.HaltReason)
	f.Uint64(10, &c.Alarms)
	record.List(f, 11, &c.Members)
	if f.Decoding() && head != nil && finalized != nil {
		c.Head, c.Finalized = *head, *finalized
	}
}

// blockTime is when a block was made.
type blockTime struct {
	Number uint64
	Time   uint64 // Unix seconds
}

// Fields implements record.Record.
func (b *blockTime) Fields(f *record.Fields) {
	f.Uint64(1, &b.Number)
	f.Uint64(2, &b.Time)
}

// memberSeen is when a member's signature of a payment was last counted.
type memberSeen struct {
	Time     uint64
	Payments uint64
}

// Fields implements record.Record.
func (m *memberSeen) Fields(f *record.Fields) {
	f.Uint64(1, &m.Time)
	f.Uint64(2, &m.Payments)
}
