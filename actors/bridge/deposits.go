package bridge

import (
	"bytes"
	"cmp"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// minPegIn is below what this member puts into a block, in satoshi: such an output
// costs more to spend than it holds, and Bitcoin does not relay it. Blocks of others
// may mint less. (peg.md A1)
const minPegIn = 330

// Deposit is a Bitcoin transaction that pays the federation, from its first block until
// it is minted below the blocks that are kept. One that credits nobody stays: a
// payment may spend it. It is replaced, never changed.
type Deposit struct {
	Txid   chainhash.Hash
	Raw    record.Content // with witnesses
	Block  chainhash.Hash // of Bitcoin, the last that had it
	Height uint64         // of Block; zero when it was fetched without being told
	Index  uint32         // in Block
	Branch []message.SigHash
	// Followed: Block is on the Bitcoin chain as it was followed.
	Followed bool

	State  uint8 // one of the PegIn constants
	Reason string
	Root   common.Hash // the block that mints it, or proposes to
	Number uint64

	tx *wire.MsgTx // derived
}

// Fields implements record.Record.
func (d *Deposit) Fields(f *record.Fields) {
	f.Fixed(1, d.Txid[:])
	f.Content(2, &d.Raw)
	f.Fixed(3, d.Block[:])
	f.Uint64(4, &d.Height)
	f.Uint32(5, &d.Index)
	record.List(f, 6, &d.Branch)
	f.Bool(7, &d.Followed)
	f.Uint8(8, &d.State)
	f.String(9, &d.Reason)
	f.Fixed(10, d.Root[:])
	f.Uint64(11, &d.Number)
}

// place is a deposit in a followed Bitcoin block.
type place struct {
	height uint64
	txid   chainhash.Hash
}

func comparePlaces(a, b place) bool {
	return cmp.Or(cmp.Compare(a.height, b.height), bytes.Compare(a.txid[:], b.txid[:])) < 0
}

// putDeposit stores a deposit, or replaces the one with its txid.
func (s *State) putDeposit(d *Deposit) {
	if old, had := s.deposits.Set(d); had && old.Followed {
		s.placed.Delete(place{old.Height, old.Txid})
	}
	if d.Followed {
		s.placed.Set(place{d.Height, d.Txid})
	}
}

func (s *State) dropDeposit(d *Deposit) {
	s.deposits.Delete(d)
	s.placed.Delete(place{d.Height, d.Txid})
}

// owns reports whether an output pays the federation by the rule in force at a height.
func (s *State) owns(script []byte, number uint64) bool {
	f := s.rules.federation
	if s.strictPegIns(number) {
		return bytes.Equal(script, f.ScriptPubKey)
	}
	return f.Owns(script)
}

// credit is what a transaction credits by the rule in force at a height. (peg.md A3)
func (s *State) credit(tx *wire.MsgTx, number uint64) (peg.PegIn, bool) {
	if s.strictPegIns(number) {
		return s.rules.federation.StrictPegIn(tx)
	}
	return s.rules.federation.PegIn(tx)
}
