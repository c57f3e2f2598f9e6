package peg

import (
	"encoding/hex"
	"errors"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// Proof shows that a Bitcoin block has a transaction: hashing the txid with the branch,
// lowest first, on the side that the bits of the index say, gives the Merkle root in the
// header.
type Proof struct {
	Txid   string   `json:"txid" doc:"Bitcoin transaction, display order"`
	Block  string   `json:"block" doc:"Bitcoin block, display order: the double SHA-256 of the header"`
	Height uint64   `json:"height" doc:"its height"`
	Header string   `json:"header" doc:"80 bytes, hex"`
	Index  uint32   `json:"index" doc:"of the transaction in the block"`
	Branch []string `json:"branch" doc:"Merkle branch, lowest first, internal byte order, hex"`
}

// Place is where a transaction of the peg stands in a Bitcoin block, as it was followed.
type Place struct {
	Txid, Block chainhash.Hash
	Height      uint64
	Header      [80]byte
	Index       uint32
	Branch      []chainhash.Hash
	Content     journal.Hash // of the raw transaction, in the journal
}

// Proof returns the text of a place.
func (p *Place) Proof() *Proof {
	out := &Proof{
		Txid: p.Txid.String(), Block: p.Block.String(), Height: p.Height, Header: hex.EncodeToString(p.Header[:]), Index: p.Index, Branch: []string{},
	}
	for _, h := range p.Branch {
		out.Branch = append(out.Branch, hex.EncodeToString(h[:]))
	}
	return out
}

// Places calls yield for every place that was followed of each transaction, in their
// order; a reorganisation of Bitcoin may leave several. It reads one view.
func (l *Ledger) Places(txids []chainhash.Hash, yield func(*Place) bool) error {
	return l.store.View(func(r derived.Reader, _ derived.Position) error {
		for _, txid := range txids {
			low := append([]byte{prefixProof}, txid[:]...)
			var inner error
			going := true
			err := r.Scan(low, after(low), false, func(key, value []byte) bool {
				var p proof
				if inner = decode(key, value, &p); inner != nil || len(key) != len(low)+chainhash.HashSize {
					return false
				}
				going = yield(p.place(txid, chainhash.Hash(key[len(low):])))
				return going
			})
			if err := errors.Join(err, inner); err != nil || !going {
				return err
			}
		}
		return nil
	})
}

func (p *proof) place(txid, block chainhash.Hash) *Place {
	out := &Place{Txid: txid, Block: block, Height: p.Height, Header: p.Header, Index: p.Index, Content: journal.Hash(p.Raw.Hash)}
	for i := range p.Branch {
		out.Branch = append(out.Branch, p.Branch[i].Value)
	}
	return out
}

// BitcoinAt returns the hash of the Bitcoin block at a height of the chain that was
// followed, if it is kept: the newest ones, and those with a transaction of the peg.
func (l *Ledger) BitcoinAt(height uint64) (hash chainhash.Hash, ok bool, err error) {
	err = l.store.View(func(r derived.Reader, _ derived.Position) error {
		var h header
		ok, err = read(r, keyNumber(prefixHeader, height), &h)
		hash = h.Hash
		return err
	})
	return hash, ok, err
}
