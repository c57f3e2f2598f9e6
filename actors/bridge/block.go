package bridge

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Block is an executed block: what the peg reads of it and what follows from that.
// It is replaced, never changed.
type Block struct {
	message.PegBlock

	Requests []Request   // that its receipts ask for, ignored ones too, in order; derived
	Payment  *wire.MsgTx // its proposal; nil when it has none or it cannot be read; derived
	Wallet   *Wallet     // after it; derived
}

func (b *Block) id() message.BlockID { return message.BlockID{Root: b.Root, Number: b.Number} }

// touches reports whether a block by itself changes the wallet of its parent.
func (b *Block) touches() bool {
	return len(b.PegIns) > 0 || len(b.Proposal) > 0 || len(b.Requests) > 0 || b.surplus() != 0
}

// surplus is what the payload's withdrawals are beyond the fee shares, in gwei.
// (consensus.md C6)
func (b *Block) surplus() int64 {
	var sum int64
	for i := range b.Withdrawals {
		sum = plusSigned(sum, b.Withdrawals[i].Amount, 1)
	}
	for i := range b.FeeShares {
		sum = plusSigned(sum, b.FeeShares[i].Amount, -1)
	}
	return sum
}

// Request is a peg-out that a log of a block asks for. (peg.md A7)
type Request struct {
	peg.Request
	Root   common.Hash // the block that has it
	Number uint64      // its height
}

// Fields implements record.Record.
func (r *Request) Fields(f *record.Fields) {
	f.Fixed(1, r.Transaction[:])
	f.Uint32(2, &r.Log)
	f.Fixed(3, r.Account[:])
	f.Uint64(4, &r.Amount)
	f.Uint64(5, &r.Dust)
	f.Bytes(6, &r.Script)
	f.String(7, &r.Destination)
	f.String(8, &r.Ignored)
	f.Fixed(9, r.Root[:])
	f.Uint64(10, &r.Number)
}

// ignoredBeyond is why a request is never paid that only a forged log can make: legacy's
// process ends on it too, for want of coins. The sums do not have it.
const ignoredBeyond = "more satoshi than there will be"

// read fills in what follows from a block itself: its payment and its requests. A
// proposal that cannot be read spends and pays nothing.
func (s *State) read(m *message.PegBlock) (*Block, error) {
	b := &Block{PegBlock: *m}
	if len(b.Proposal) > 0 {
		b.Payment, _ = readProposal(b.Proposal)
	}
	if b.Receipts.None() {
		return b, nil
	}
	var receipts message.PegReceipts
	if err := record.Decode(b.Receipts.Data, &receipts, nil); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, fmt.Sprintf("receipts of block %s at %d", b.Root, b.Number))
	}
	logs := make([]peg.RequestLog, len(receipts.Logs))
	for i := range receipts.Logs {
		l := &receipts.Logs[i]
		logs[i] = peg.RequestLog{Transaction: l.Transaction, Index: l.Index, HasTo: l.HasTo, To: l.To, Emitter: l.Emitter, Data: l.Data}
		for _, topic := range l.Topics {
			logs[i].Topics = append(logs[i].Topics, topic.Value)
		}
	}
	// A request of more satoshi than 64 bits hold ends legacy's process; a block with its
	// quorum is followed, and the request is ignored.
	// The rule is that of the block that pays: what nobody burned for never waits at the
	// activation.
	requests, _ := peg.Requests(logs, s.strictPegOuts(b.Number+1), s.rules.spec.Exceptions.MinPegoutSatoshi)
	for _, r := range requests {
		if r.Amount > maxSatoshi {
			r.Amount, r.Ignored = 0, ignoredBeyond
		}
		b.Requests = append(b.Requests, Request{r, b.Root, b.Number})
	}
	return b, nil
}

// readProposal reads an unsigned payment of exactly these bytes. One without inputs looks
// like a transaction with witnesses, so the two are read apart.
func readProposal(raw []byte) (*wire.MsgTx, error) {
	tx, r := new(wire.MsgTx), bytes.NewReader(raw)
	if err := tx.DeserializeNoWitness(r); err != nil {
		return nil, err
	}
	if r.Len() != 0 {
		return nil, fmt.Errorf("%d bytes follow the transaction", r.Len())
	}
	return tx, nil
}

// readTransaction reads a Bitcoin transaction of exactly these bytes, with or without
// witnesses.
func readTransaction(raw []byte) (*wire.MsgTx, error) {
	tx, r := new(wire.MsgTx), bytes.NewReader(raw)
	err := tx.Deserialize(r)
	if err != nil { // one without inputs looks like the marker of witnesses
		tx, r = new(wire.MsgTx), bytes.NewReader(raw)
		err = tx.DeserializeNoWitness(r)
	}
	if err != nil {
		return nil, err
	}
	if r.Len() != 0 {
		return nil, fmt.Errorf("%d bytes follow the transaction", r.Len())
	}
	return tx, nil
}
