package block

import (
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// The structures below are legacy's JSON form. Their members stand in
// alphabetical order, because legacy's answers do. (rpc.md)

type signedJSON struct {
	Message   blockJSON     `json:"message"`
	Signature approvalsJSON `json:"signature"`
}

type approvalsJSON struct {
	Signature string `json:"aggregate_signature"`
	Bits      string `json:"aggregation_bits"`
}

type blockJSON struct {
	AuxPowHeader     *headerJSON `json:"auxpow_header"`
	Payload          payloadJSON `json:"execution_payload"`
	FinalizedPegouts []*txJSON   `json:"finalized_pegouts"`
	ParentHash       string      `json:"parent_hash"`
	Pegins           [][2]string `json:"pegins"`
	PegoutProposal   *txJSON     `json:"pegout_payment_proposal"`
	Slot             uint64      `json:"slot"`
}

type headerJSON struct {
	AuxPow       *auxPowJSON `json:"auxpow"`
	Bits         uint32      `json:"bits"`
	ChainID      uint32      `json:"chain_id"`
	FeeRecipient string      `json:"fee_recipient"`
	Height       uint64      `json:"height"`
	RangeEnd     string      `json:"range_end"`
	RangeStart   string      `json:"range_start"`
}

type auxPowJSON struct {
	BlockHash        string     `json:"block_hash"`
	BlockchainBranch branchJSON `json:"blockchain_branch"`
	CoinbaseBranch   branchJSON `json:"coinbase_branch"`
	Coinbase         *txJSON    `json:"coinbase_txn"`
	ParentBlock      parentJSON `json:"parent_block"`
}

type branchJSON struct {
	Hashes   []string `json:"branch_hash"`
	SideMask uint32   `json:"branch_side_mask"`
}

type parentJSON struct {
	Bits       uint32 `json:"bits"`
	MerkleRoot string `json:"merkle_root"`
	Nonce      uint32 `json:"nonce"`
	PrevBlock  string `json:"prev_blockhash"`
	Time       uint32 `json:"time"`
	Version    int32  `json:"version"`
}

type txJSON struct {
	Input    []inputJSON  `json:"input"`
	LockTime uint32       `json:"lock_time"`
	Output   []outputJSON `json:"output"`
	Version  int32        `json:"version"`
}

type inputJSON struct {
	PreviousOutput string   `json:"previous_output"`
	ScriptSig      string   `json:"script_sig"`
	Sequence       uint32   `json:"sequence"`
	Witness        []string `json:"witness"`
}

type outputJSON struct {
	PkScript string `json:"script_pubkey"`
	Value    uint64 `json:"value"`
}

type payloadJSON struct {
	BaseFeePerGas string           `json:"base_fee_per_gas"`
	BlockHash     string           `json:"block_hash"`
	BlockNumber   string           `json:"block_number"`
	ExtraData     string           `json:"extra_data"`
	FeeRecipient  string           `json:"fee_recipient"`
	GasLimit      string           `json:"gas_limit"`
	GasUsed       string           `json:"gas_used"`
	LogsBloom     string           `json:"logs_bloom"`
	ParentHash    string           `json:"parent_hash"`
	PrevRandao    string           `json:"prev_randao"`
	ReceiptsRoot  string           `json:"receipts_root"`
	StateRoot     string           `json:"state_root"`
	Timestamp     string           `json:"timestamp"`
	Transactions  []string         `json:"transactions"`
	Withdrawals   []withdrawalJSON `json:"withdrawals"`
}

type withdrawalJSON struct {
	Address        string `json:"address"`
	Amount         string `json:"amount"`
	Index          string `json:"index"`
	ValidatorIndex string `json:"validator_index"`
}

// MarshalJSON returns the form of legacy's RPC answers: members in alphabetical
// order, sidechain hashes and bytes as 0x hex, payload integers as decimal text,
// Bitcoin hashes in display order. (rpc.md)
func (s Signed) MarshalJSON() ([]byte, error) {
	return json.Marshal(signedJSON{
		Message: s.Block.json(),
		Signature: approvalsJSON{
			Signature: hex0x(s.Approvals.Signature[:]),
			Bits:      hex0x(s.Approvals.Bits[:]),
		},
	})
}

// MarshalJSON returns the form of legacy's getqueuedpow answer. (rpc.md)
func (h AuxPowHeader) MarshalJSON() ([]byte, error) { return json.Marshal(h.json()) }

func (b *Block) json() blockJSON {
	j := blockJSON{
		ParentHash: hex0x(b.ParentHash[:]),
		Slot:       b.Slot,
		Payload:    b.Payload.json(),
		Pegins:     make([][2]string, len(b.Pegins)),
	}
	if b.AuxPowHeader != nil {
		j.AuxPowHeader = b.AuxPowHeader.json()
	}
	for i := range b.Pegins {
		j.Pegins[i] = [2]string{b.Pegins[i].Txid.String(), b.Pegins[i].BlockHash.String()}
	}
	if b.PegoutProposal != nil {
		j.PegoutProposal = newTxJSON(b.PegoutProposal)
	}
	j.FinalizedPegouts = make([]*txJSON, len(b.FinalizedPegouts))
	for i, tx := range b.FinalizedPegouts {
		j.FinalizedPegouts[i] = newTxJSON(tx)
	}
	return j
}

func (h *AuxPowHeader) json() *headerJSON {
	j := &headerJSON{
		Bits:         h.Bits,
		ChainID:      h.ChainID,
		FeeRecipient: hex0x(h.FeeRecipient[:]),
		Height:       h.Height,
		RangeEnd:     hex0x(h.RangeEnd[:]),
		RangeStart:   hex0x(h.RangeStart[:]),
	}
	if a := h.AuxPow; a != nil {
		p := &a.ParentBlock
		j.AuxPow = &auxPowJSON{
			BlockHash:        a.BlockHash.String(),
			BlockchainBranch: newBranchJSON(&a.BlockchainBranch),
			CoinbaseBranch:   newBranchJSON(&a.CoinbaseBranch),
			Coinbase:         newTxJSON(a.Coinbase),
			ParentBlock: parentJSON{
				Bits: p.Bits, MerkleRoot: p.MerkleRoot.String(), Nonce: p.Nonce,
				PrevBlock: p.PrevBlock.String(), Time: uint32(p.Timestamp.Unix()), Version: p.Version,
			},
		}
	}
	return j
}

func newBranchJSON(b *auxpow.Branch) branchJSON {
	j := branchJSON{Hashes: make([]string, len(b.Hashes)), SideMask: b.SideMask}
	for i := range b.Hashes {
		j.Hashes[i] = b.Hashes[i].String()
	}
	return j
}

func newTxJSON(tx *wire.MsgTx) *txJSON {
	j := &txJSON{
		Input:    make([]inputJSON, len(tx.TxIn)),
		LockTime: tx.LockTime,
		Output:   make([]outputJSON, len(tx.TxOut)),
		Version:  tx.Version,
	}
	for i, in := range tx.TxIn {
		witness := make([]string, len(in.Witness))
		for k, item := range in.Witness {
			witness[k] = hex.EncodeToString(item)
		}
		j.Input[i] = inputJSON{
			PreviousOutput: in.PreviousOutPoint.String(),
			ScriptSig:      hex.EncodeToString(in.SignatureScript),
			Sequence:       in.Sequence,
			Witness:        witness,
		}
	}
	for i, out := range tx.TxOut {
		j.Output[i] = outputJSON{PkScript: hex.EncodeToString(out.PkScript), Value: uint64(out.Value)}
	}
	return j
}

func (p *Payload) json() payloadJSON {
	j := payloadJSON{
		BaseFeePerGas: "0",
		BlockHash:     hex0x(p.BlockHash[:]),
		BlockNumber:   decimal(p.BlockNumber),
		ExtraData:     hex0x(p.ExtraData),
		FeeRecipient:  hex0x(p.FeeRecipient[:]),
		GasLimit:      decimal(p.GasLimit),
		GasUsed:       decimal(p.GasUsed),
		LogsBloom:     hex0x(p.LogsBloom[:]),
		ParentHash:    hex0x(p.ParentHash[:]),
		PrevRandao:    hex0x(p.PrevRandao[:]),
		ReceiptsRoot:  hex0x(p.ReceiptsRoot[:]),
		StateRoot:     hex0x(p.StateRoot[:]),
		Timestamp:     decimal(p.Timestamp),
		Transactions:  make([]string, len(p.Transactions)),
		Withdrawals:   make([]withdrawalJSON, len(p.Withdrawals)),
	}
	if p.BaseFeePerGas != nil {
		j.BaseFeePerGas = p.BaseFeePerGas.String()
	}
	for i, tx := range p.Transactions {
		j.Transactions[i] = hex0x(tx)
	}
	for i := range p.Withdrawals {
		w := &p.Withdrawals[i]
		j.Withdrawals[i] = withdrawalJSON{
			Address: hex0x(w.Address[:]), Amount: decimal(w.Amount),
			Index: decimal(w.Index), ValidatorIndex: decimal(w.ValidatorIndex),
		}
	}
	return j
}

func hex0x(b []byte) string { return "0x" + hex.EncodeToString(b) }

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }
