package auxpow

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/msgpack"
)

// MaxSize bounds the encoded proof that [Decode] and [ParseNamecoin] look at, in
// bytes. A Bitcoin transaction cannot be larger than a block of 4 MB; MessagePack
// spends up to two bytes on one of a witness.
const MaxSize = 9 << 20

// Encode returns the MessagePack form, as it stands in an aux-PoW header.
// (wire.md 9.4, A)
func (a *AuxPow) Encode() []byte { return a.AppendTo(nil) }

// AppendTo appends the MessagePack form to dst.
func (a *AuxPow) AppendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 5)
	dst = msgpack.AppendTx(dst, a.Coinbase)
	dst = msgpack.AppendBin(dst, a.BlockHash[:])
	dst = a.CoinbaseBranch.appendTo(dst)
	dst = a.BlockchainBranch.appendTo(dst)
	return msgpack.AppendHeader(dst, &a.ParentBlock)
}

func (b *Branch) appendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 2)
	dst = msgpack.AppendArray(dst, len(b.Hashes))
	for i := range b.Hashes {
		dst = msgpack.AppendBin(dst, b.Hashes[i][:])
	}
	return msgpack.AppendUint(dst, uint64(b.SideMask))
}

// Decode reads the MessagePack form. Other spellings of the same values and
// trailing bytes are refused. Errors are graded Invalid.
func Decode(data []byte) (*AuxPow, error) {
	r := msgpack.NewReader(data, MaxSize)
	a := Read(r)
	if err := r.End("auxpow"); err != nil {
		return nil, err
	}
	return a, nil
}

// Read reads the MessagePack form from the middle of a larger value. A failure
// stays in r; the result is then incomplete.
func Read(r *msgpack.Reader) *AuxPow {
	a := new(AuxPow)
	r.Array(5, "auxpow")
	a.Coinbase = r.Tx()
	r.Bin(a.BlockHash[:], "auxpow: block hash")
	a.CoinbaseBranch.read(r)
	a.BlockchainBranch.read(r)
	r.Header(&a.ParentBlock)
	return a
}

func (b *Branch) read(r *msgpack.Reader) {
	r.Array(2, "branch")
	n := r.List(2+chainhash.HashSize, "branch: hashes")
	if n > 0 {
		b.Hashes = make([]chainhash.Hash, n)
	}
	for i := range b.Hashes {
		r.Bin(b.Hashes[i][:], "branch: hash")
		if r.Err() != nil {
			return
		}
	}
	b.SideMask = r.Uint32("branch: side mask")
}
