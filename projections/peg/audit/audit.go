package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	ledger "github.com/AnduroProject/alys-go/projections/peg"
)

// Options are how an audit is made.
type Options struct {
	// Progress, if not nil, is called now and then.
	Progress func(done, total uint64)
}

// Report is what an audit found.
type Report struct {
	Events     uint64 `json:"events"`      // read
	Headers    uint64 `json:"headers"`     // Bitcoin blocks whose hash, work and parent were checked
	Proofs     uint64 `json:"proofs"`      // Merkle branches
	Minted     uint64 `json:"minted"`      // deposits that were minted
	Unproven   uint64 `json:"unproven"`    // of them, without a proof of inclusion in the journal
	Payments   uint64 `json:"payments"`    // finalised payments whose witnesses were checked
	Unchecked  uint64 `json:"unchecked"`   // finalised payments that spend what the journal does not hold
	Wallets    uint64 `json:"wallets"`     // sums whose identities were checked
	Bitcoin    string `json:"bitcoin"`     // the newest Bitcoin block that was followed, display order
	BitcoinAt  uint64 `json:"bitcoin_at"`  // its height
	LastWallet uint64 `json:"last_wallet"` // height of the newest sums

	Differences []Difference `json:"differences"` // at most MaxDifferences of them
	Differing   uint64       `json:"differing"`   // how many there are
}

// Difference is something that is not as the journal says.
type Difference struct {
	Sequence uint64 `json:"sequence"` // of the event
	What     string `json:"what"`
}

// MaxDifferences bounds how many are named.
const MaxDifferences = 100

// Run audits the durable events of a journal. An error means that it could not be read
// to its end; differences are in the report.
func Run(ctx context.Context, j *journal.Journal, o Options) (*Report, error) {
	a := &audit{
		journal: j, report: &Report{Differences: []Difference{}}, known: map[chainhash.Hash]record.Content{},
		proven: map[place]bool{}, minted: map[chainhash.Hash]common.Hash{}, paid: map[chainhash.Hash]bool{},
	}
	total := j.Durable().Sequence
	it := j.Iterate(1, false)
	for it.Next() {
		e, err := it.Event()
		if err == nil {
			err = a.event(e)
		}
		if err == nil && e.Sequence%1024 == 0 {
			err = fault.Wrap(fault.Temporary, ctx.Err(), "audit of the peg")
			if o.Progress != nil {
				o.Progress(e.Sequence, total)
			}
		}
		if err != nil {
			return a.report, errors.Join(err, it.Close())
		}
		a.report.Events++
	}
	return a.report, it.Close()
}

// place is a transaction in a Bitcoin block.
type place struct{ txid, block chainhash.Hash }

// audit is one pass over a journal. It keeps a name for each transaction of the peg.
type audit struct {
	journal *journal.Journal
	report  *Report
	at      uint64 // sequence of the event

	spec       *spec.Chain
	federation *peg.Federation

	known  map[chainhash.Hash]record.Content // raw transactions
	proven map[place]bool
	minted map[chainhash.Hash]common.Hash // by which block, on the head's branch
	paid   map[chainhash.Hash]bool        // finalised payments that were checked
}

func (a *audit) differs(format string, args ...any) {
	a.report.Differing++
	if len(a.report.Differences) < MaxDifferences {
		a.report.Differences = append(a.report.Differences, Difference{a.at, fmt.Sprintf(format, args...)})
	}
}

// told makes the messages and facts that are looked at.
func told(typ string, fact bool) core.Message {
	if !fact {
		switch typ {
		case (*message.NodeConfigured)(nil).Type():
			return &message.NodeConfigured{}
		case (*message.BitcoinFollowed)(nil).Type():
			return &message.BitcoinFollowed{}
		case (*message.TransactionFetched)(nil).Type():
			return &message.TransactionFetched{}
		}
		return nil
	}
	switch typ {
	case (*message.PegInChanged)(nil).Type():
		return &message.PegInChanged{}
	case (*message.PaymentChanged)(nil).Type():
		return &message.PaymentChanged{}
	case (*message.WalletChanged)(nil).Type():
		return &message.WalletChanged{}
	}
	return nil
}

func (a *audit) event(e *journal.Event) error {
	a.at = e.Sequence
	if e.Stored {
		if m := told(e.Type, false); m != nil {
			if err := a.take(m, e.Schema, e.Message); err != nil {
				return err
			}
		}
	}
	for i := range e.Outputs {
		o := &e.Outputs[i]
		if o.Kind != journal.KindFact {
			continue
		}
		if m := told(o.Type, true); m != nil {
			if err := a.take(m, o.Schema, o.Payload); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *audit) take(m core.Message, schema uint32, data []byte) error {
	if err := message.Decode(m, schema, data, nil); err != nil {
		return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("audit of the peg: event %d: %s", a.at, m.Type()))
	}
	switch m := m.(type) {
	case *message.NodeConfigured:
		return a.configured(m)
	case *message.BitcoinFollowed:
		return a.followed(m)
	case *message.TransactionFetched:
		return a.fetched(m)
	case *message.PegInChanged:
		return a.deposit(m)
	case *message.PaymentChanged:
		return a.payment(m)
	case *message.WalletChanged:
		a.wallet(m)
	}
	return nil
}

func (a *audit) configured(m *message.NodeConfigured) error {
	if m.ChainSpec.None() {
		return nil
	}
	raw, err := a.journal.Content(journal.Hash(m.ChainSpec.Hash))
	if err != nil {
		return err
	}
	if a.spec, _, err = spec.Parse(raw); err != nil {
		return err
	}
	a.federation, err = peg.NewFederation(a.spec.FederationKeys)
	return err
}

// transaction reads a transaction of the journal; nil for bytes that are none.
func (a *audit) transaction(c record.Content) (*wire.MsgTx, error) {
	raw, err := a.journal.Content(journal.Hash(c.Hash))
	if err != nil {
		return nil, err
	}
	var tx wire.MsgTx
	r := bytes.NewReader(raw)
	if tx.Deserialize(r) != nil || r.Len() != 0 {
		return nil, nil
	}
	return &tx, nil
}

func (a *audit) fetched(m *message.TransactionFetched) error {
	tx, err := a.transaction(m.Raw)
	switch {
	case err != nil:
		return err
	case tx == nil || tx.TxHash() != m.Txid:
		a.differs("transaction %s was fetched, and other bytes came", m.Txid)
	default:
		a.known[m.Txid] = m.Raw
	}
	return nil
}

func (a *audit) wallet(m *message.WalletChanged) {
	a.report.Wallets++
	a.report.LastWallet = m.Number
	t := m.Totals
	if t == nil {
		t = &message.PegTotals{}
	}
	for _, broken := range ledger.Broken(t) {
		a.differs("block %d: %s", m.Number, broken)
	}
}
