package standin

import (
	"context"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Spec is the chain specification of a network of members with the keys of
// [Key], on the target of a development chain, without retargeting.
func Spec(members int) *spec.Chain {
	c := spec.Dev()
	c.Authorities = nil
	for i := range members {
		c.Authorities = append(c.Authorities, Key(i))
	}
	return c
}

// Plan says what block to make.
type Plan struct {
	Parent       *block.Signed
	Timestamp    uint64 // Unix seconds; 0: one second after the parent
	Slot         uint64 // 0: the slot of the timestamp
	By           []int  // members who sign
	Extra        string // [BadExtra] makes the payload invalid
	Transactions [][]byte
	Withdrawals  []block.Withdrawal
	Header       *block.AuxPowHeader // nil for a block without proof of work
	Change       func(*block.Block)  // spoils the block before it is signed; may be nil
}

// Make returns the block of a plan. Unless the plan spoils it, the layer
// accepts it wherever it accepts the parent.
func Make(c *spec.Chain, p Plan) *block.Signed {
	parent := &p.Parent.Block
	if p.Timestamp == 0 {
		p.Timestamp = parent.Payload.Timestamp + 1
	}
	if p.Slot == 0 {
		p.Slot = aura.SlotAt(p.Timestamp*1000, c.SlotDuration)
	}
	s := &block.Signed{Block: block.Block{
		ParentHash: parent.Root(), Slot: p.Slot, AuxPowHeader: p.Header,
		Payload: *Child(&parent.Payload, p.Timestamp, p.Extra, p.Withdrawals, p.Transactions),
	}}
	if p.Change != nil {
		p.Change(&s.Block)
	}
	s.Approvals = Approvals(s.Block.Root(), p.By...)
	return s
}

// Header proves work over a range of roots, oldest first.
func Header(c *spec.Chain, roots []common.Hash, bits uint32, height uint64, recipient common.Address) (*block.AuxPowHeader, error) {
	proof, err := Solve(auxpow.Commitment(roots), c.ChainID, bits)
	if err != nil {
		return nil, err
	}
	return &block.AuxPowHeader{
		RangeStart: roots[0], RangeEnd: roots[len(roots)-1], Bits: bits, ChainID: c.ChainID, Height: height,
		AuxPow: proof, FeeRecipient: recipient,
	}, nil
}

// solvedAt is the time in the parent block of every proof.
var solvedAt = time.Unix(1_700_000_000, 0)

// Solve is a proof for a commitment, the same one each time.
func Solve(commitment chainhash.Hash, chainID, bits uint32) (*auxpow.AuxPow, error) {
	return mergeminer.Solve(context.Background(), commitment, chainID, bits, solvedAt)
}

// Transfer is a transaction with a tip of so many gwei; it pays TxGas times that.
func Transfer(nonce uint64, tipGwei int64) []byte {
	tip := new(big.Int).Mul(big.NewInt(tipGwei), big.NewInt(1_000_000_000))
	tx := types.NewTx(&types.DynamicFeeTx{
		ChainID: big.NewInt(1), Nonce: nonce, GasTipCap: tip, GasFeeCap: new(big.Int).Add(tip, big.NewInt(baseFee)),
		Gas: TxGas, To: &common.Address{1}, V: new(big.Int), R: big.NewInt(1), S: big.NewInt(1),
	})
	data, err := tx.MarshalBinary()
	if err != nil {
		panic(err) // a transaction of this type always encodes
	}
	return data
}
