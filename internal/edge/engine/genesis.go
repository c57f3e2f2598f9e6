package engine

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// BridgeAddress is where the bridge contract is predeployed: users call it to
// burn coins for a peg-out. (consensus.md C3)
var BridgeAddress = common.HexToAddress("0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB")

// DeadAddress is the fee recipient of every payload this node builds, so that
// tips are burnt and re-minted by an AuxPoW block. (consensus.md C6, C15)
var DeadAddress = common.HexToAddress("0x000000000000000000000000000000000000dEaD")

// TargetGasLimit is the block gas limit payloads are built for, that of the
// legacy genesis.
const TargetGasLimit = 30_000_000

// maxGenesisSize bounds a genesis file; the shipped ones have two kilobytes.
const maxGenesisSize = 64 << 20

// bridgeCode is the runtime code of the legacy genesis' bridge contract, hex.
//
//go:embed bridge.hex
var bridgeCode string

// ParseGenesis reads a genesis.json as go-ethereum and reth take it. Members
// this node has no use for (mergeForkBlock, terminalTotalDifficultyPassed) are
// ignored; a missing baseFee means 1 gwei. A missing terminal total difficulty
// means zero.
//
// The chain must be Capella from block 0 and schedule nothing later; an error
// is Invalid. (consensus.md C3)
func ParseGenesis(data []byte) (*core.Genesis, error) {
	if len(data) > maxGenesisSize {
		return nil, fault.New(fault.Invalid, "genesis file of %d bytes is larger than %d", len(data), maxGenesisSize)
	}
	genesis := new(core.Genesis)
	if err := json.Unmarshal(data, genesis); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "genesis file is not a geth genesis.json")
	}
	if genesis.Config == nil {
		return nil, fault.New(fault.Invalid, "genesis file has no config member")
	}
	if genesis.Config.TerminalTotalDifficulty == nil {
		genesis.Config.TerminalTotalDifficulty = new(big.Int)
	}
	if err := checkGenesis(genesis); err != nil {
		return nil, err
	}
	return genesis, nil
}

// checkGenesis refuses what would make go-ethereum panic or run other rules
// than those of the sidechain.
func checkGenesis(genesis *core.Genesis) error {
	if genesis == nil || genesis.Config == nil {
		return fault.New(fault.Invalid, "genesis or its config is missing")
	}
	config := genesis.Config
	invalid := func(what string) error {
		return fault.New(fault.Invalid, "genesis of chain %v: %s", config.ChainID, what)
	}
	switch {
	case config.ChainID == nil || config.ChainID.Sign() <= 0 || !config.ChainID.IsUint64():
		return invalid("chainId must be between 1 and 2^64-1")
	case config.TerminalTotalDifficulty == nil || config.TerminalTotalDifficulty.Sign() != 0:
		return invalid("terminalTotalDifficulty must be 0")
	case config.Clique != nil || config.EnableUBTAtGenesis:
		return invalid("clique and binary tries are not supported")
	case genesis.Number != 0 || genesis.ParentHash != (common.Hash{}):
		return invalid("block must have number 0 and no parent")
	case genesis.GasUsed != 0 || genesis.ExcessBlobGas != nil || genesis.BlobGasUsed != nil || genesis.SlotNumber != nil:
		return invalid("gas used, blob gas and slot number must be absent")
	case len(genesis.ExtraData) > int(params.MaximumExtraDataSize):
		return invalid("extraData is longer than 32 bytes")
	case !fits256(genesis.Difficulty) || !fits256(genesis.BaseFee):
		return invalid("difficulty and baseFee must be within 256 bits")
	case !config.IsLondon(common.Big0) || !config.IsShanghai(common.Big0, genesis.Timestamp):
		return invalid("every fork up to Shanghai must be active in block 0")
	case config.CancunTime != nil || config.PragueTime != nil || config.OsakaTime != nil ||
		config.BPO1Time != nil || config.BPO2Time != nil || config.BPO3Time != nil || config.BPO4Time != nil ||
		config.BPO5Time != nil || config.AmsterdamTime != nil || config.BogotaTime != nil || config.UBTTime != nil:
		return invalid("forks later than Shanghai are not part of the sidechain")
	}
	for address, account := range genesis.Alloc {
		if !fits256(account.Balance) {
			return invalid("balance of " + address.Hex() + " must be within 256 bits")
		}
	}
	if err := config.CheckConfigForkOrder(); err != nil {
		return fault.Wrap(fault.Invalid, err, "genesis config")
	}
	return nil
}

// fits256 reports whether n is absent or an unsigned 256-bit number.
func fits256(n *big.Int) bool {
	return n == nil || n.Sign() >= 0 && n.BitLen() <= 256
}

// DevGenesis returns the genesis of a development chain: the block of the
// legacy development network, with the bridge contract and two accounts of
// 10^24 wei whose keys are the first two of the well-known test mnemonic
// ("test test ... junk"). The block hash does not depend on chainID.
func DevGenesis(chainID uint64) *core.Genesis {
	zero := func() *big.Int { return new(big.Int) }
	shanghai := uint64(0)
	balance, _ := new(big.Int).SetString("d3c21bcecceda1000000", 16)
	code, _ := hex.DecodeString(strings.TrimSpace(bridgeCode))
	return &core.Genesis{
		Config: &params.ChainConfig{
			ChainID:        new(big.Int).SetUint64(chainID),
			HomesteadBlock: zero(), EIP150Block: zero(), EIP155Block: zero(), EIP158Block: zero(),
			ByzantiumBlock: zero(), ConstantinopleBlock: zero(), PetersburgBlock: zero(), IstanbulBlock: zero(),
			MuirGlacierBlock: zero(), BerlinBlock: zero(), LondonBlock: zero(), MergeNetsplitBlock: zero(),
			ShanghaiTime:            &shanghai,
			TerminalTotalDifficulty: zero(),
		},
		Nonce:      0x44144,
		Timestamp:  0x63a1e047,
		ExtraData:  common.FromHex("0x887b30d1e617484474521f31a37376760299fa7f15eb4214fce4157744b896c2"),
		GasLimit:   TargetGasLimit,
		Difficulty: big.NewInt(0x20000),
		Alloc: types.GenesisAlloc{
			BridgeAddress: {Code: code, Balance: zero()},
			common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"): {Balance: new(big.Int).Set(balance)},
			common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"): {Balance: new(big.Int).Set(balance)},
		},
	}
}
