package bridge

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of what others can make the state hold.
const (
	// maxOrders bounds the ranges that wait to be signed; the oldest goes first.
	maxOrders = 64
	// maxEarly bounds a member's payments whose signatures came before they were known,
	// maxEarlySignatures the signatures of them all. Nothing has verified them.
	maxEarly           = 32
	maxEarlySignatures = 2048
)

// payments is what the bridge knows of payments, for all branches together. It is
// bounded by the payments above the finalised block and those not yet settled in
// Bitcoin, and by the constants above.
type payments struct {
	payBook
	byTxid    *btree.BTreeG[*Payment]
	early     *btree.BTreeG[*EarlySignatures]
	inBitcoin *btree.BTreeG[*Spend]
	spending  *btree.BTreeG[spending] // derived: which payments spend an output
	spenders  *btree.BTreeG[spending] // derived: which transaction in Bitcoin does
	signing   *btree.BTreeG[*Payment] // derived: those with an intent
	outgoing  *btree.BTreeG[*Payment] // derived: those that Bitcoin is to have, parents first
}

// payBook is the part that is one record.
type payBook struct {
	Orders []Order  // ranges to be signed, oldest first
	Retry  core.Ref // the timer that counts, or nothing
	Heard  uint64   // counts early signatures
}

// Fields implements record.Record.
func (b *payBook) Fields(f *record.Fields) {
	record.List(f, 1, &b.Orders)
	f.Uint64(2, &b.Retry.Sequence)
	f.Uint32(3, &b.Retry.Index)
	f.Uint64(4, &b.Heard)
}

// Order is a range whose payments this member is to sign.
type Order struct {
	Start, End common.Hash
	Reason     string // those of the alarms
}

// Fields implements record.Record.
func (o *Order) Fields(f *record.Fields) {
	f.Fixed(1, o.Start[:])
	f.Fixed(2, o.End[:])
	f.String(3, &o.Reason)
}

// OutPoint names an output in a record.
type OutPoint wire.OutPoint

// Fields implements record.Record.
func (o *OutPoint) Fields(f *record.Fields) {
	f.Fixed(1, o.Hash[:])
	f.Uint32(2, &o.Index)
}

// Spend is a transaction in Bitcoin that spends outputs of the federation. A payment may
// become known long after it: while the chain is imported, Bitcoin may be ahead.
type Spend struct {
	Txid   chainhash.Hash
	Block  message.BitcoinID
	Inputs []OutPoint
}

// Fields implements record.Record.
func (s *Spend) Fields(f *record.Fields) {
	f.Fixed(1, s.Txid[:])
	f.Uint64(2, &s.Block.Height)
	f.Fixed(3, s.Block.Hash[:])
	record.List(f, 4, &s.Inputs)
}

// EarlySignatures came before their payment, or before what it spends was known.
type EarlySignatures struct {
	Txid       chainhash.Hash
	Member     uint32
	Order      uint64 // of arrival
	Signatures []message.PayoutSignature
}

// Fields implements record.Record.
func (e *EarlySignatures) Fields(f *record.Fields) {
	f.Fixed(1, e.Txid[:])
	f.Uint32(2, &e.Member)
	f.Uint64(3, &e.Order)
	record.List(f, 4, &e.Signatures)
}

// spending says that a transaction spends an output.
type spending struct {
	out  wire.OutPoint
	txid chainhash.Hash
}

func lessSpending(a, b spending) bool {
	return cmp.Or(compareOutPoints(a.out, b.out), compareHash(&a.txid, &b.txid)) < 0
}

func lessPayment(a, b *Payment) bool { return compareHash(&a.Txid, &b.Txid) < 0 }

// lessOutgoing has payments before those that spend their change: they are proposed first.
func lessOutgoing(a, b *Payment) bool {
	return cmp.Or(cmp.Compare(a.Number, b.Number), compareHash(&a.Txid, &b.Txid)) < 0
}

func lessEarly(a, b *EarlySignatures) bool {
	return cmp.Or(compareHash(&a.Txid, &b.Txid), cmp.Compare(a.Member, b.Member)) < 0
}

func newPayments() payments {
	return payments{
		byTxid:    btree.NewBTreeGOptions(lessPayment, ordered),
		early:     btree.NewBTreeGOptions(lessEarly, ordered),
		inBitcoin: btree.NewBTreeGOptions(func(a, b *Spend) bool { return compareHash(&a.Txid, &b.Txid) < 0 }, ordered),
		spending:  btree.NewBTreeGOptions(lessSpending, ordered),
		spenders:  btree.NewBTreeGOptions(lessSpending, ordered),
		signing:   btree.NewBTreeGOptions(lessPayment, ordered),
		outgoing:  btree.NewBTreeGOptions(lessOutgoing, ordered),
	}
}

func (s *payments) copy() payments {
	c := *s
	c.Orders = slices.Clone(s.Orders)
	c.byTxid, c.early, c.inBitcoin = s.byTxid.Copy(), s.early.Copy(), s.inBitcoin.Copy()
	c.spending, c.spenders = s.spending.Copy(), s.spenders.Copy()
	c.signing, c.outgoing = s.signing.Copy(), s.outgoing.Copy()
	return c
}

