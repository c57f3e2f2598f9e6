package block

import (
	"math/big"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// Block is a consensus block without its approvals: what the signing root is
// computed over. (consensus.md C2; wire.md 9.4, M)
type Block struct {
	ParentHash       common.Hash   // root of the parent block; zero for genesis
	Slot             uint64        // Aura slot (C4)
	AuxPowHeader     *AuxPowHeader // present in a carrier, the block that finalises a range
	Payload          Payload       // the execution payload (Capella)
	Pegins           []Pegin
	PegoutProposal   *wire.MsgTx // nil when the block proposes no payment
	FinalizedPegouts []*wire.MsgTx
}

// Pegin names a Bitcoin deposit by transaction and containing block, both in
// internal byte order.
type Pegin struct {
	Txid      chainhash.Hash
	BlockHash chainhash.Hash
}

// AuxPowHeader finalises the blocks RangeStart..RangeEnd (both inclusive) by
// merge-mined work. AuxPow is nil in genesis only. (consensus.md C2, C8)
type AuxPowHeader struct {
	RangeStart   common.Hash
	RangeEnd     common.Hash
	Bits         uint32
	ChainID      uint32
	Height       uint64
	AuxPow       *auxpow.AuxPow
	FeeRecipient common.Address
}

// Payload is an execution payload of the Capella fork. BaseFeePerGas is never
// nil after decoding and fits in 256 bits. (consensus.md C2)
type Payload struct {
	ParentHash    common.Hash
	FeeRecipient  common.Address
	StateRoot     common.Hash
	ReceiptsRoot  common.Hash
	LogsBloom     [256]byte
	PrevRandao    common.Hash
	BlockNumber   uint64
	GasLimit      uint64
	GasUsed       uint64
	Timestamp     uint64 // Unix seconds
	ExtraData     []byte
	BaseFeePerGas *big.Int // wei
	BlockHash     common.Hash
	Transactions  [][]byte // EIP-2718 encodings
	Withdrawals   []Withdrawal
}

// Withdrawal is a credit by the consensus layer; Amount is in gwei.
type Withdrawal struct {
	Index          uint64
	ValidatorIndex uint64
	Address        common.Address
	Amount         uint64
}

// Signed is a block with its approvals, the form that is stored and gossiped.
type Signed struct {
	Block     Block
	Approvals aura.Approvals
}
