package bridge

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

const (
	// maxFetches bounds the transactions that are asked for at a time.
	maxFetches = 16
	// fetchPauseMs is how long missing transactions are left alone.
	fetchPauseMs = 60_000
)

// Fetch is a minted deposit's transaction that is asked for.
type Fetch struct {
	message.DepositID
	Effect core.Ref
}

// Fields implements record.Record.
func (r *Fetch) Fields(f *record.Fields) {
	r.DepositID.Fields(f)
	f.Uint64(3, &r.Effect.Sequence)
	f.Uint32(4, &r.Effect.Index)
}

// fetchUnknown asks for the transactions of minted deposits of the head's branch that
// are not here. Until Bitcoin is followed to its tip they may come by themselves.
func (x *turn) fetchUnknown() {
	head := x.Block(x.Head.Root)
	if head == nil || !x.Config.Bitcoin || !x.Current() || !x.FetchAt.None() {
		return
	}
	for len(x.Fetches) < maxFetches {
		next, ok := x.nextUnknown(head.Wallet)
		if !ok {
			break
		}
		x.FetchAfter = next.Txid
		x.Fetches = append(x.Fetches, Fetch{next.DepositID, x.next()})
		x.out.Effect(BitcoinEdge, core.UntilDone, &message.FetchTransaction{Txid: next.Txid, Block: next.Block})
	}
	if len(x.Fetches) == 0 && x.FetchAfter != (chainhash.Hash{}) {
		x.FetchAfter = chainhash.Hash{}
		if head.Wallet.unknown.Len() > 0 {
			x.FetchAt = x.next()
			x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: fetchPauseMs})
		}
	}
}

// nextUnknown returns the first unknown deposit after the last that was asked for.
func (s *State) nextUnknown(w *Wallet) (next Unknown, ok bool) {
	w.unknown.Ascend(Unknown{DepositID: message.DepositID{Txid: s.FetchAfter}}, func(u Unknown) bool {
		next, ok = u, u.Txid != s.FetchAfter
		return !ok
	})
	return next, ok
}

// fetched ends the request that a turn answers.
func (x *turn) fetched() (Fetch, bool) {
	for i, f := range x.Fetches {
		if f.Effect == x.Cause {
			x.Fetches = append(append([]Fetch(nil), x.Fetches[:i]...), x.Fetches[i+1:]...)
			return f, true
		}
	}
	return Fetch{}, false
}

func (x *turn) transactionFetched(m *message.TransactionFetched) {
	f, ok := x.fetched()
	if !ok {
		return
	}
	tx, err := readTransaction(m.Raw.Data)
	switch {
	case err != nil || tx.TxHash() != f.Txid || !possible(tx):
		x.lose(fault.Temporary, "the Bitcoin node answers transaction %s of block %s with another, or with one that no block has", f.Txid, f.Block)
	case x.Deposit(f.Txid) == nil:
		d := &Deposit{Txid: f.Txid, Raw: m.Raw, Block: m.Block, Height: m.Height, tx: tx}
		x.putDeposit(d)
		x.learn([]*Deposit{d})
		x.restage([]chainhash.Hash{f.Txid})
		x.judgeAgain()
		x.learnAllPrevouts()
		x.signOrders()
	}
	x.fetchUnknown()
}

func (x *turn) transactionMissing() {
	if _, ok := x.fetched(); ok {
		x.fetchUnknown()
	}
}

// learn computes the wallets again that lack one of the transactions.
func (x *turn) learn(fresh []*Deposit) {
	base := x.Block(x.Base.Root)
	if base == nil || len(fresh) == 0 {
		return
	}
	w := base.Wallet
	for _, d := range fresh {
		if w.lacks(d.Txid) {
			w = x.supply(w, d.Txid, d.tx)
		}
	}
	stale := w != base.Wallet
	x.heights.Scan(func(id message.BlockID) bool {
		lacking := x.Block(id.Root).Wallet
		for i := 0; i < len(fresh) && !stale && lacking.Totals.Unknown > 0; i++ {
			stale = lacking.lacks(fresh[i].Txid)
		}
		return !stale
	})
	if !stale {
		return
	}
	var ids []message.BlockID
	x.heights.Scan(func(id message.BlockID) bool {
		ids = append(ids, id)
		return true
	})
	for _, id := range ids {
		b := *x.Block(id.Root)
		if id == x.Base {
			b.Wallet = w
		} else {
			b.Wallet = x.derive(&b, x.Block(b.Parent).Wallet)
		}
		x.blocks.Set(&b)
	}
	if head := x.Block(x.Head.Root); head != nil {
		x.factWallet(head)
	}
}

// lacks reports whether a wallet was made without a transaction that it needs.
func (w *Wallet) lacks(txid chainhash.Hash) bool {
	return w.Totals.Unknown > 0 && (w.Unknown(txid) || len(w.missing(txid)) > 0)
}
