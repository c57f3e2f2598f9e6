package bridge

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Payment is a Bitcoin transaction that an executed block proposes, for as long as it
// matters: until it is final and as deep in Bitcoin as asked for. It is replaced,
// never changed.
type Payment struct {
	Txid     chainhash.Hash
	Raw      []byte      // unsigned, in Bitcoin's serialization
	Root     common.Hash // the block that proposes it, on the head's branch if one there does
	Number   uint64      // its height
	Prevouts []Prevout   // what its inputs spend, in their order
}

// Fields implements record.Record.
func (p *Payment) Fields(f *record.Fields) {
	f.Fixed(1, p.Txid[:])
	f.Bytes(2, &p.Raw)
	f.Fixed(3, p.Root[:])
	f.Uint64(4, &p.Number)
	record.List(f, 5, &p.Prevouts)
}

// Prevout is an output that an input spends.
type Prevout struct {
	Amount uint64
	Script []byte
}

// Fields implements record.Record.
func (p *Prevout) Fields(f *record.Fields) {
	f.Uint64(1, &p.Amount)
	f.Bytes(2, &p.Script)
}