// Payment returns what is known of a payment, or nil. It is read-only.
func (s *payments) Payment(txid chainhash.Hash) *Payment {
	p, _ := s.byTxid.Get(&Payment{Txid: txid})
	return p
}

// putPayment stores a payment in place of what was known of it.
func (s *payments) putPayment(p *Payment) {
	if old := s.Payment(p.Txid); old != nil {
		s.outgoing.Delete(old) // its place there may change
	} else {
		for _, in := range p.tx.TxIn {
			s.spending.Set(spending{in.PreviousOutPoint, p.Txid})
		}
	}
	s.byTxid.Set(p)
	member(s.signing, p, p.Signing)
	member(s.outgoing, p, p.outgoing())
}

func member(t *btree.BTreeG[*Payment], p *Payment, is bool) {
	if is {
		t.Set(p)
	} else {
		t.Delete(p)
	}
}

func (s *payments) forget(p *Payment) {
	s.byTxid.Delete(p)
	s.signing.Delete(p)
	s.outgoing.Delete(p)
	for _, in := range p.tx.TxIn {
		s.spending.Delete(spending{in.PreviousOutPoint, p.Txid})
	}
}

// spendingOf returns the payments that spend an output, in the order of their txids.
func (s *payments) spendingOf(out wire.OutPoint) []*Payment {
	var found []*Payment
	s.spending.Ascend(spending{out: out}, func(e spending) bool {
		if e.out != out {
			return false
		}
		found = append(found, s.Payment(e.txid))
		return true
	})
	return found
}

// spenderOf returns the transaction in Bitcoin that spends an output.
func (s *payments) spenderOf(out wire.OutPoint) (txid chainhash.Hash, found bool) {
	s.spenders.Ascend(spending{out: out}, func(e spending) bool {
		txid, found = e.txid, e.out == out
		return false
	})
	return txid, found
}

func (s *payments) spendOf(txid chainhash.Hash) *Spend {
	spend, _ := s.inBitcoin.Get(&Spend{Txid: txid})
	return spend
}

// Snapshot keys of this part: one letter and what names the entry.
const (
	bookEntry    byte = 'B'
	earlyEntry   byte = 'E'
	paymentEntry byte = 'P'
	spendEntry   byte = 'S'
)

func (p *Payment) key() []byte { return append([]byte{paymentEntry}, p.Txid[:]...) }
func (s *Spend) key() []byte   { return append([]byte{spendEntry}, s.Txid[:]...) }
func (e *EarlySignatures) key() []byte {
	return binary.BigEndian.AppendUint32(append([]byte{earlyEntry}, e.Txid[:]...), e.Member)
}

// walkPayments yields the entries of this part in the order of their keys: B E P S.
func (s *payments) walkPayments(w *walk) {
	w.put([]byte{bookEntry}, &s.payBook)
	s.early.Scan(func(e *EarlySignatures) bool { return w.put(e.key(), e) })
	s.byTxid.Scan(func(p *Payment) bool { return w.put(p.key(), p) })
	s.inBitcoin.Scan(func(d *Spend) bool { return w.put(d.key(), d) })
}

// loadPayments takes one entry of this part and returns its key.
func (s *payments) loadPayments(key, value []byte, resolve record.Resolver) (canonical []byte, err error) {
	switch key[0] {
	case bookEntry:
		return []byte{bookEntry}, record.Decode(value, &s.payBook, resolve)
	case earlyEntry:
		e := new(EarlySignatures)
		if err := record.Decode(value, e, resolve); err != nil {
			return nil, err
		}
		s.early.Set(e)
		return e.key(), nil
	case paymentEntry:
		p := new(Payment)
		if err := record.Decode(value, p, resolve); err != nil {
			return nil, err
		}
		if p.tx, err = readProposal(p.Raw); err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "bridge state: payment "+p.Txid.String())
		}
		if txid := p.tx.TxHash(); txid != p.Txid {
			return nil, fault.New(fault.Corrupt, "bridge state: payment %s is stored as %s", txid, p.Txid)
		}
		s.putPayment(p)
		return p.key(), nil
	case spendEntry:
		d := new(Spend)
		if err := record.Decode(value, d, resolve); err != nil {
			return nil, err
		}
		s.putSpend(d)
		return d.key(), nil
	}
	return nil, fault.New(fault.Corrupt, "bridge state has no entry %x", key)
}

// unsignedBytes serializes a transaction without its witnesses.
func unsignedBytes(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	b.Grow(tx.SerializeSizeStripped())
	_ = tx.SerializeNoWitness(&b) // a bytes.Buffer takes everything
	return b.Bytes()
}

// signedBytes serializes a transaction with its witnesses.
func signedBytes(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	b.Grow(tx.SerializeSize())
	_ = tx.Serialize(&b) // a bytes.Buffer takes everything
	return b.Bytes()
}

func (s *payments) putSpend(d *Spend) {
	s.inBitcoin.Set(d)
	for _, in := range d.Inputs {
		s.spenders.Set(spending{wire.OutPoint(in), d.Txid})
	}
}

func (s *payments) dropSpend(d *Spend) {
	s.inBitcoin.Delete(d)
	for _, in := range d.Inputs {
		s.spenders.Delete(spending{wire.OutPoint(in), d.Txid})
	}
}
