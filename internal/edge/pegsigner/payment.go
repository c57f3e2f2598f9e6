package pegsigner

import (
	"bytes"
	"math"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// The limits of a payment. Bitcoin relays no transaction beyond 400,000 weight units,
// which is 100,000 bytes without witnesses.
const (
	MaxTransaction = 100_000 // bytes
	MaxReplaces    = 10_000  // payments that one stands for

	inputSize  = 36 + 1 + 4 // outpoint, the length of an empty script, sequence
	minOutput  = 8 + 1      // value, the length of an empty script
	maxSatoshi = 21_000_000 * 100_000_000
)

// Payment is a payment to be signed. Get it from [NewPayment].
type Payment struct {
	Txid     chainhash.Hash
	Root     common.Hash // the block that proposes it
	Number   uint64      // its height
	Tx       *wire.MsgTx
	Spent    []*wire.TxOut    // in the order of the inputs
	Replaces []chainhash.Hash // payments off the branch that it conflicts with
	Fee      uint64           // satoshi: inputs less outputs
}

// NewPayment reads what is asked to be signed and checks all that needs no federation:
// an unsigned transaction of version 2 without lock time, whose txid is the one named,
// with inputs that differ, and with the output of each.
func NewPayment(m *message.SignPayout) (*Payment, error) {
	tx, err := decode(m.Raw.Data)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "payment "+m.Txid.String())
	}
	p := &Payment{Txid: m.Txid, Root: m.Root, Number: m.Number, Tx: tx}
	switch txid := tx.TxHash(); {
	case txid != m.Txid:
		return nil, fault.New(fault.Invalid, "payment %s: the transaction given is %s; sign neither", m.Txid, txid)
	case len(m.Spent) != len(tx.TxIn):
		return nil, fault.New(fault.Invalid, "payment %s has %d inputs, %d outputs are given; give each its output", m.Txid, len(tx.TxIn), len(m.Spent))
	case len(m.Replaces) > MaxReplaces:
		return nil, fault.New(fault.Invalid, "payment %s replaces %d payments, at most %d are possible", m.Txid, len(m.Replaces), MaxReplaces)
	case tx.Version != 2 || tx.LockTime != 0:
		return nil, fault.New(fault.Invalid, "payment %s has version %d and lock time %d, want 2 and 0", m.Txid, tx.Version, tx.LockTime)
	}
	for i := range m.Replaces {
		p.Replaces = append(p.Replaces, m.Replaces[i].Txid)
	}
	return p, p.takeAmounts(m.Spent)
}

// takeAmounts fills in Spent and Fee.
func (p *Payment) takeAmounts(spent []message.SpentOutput) error {
	var in, out uint64
	seen := make(map[wire.OutPoint]bool, len(spent))
	for i := range spent {
		at := p.Tx.TxIn[i].PreviousOutPoint
		if seen[at] {
			return fault.New(fault.Invalid, "payment %s spends %s twice", p.Txid, at)
		}
		seen[at] = true
		if spent[i].Amount > maxSatoshi-in {
			return fault.New(fault.Invalid, "payment %s: input %d, %s, of %d satoshi makes more than there is", p.Txid, i, at, spent[i].Amount)
		}
		in += spent[i].Amount
		p.Spent = append(p.Spent, wire.NewTxOut(int64(spent[i].Amount), bytes.Clone(spent[i].Script)))
	}
	for i, o := range p.Tx.TxOut {
		if o.Value < 0 || uint64(o.Value) > maxSatoshi-out {
			return fault.New(fault.Invalid, "payment %s: output %d of %d satoshi is not possible", p.Txid, i, o.Value)
		}
		out += uint64(o.Value)
	}
	if out > in {
		return fault.New(fault.Invalid, "payment %s pays %d satoshi out of %d", p.Txid, out, in)
	}
	p.Fee = in - out
	return nil
}

