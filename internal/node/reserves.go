package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	ledger "github.com/AnduroProject/alys-go/projections/peg"
)

// reserves reads what backs the sidechain at a block; nil when there is no such block.
// The sums of old blocks are in the ledger, coins in the bridge actor's state, proofs in
// the ledger again.
func (n *Node) reserves(ctx context.Context, q rpc.ReservesQuery) (*rpc.Reserves, error) {
	l, err := n.pegLedger()
	if err != nil {
		return nil, err
	}
	height, byHeight, err := heightOf(q.Block)
	if err != nil {
		return nil, err
	}
	if byHeight && !q.Coins {
		return n.sumsAt(l, height)
	}
	state, sequence, err := n.runtime.Look(ctx, bridge.ID)
	if err != nil {
		return nil, err
	}
	s, ok := state.(*bridge.State)
	if !ok {
		return nil, fault.New(fault.Fatal, "the bridge's state is a %T", state)
	}
	b, err := blockOf(s, q.Block, height, byHeight)
	if err != nil || b == nil {
		return nil, err
	}
	r := &rpc.Reserves{
		AsOf: sequence, Block: b.Root.Hex(), Height: b.Number, Totals: ledger.TotalsOf(&b.Wallet.Totals),
		Exact: len(ledger.Broken(&b.Wallet.Totals)) == 0, Bitcoin: s.Following.Top.Height,
	}
	if !q.Coins {
		return r, nil
	}
	return r, coins(r, l, b.Wallet, q)
}

// heightOf reads a height, unless a block is named otherwise.
func heightOf(text string) (height uint64, ok bool, err error) {
	switch {
	case text == "", text == "head", text == "finalised", len(text) >= 64:
		return 0, false, nil
	}
	height, err = strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, fault.New(fault.Invalid, "block is %q, wanted are head, finalised, a height, or a hash of 64 hex digits", clip(text))
	}
	return height, true, nil
}

// sumsAt are the sums at a height of the head's branch, however long ago.
func (n *Node) sumsAt(l *ledger.Ledger, height uint64) (*rpc.Reserves, error) {
	if height > n.Head().Number {
		return nil, nil
	}
	w, asOf, err := l.WalletAt(height)
	if err != nil {
		return nil, err
	}
	s, err := l.Summary(0)
	if err != nil {
		return nil, err
	}
	return &rpc.Reserves{AsOf: asOf, Block: w.Block, Height: w.Height, Totals: w.Totals, Exact: w.Totals.Exact(), Bitcoin: s.Bitcoin.Height}, nil
}

// blockOf finds the block that is named among those the bridge keeps.
func blockOf(s *bridge.State, text string, height uint64, byHeight bool) (*bridge.Block, error) {
	switch {
	case text == "" || text == "head":
		return s.Block(s.Head.Root), nil
	case text == "finalised":
		return s.Block(s.Finalized.Root), nil
	case byHeight:
		b := s.Block(s.Head.Root)
		for b != nil && b.Number > height {
			b = s.Block(b.Parent)
		}
		if b == nil || b.Number != height {
			return nil, nil
		}
		return b, nil
	}
	root, err := ParseRoot(text)
	if err != nil {
		return nil, err
	}
	return s.Block(root), nil
}

// coins adds a page of a wallet's coins with the proofs that Bitcoin has them.
func coins(r *rpc.Reserves, l *ledger.Ledger, w *bridge.Wallet, q rpc.ReservesQuery) error {
	after, err := outpointOf(q.Cursor)
	if err != nil {
		return err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	r.Coins = []rpc.PegCoin{}
	var txids []chainhash.Hash
	w.Coins(func(c bridge.Coin) bool {
		if after != nil && compareOutPoints(c.OutPoint, *after) <= 0 {
			return true
		}
		if len(r.Coins) == limit {
			last := r.Coins[limit-1]
			r.Cursor = cursorOf(txids[limit-1], last.Output)
			return false
		}
		coin := rpc.PegCoin{Txid: c.OutPoint.Hash.String(), Output: c.OutPoint.Index, Amount: c.Amount, From: "deposit", Height: c.Number, Spendable: c.Spendable()}
		if c.From == bridge.FromPayment {
			coin.From = "payment"
		}
		r.Coins = append(r.Coins, coin)
		txids = append(txids, c.OutPoint.Hash)
		return true
	})
	return prove(r, l, txids)
}

// prove finds the places of the coins' transactions on the Bitcoin chain as it was
// followed.
func prove(r *rpc.Reserves, l *ledger.Ledger, txids []chainhash.Hash) error {
	proofs := map[string]*ledger.Proof{}
	var places []*ledger.Place
	wanted := slices.Compact(slices.Clone(txids))
	if err := l.Places(wanted, func(p *ledger.Place) bool {
		places = append(places, p)
		return true
	}); err != nil {
		return err
	}
	for _, p := range places {
		if hash, ok, err := l.BitcoinAt(p.Height); err != nil {
			return err
		} else if ok && hash == p.Block {
			proofs[p.Txid.String()] = p.Proof()
		}
	}
	for i := range r.Coins {
		r.Coins[i].Proof = proofs[r.Coins[i].Txid]
	}
	return nil
}

func compareOutPoints(a, b wire.OutPoint) int {
	return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
}

// cursorOf names a coin, for the page after it.
func cursorOf(txid chainhash.Hash, output uint32) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(slices.Clone(txid[:]), output))
}

func outpointOf(cursor string) (*wire.OutPoint, error) {
	if cursor == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(cursor)
	if err != nil || len(raw) != chainhash.HashSize+4 {
		return nil, fault.New(fault.Invalid, "%q is no cursor", clip(cursor))
	}
	return &wire.OutPoint{Hash: chainhash.Hash(raw[:chainhash.HashSize]), Index: binary.BigEndian.Uint32(raw[chainhash.HashSize:])}, nil
}
