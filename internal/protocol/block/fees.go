package block

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MinerShare is the miner's part of the fees in percent; the federation shares
// the rest. (consensus.md C6)
const MinerShare = 80

var weiPerGwei = big.NewInt(1_000_000_000)

// Fees returns what the transactions of the payload pay above the base fee, in
// wei: the sum of gas used times min(tip cap, fee cap - base fee). gasUsed is one
// number per transaction, from the receipts, in order; another count is an error,
// since a missing receipt would pair every later one with the wrong transaction.
// A transaction that does not decode or whose fee cap is below the base fee is an
// error too: no valid payload has one. (consensus.md C6, C15)
func (p *Payload) Fees(gasUsed []uint64) (*big.Int, error) {
	if len(gasUsed) != len(p.Transactions) {
		return nil, fault.New(fault.Invalid, "fees of block %d %s: %d receipts for %d transactions; fetch every receipt",
			p.BlockNumber, p.BlockHash, len(gasUsed), len(p.Transactions))
	}
	baseFee := p.BaseFeePerGas
	if baseFee == nil {
		baseFee = new(big.Int)
	}
	sum, share := new(big.Int), new(big.Int)
	for i, raw := range p.Transactions {
		var tx types.Transaction
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, fault.New(fault.Invalid, "fees of block %d %s: transaction %d: %w", p.BlockNumber, p.BlockHash, i, err)
		}
		tip, room := tx.GasTipCap(), new(big.Int).Sub(tx.GasFeeCap(), baseFee)
		if room.Sign() < 0 {
			return nil, fault.New(fault.Invalid, "fees of block %d %s: transaction %d %s: fee cap %s is below the base fee %s",
				p.BlockNumber, p.BlockHash, i, tx.Hash(), tx.GasFeeCap(), baseFee)
		}
		if room.Cmp(tip) < 0 {
			tip = room
		}
		sum.Add(sum, share.Mul(tip, share.SetUint64(gasUsed[i])))
	}
	return sum, nil
}

// SplitFees returns the credits of collected fees in wei: the miner's 80 percent,
// then an equal part of the rest for each federation address, in order, all
// rounded down to gwei; index and validator index are zero. No fees give no
// credits, small ones credits of zero gwei, as legacy does. Remainders vanish. An
// amount above 64 bits of gwei is an error. (consensus.md C6)
func SplitFees(fees *big.Int, miner common.Address, federation []common.Address) ([]Withdrawal, error) {
	if fees == nil || fees.Sign() == 0 {
		return nil, nil
	}
	if fees.Sign() < 0 || len(federation) == 0 {
		return nil, fault.New(fault.Invalid, "fees of %s wei cannot be split among %d federation addresses", fees, len(federation))
	}
	part := new(big.Int).Mul(fees, big.NewInt(MinerShare))
	part.Quo(part, big.NewInt(100))
	each := new(big.Int).Sub(fees, part)
	each.Quo(each, big.NewInt(int64(len(federation))))
	part.Quo(part, weiPerGwei)
	each.Quo(each, weiPerGwei)
	if !part.IsUint64() || !each.IsUint64() {
		return nil, fault.New(fault.Invalid, "fees of %s wei are above what a withdrawal can credit", fees)
	}
	credits := make([]Withdrawal, 0, 1+len(federation))
	credits = append(credits, Withdrawal{Address: miner, Amount: part.Uint64()})
	for _, address := range federation {
		credits = append(credits, Withdrawal{Address: address, Amount: each.Uint64()})
	}
	return credits, nil
}

// CheckWithdrawals checks that the payload credits what it must: the split of
// [SplitFees] (nil for a block without AuxPoW) and the peg-ins' credits, amounts
// in gwei. It is legacy's rule with legacy's peculiarities: of two split entries
// for one address the later counts, peg-ins add to their address, and withdrawals
// beyond the expected ones pass. The error names the first address missing its
// credit, in the order of the arguments. (consensus.md C6; peg.md A5)
func (p *Payload) CheckWithdrawals(split, pegins []Withdrawal) error {
	expected := make(map[common.Address]uint64, len(split)+len(pegins))
	order := make([]common.Address, 0, len(split)+len(pegins))
	for i := range split {
		order = append(order, split[i].Address)
		expected[split[i].Address] = split[i].Amount
	}
	for i := range pegins {
		address := pegins[i].Address
		sum := expected[address] + pegins[i].Amount
		if sum < pegins[i].Amount {
			return fault.New(fault.Invalid, "block %d %s: credits of %s overflow 64 bits of gwei", p.BlockNumber, p.BlockHash, address)
		}
		order = append(order, address)
		expected[address] = sum
	}
	paid := make(map[Withdrawal]bool, len(p.Withdrawals))
	for i := range p.Withdrawals {
		paid[Withdrawal{Address: p.Withdrawals[i].Address, Amount: p.Withdrawals[i].Amount}] = true
	}
	for _, address := range order {
		if !paid[Withdrawal{Address: address, Amount: expected[address]}] {
			return fault.New(fault.Invalid, "block %d %s: UnknownWithdrawal: none of %d withdrawals credits %s with %d gwei; refuse the block",
				p.BlockNumber, p.BlockHash, len(p.Withdrawals), address, expected[address])
		}
	}
	return nil
}
