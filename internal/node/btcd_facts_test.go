package node

import (
	"log/slog"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// facts calls read with each fact of a type in the journal of a stopped node, oldest first.
func (p *programRun) facts(fact core.Message, read func()) {
	p.t.Helper()
	j, err := journal.Open(journal.Options{Dir: JournalDir(p.dir), ReadOnly: true, CacheBytes: 4 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	defer j.Close()
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			p.t.Fatal(err)
		}
		for i := range e.Outputs {
			o := &e.Outputs[i]
			if o.Type != fact.Type() {
				continue
			}
			if err := message.Decode(fact, o.Schema, o.Payload, func(hash [32]byte) ([]byte, error) { return j.Content(journal.Hash(hash)) }); err != nil {
				p.t.Fatal(err)
			}
			read()
		}
	}
	if err := it.Err(); err != nil {
		p.t.Fatal(err)
	}
}

// totals are the sums of the last wallet.
func (l *pegLane) totals() *message.PegTotals {
	l.Helper()
	totals := new(message.PegTotals)
	m := new(message.WalletChanged)
	l.node.facts(m, func() { totals = m.Totals })
	return totals
}

// lives checks the life of each deposit and request as the journal tells it: every deposit
// of an account was minted once and is so in the end, those of nobody say why they are not.
func (l *pegLane) lives() {
	l.Helper()
	states := make(map[chainhash.Hash][]uint8)
	last := make(map[chainhash.Hash]message.PegInChanged)
	in := new(message.PegInChanged)
	l.node.facts(in, func() {
		states[in.Txid] = append(states[in.Txid], in.State)
		last[in.Txid] = *in
	})
	credited, left := 0, 0
	for txid, f := range last {
		minted := 0
		for _, s := range states[txid] {
			if s == message.PegInMinted {
				minted++
			}
			if s == message.PegInReorgedOut {
				left++
			}
		}
		switch {
		case f.Account != (common.Address{}) && (f.State == message.PegInMinted || f.State == message.PegInFinalized) && minted == 1:
			credited++
		case f.State != message.PegInNone || f.Reason == "":
			l.Errorf("deposit %s went through %d and ends as %+v", txid, states[txid], f)
		}
		l.Logf("deposit %s of %d satoshi: states %d %s", txid, f.Amount, states[txid], f.Reason)
	}
	// A reorganisation that ends between two looks at the Bitcoin node is not seen.
	l.Logf("%d times a deposit left with its Bitcoin block", left)
	if credited != 5 {
		l.Errorf("%d deposits are credited", credited)
	}
	out, ends := new(message.PegOutChanged), make(map[common.Hash][]uint8)
	l.node.facts(out, func() { ends[out.Transaction] = append(ends[out.Transaction], out.State) })
	for tx, s := range ends {
		l.Logf("peg-out of %s: states %d", tx, s)
		if s[len(s)-1] != message.PegOutConfirmed {
			l.Errorf("peg-out of %s ends in state %d", tx, s[len(s)-1])
		}
	}
	if len(ends) != 3 {
		l.Errorf("%d peg-outs in the journal", len(ends))
	}
}