// SigHashes returns what the members of a federation sign, one hash for each input. It
// refuses a payment that spends what is not the federation's. (peg.md A11)
func (p *Payment) SigHashes(f *peg.Federation) ([][32]byte, error) {
	for i, o := range p.Spent {
		// Legacy's loose match: a coin of another witness version got into its wallet.
		if !f.Owns(o.PkScript) {
			return nil, fault.New(fault.Invalid, "payment %s: input %d, %s, is no coin of the federation; sign nothing", p.Txid, i, p.Tx.TxIn[i].PreviousOutPoint)
		}
	}
	return f.SigHashes(p.Tx, p.Spent)
}

// Paid returns the satoshi of the outputs that are not change to the federation.
func (p *Payment) Paid(f *peg.Federation) uint64 {
	var sum uint64
	for _, o := range p.Tx.TxOut {
		if !bytes.Equal(o.PkScript, f.ScriptPubKey) {
			sum += uint64(o.Value)
		}
	}
	return sum
}

// FeeRate returns the fee in satoshi per 1000 vbytes of the signed transaction, rounded
// down. (BIP 141)
func (p *Payment) FeeRate(f *peg.Federation) uint64 {
	const legacyBase = 164 // of the weight figure, which is no part of the witness (peg.md A2.7)
	const marker = 2       // marker and flag of the witness serialization
	weight := uint64(4*p.Tx.SerializeSizeStripped() + marker + len(p.Tx.TxIn)*(f.SatisfactionWeight-legacyBase))
	vbytes := (weight + 3) / 4
	return p.Fee * 1000 / vbytes // below 2^51 · 1000 < 2^64
}

// Message is the request that [NewPayment] reads back.
func (p *Payment) Message() (*message.SignPayout, error) {
	var raw bytes.Buffer
	if err := p.Tx.SerializeNoWitness(&raw); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "payment "+p.Txid.String())
	}
	m := &message.SignPayout{Txid: p.Txid, Root: p.Root, Number: p.Number}
	m.Raw.Data = raw.Bytes()
	for _, o := range p.Spent {
		m.Spent = append(m.Spent, message.SpentOutput{Amount: uint64(o.Value), Script: o.PkScript})
	}
	for _, txid := range p.Replaces {
		m.Replaces = append(m.Replaces, message.PaymentID{Txid: txid})
	}
	return m, nil
}

// decode reads an unsigned transaction. What it allocates is bounded by what is there:
// the library believes a count of up to 800,000 inputs before it reads one.
func decode(raw []byte) (*wire.MsgTx, error) {
	if len(raw) > MaxTransaction {
		return nil, fault.New(fault.Invalid, "%d bytes, at most %d are relayed by Bitcoin", len(raw), MaxTransaction)
	}
	at, err := bounded(raw, 4, inputSize)
	if err != nil {
		return nil, err
	}
	if _, err := bounded(raw, at, minOutput); err != nil {
		return nil, err
	}
	tx := new(wire.MsgTx)
	r := bytes.NewReader(raw)
	if err := tx.DeserializeNoWitness(r); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "no unsigned transaction")
	}
	switch {
	case r.Len() > 0:
		return nil, fault.New(fault.Invalid, "%d bytes follow the transaction", r.Len())
	case len(tx.TxIn) == 0 || len(tx.TxOut) == 0:
		return nil, fault.New(fault.Invalid, "%d inputs and %d outputs, want one of each at least", len(tx.TxIn), len(tx.TxOut))
	}
	for i, in := range tx.TxIn {
		if len(in.SignatureScript) > 0 {
			return nil, fault.New(fault.Invalid, "input %d has a signature script: it is not an unsigned payment", i)
		}
	}
	return tx, nil
}

// bounded checks that as many items of a size can follow as a count at an offset says,
// and returns where they would end.
func bounded(raw []byte, at, size int) (end int, err error) {
	if at > len(raw) {
		return 0, fault.New(fault.Invalid, "it ends before byte %d", at)
	}
	r := bytes.NewReader(raw[at:])
	n, err := wire.ReadVarInt(r, 0)
	if err != nil {
		return 0, fault.New(fault.Invalid, "no count at byte %d: %w", at, err)
	}
	if n > math.MaxInt32 || int(n)*size > r.Len() {
		return 0, fault.New(fault.Invalid, "%d items of %d bytes at least, %d bytes follow", n, size, r.Len())
	}
	return len(raw) - r.Len() + int(n)*size, nil
}
