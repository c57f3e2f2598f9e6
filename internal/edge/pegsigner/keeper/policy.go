package keeper

import (
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// Policy is what a keeper signs. The zero value bounds nothing but the rules that have
// no setting: see the package.
type Policy struct {
	// MinFeeRate and MaxFeeRate bound the fee in satoshi per 1000 vbytes; a MaxFeeRate
	// of zero is no bound.
	MinFeeRate, MaxFeeRate uint64
	MaxPayment             uint64        // satoshi of one payment, without change; zero is no bound
	MaxPeriod              uint64        // satoshi of the payments of a Period; zero is no bound
	Period                 time.Duration // that MaxPeriod is for
	// Allow names payments that the operator allows against the rules about second
	// spends and heights. Fees and amounts stay bounded.
	Allow map[chainhash.Hash]bool
}

// entry is one signed payment in memory.
type entry struct {
	txid   chainhash.Hash
	number uint64
	time   int64
	paid   uint64
	inputs []wire.OutPoint
	// replaced: a payment that was signed later spends one of its inputs, so that both
	// cannot confirm.
	replaced bool
}

// memory is what the rules look up of the log.
type memory struct {
	payments map[chainhash.Hash]*entry
	spends   map[wire.OutPoint][]*entry // in the order of signing
	heights  map[uint64][]*entry
	order    []*entry
}

func newMemory() *memory {
	return &memory{payments: make(map[chainhash.Hash]*entry), spends: make(map[wire.OutPoint][]*entry), heights: make(map[uint64][]*entry)}
}

// add takes in a payment that is signed.
func (m *memory) add(e *entry) {
	if m.payments[e.txid] != nil {
		return // the same payment proposed by another block
	}
	m.payments[e.txid] = e
	m.order = append(m.order, e)
	m.heights[e.number] = append(m.heights[e.number], e)
	for _, at := range e.inputs {
		for _, before := range m.spends[at] {
			before.replaced = true
		}
		m.spends[at] = append(m.spends[at], e)
	}
}

// judge says why a payment is not signed, nil when it may be. Nothing of that is final: the
// operator may change the policy or allow the payment, and a limit of a period passes.
func (p *Policy) judge(pay *pegsigner.Payment, f *peg.Federation, m *memory, now int64) error {
	if err := p.bounds(pay, f); err != nil {
		return err
	}
	if m.payments[pay.Txid] != nil {
		// Signed already: once more tells nobody more. The bounds were checked again, for
		// the txid says nothing of the amounts spent.
		return nil
	}
	if err := p.period(pay, f, m, now); err != nil || p.Allow[pay.Txid] {
		return err
	}
	return m.secondSpends(pay)
}

// bounds checks fee and amount of one payment.
func (p *Policy) bounds(pay *pegsigner.Payment, f *peg.Federation) error {
	rate, paid := pay.FeeRate(f), pay.Paid(f)
	switch {
	case rate < p.MinFeeRate:
		return fault.New(fault.CannotJudge, "payment %s pays %d satoshi per 1000 vbytes, at least %d is signed: Bitcoin would not relay it", pay.Txid, rate, p.MinFeeRate)
	case p.MaxFeeRate > 0 && rate > p.MaxFeeRate:
		return fault.New(fault.CannotJudge, "payment %s pays %d satoshi per 1000 vbytes, at most %d is signed", pay.Txid, rate, p.MaxFeeRate)
	case p.MaxPayment > 0 && paid > p.MaxPayment:
		return fault.New(fault.CannotJudge, "payment %s pays %d satoshi, at most %d is signed at once", pay.Txid, paid, p.MaxPayment)
	}
	return nil
}

// period checks the amounts of a period. What is replaced counts: which of the two
// confirms is not known here.
func (p *Policy) period(pay *pegsigner.Payment, f *peg.Federation, m *memory, now int64) error {
	if p.MaxPeriod == 0 {
		return nil
	}
	paid, before := pay.Paid(f), m.paidSince(now-p.Period.Milliseconds())
	if before > p.MaxPeriod || paid > p.MaxPeriod-before {
		return fault.New(fault.Temporary, "payment %s pays %d satoshi after %d within %s, at most %d are signed: ask again later, or raise the limit", pay.Txid, paid, before, p.Period, p.MaxPeriod)
	}
	return nil
}

// paidSince sums what payments signed since a time pay, up to a sum beyond all limits.
func (m *memory) paidSince(from int64) (sum uint64) {
	const enough = 1 << 62
	for _, e := range m.order {
		if e.time >= from && sum < enough {
			sum += e.paid
		}
	}
	return sum
}

// secondSpends holds a payment to what was signed before.
func (m *memory) secondSpends(pay *pegsigner.Payment) error {
	named := make(map[chainhash.Hash]bool, len(pay.Replaces))
	for _, txid := range pay.Replaces {
		named[txid] = true
	}
	shares := make(map[*entry]bool)
	for _, in := range pay.Tx.TxIn {
		for _, before := range m.spends[in.PreviousOutPoint] {
			if !named[before.txid] {
				return fault.New(fault.CannotJudge, "payment %s at height %d spends %s, which signed payment %s of height %d spends, and does not say that it replaces it; if that is right, allow the txid",
					pay.Txid, pay.Number, in.PreviousOutPoint, before.txid, before.number)
			}
			shares[before] = true
		}
	}
	for _, txid := range pay.Replaces {
		if e := m.payments[txid]; e != nil && !shares[e] {
			return fault.New(fault.CannotJudge, "payment %s says that it replaces signed payment %s of height %d and spends none of its inputs: both could confirm", pay.Txid, txid, e.number)
		}
	}
	// A branch has one payment at a height. What was signed at this one is of another
	// branch, and harmless if it cannot confirm beside this payment or one signed since.
	for _, e := range m.heights[pay.Number] {
		if !e.replaced && !shares[e] {
			return fault.New(fault.CannotJudge, "payment %s is of height %d, where payment %s is signed, with none of its inputs: both could confirm; if that is right, allow the txid",
				pay.Txid, pay.Number, e.txid)
		}
	}
	return nil
}
