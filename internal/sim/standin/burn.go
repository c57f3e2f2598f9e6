package standin

import (
	"bytes"
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// requestPegOut begins the data of a call that burns. (peg.md A1)
var requestPegOut = []byte{0x99, 0x11, 0xdc, 0x74}

// router stands for a contract that calls the bridge for its callers.
var router = common.Address{0x0c}

// Burn is a transaction that has the bridge contract burn so much wei for a payment to a
// Bitcoin address. It pays no tip. Nonces make transactions differ.
func Burn(nonce uint64, wei *big.Int, destination string) []byte {
	return burn(nonce, &peg.BridgeAddress, wei, destination)
}

// RoutedBurn is [Burn] through another contract.
func RoutedBurn(nonce uint64, wei *big.Int, destination string) []byte {
	return burn(nonce, &router, wei, destination)
}

// FakeBurn creates a contract that logs what the bridge would, and burns nothing.
func FakeBurn(nonce uint64, wei *big.Int, destination string) []byte {
	return burn(nonce, nil, wei, destination)
}

// Hash is the hash of a transaction.
func Hash(raw []byte) common.Hash { return crypto.Keccak256Hash(raw) }

func burn(nonce uint64, to *common.Address, wei *big.Int, destination string) []byte {
	tx := types.NewTx(&types.DynamicFeeTx{
		ChainID: big.NewInt(1), Nonce: nonce, GasTipCap: new(big.Int), GasFeeCap: big.NewInt(baseFee),
		Gas: TxGas, To: to, Value: wei, Data: append(bytes.Clone(requestPegOut), destination...),
		V: new(big.Int), R: big.NewInt(1), S: big.NewInt(1),
	})
	data, err := tx.MarshalBinary()
	if err != nil {
		panic(err) // a transaction of this type always encodes
	}
	return data
}

// requests are the logs of transactions, in order.
func requests(txs [][]byte) (logs []message.PegLog) {
	for _, raw := range txs {
		if !bytes.Contains(raw, requestPegOut) {
			continue
		}
		var tx types.Transaction
		if tx.UnmarshalBinary(raw) != nil || !bytes.HasPrefix(tx.Data(), requestPegOut) {
			continue
		}
		hash := tx.Hash()
		l := message.PegLog{Transaction: hash, Index: uint32(len(logs)), Emitter: peg.BridgeAddress}
		if to := tx.To(); to != nil {
			l.HasTo, l.To = true, *to
		} else {
			l.Emitter = common.BytesToAddress(hash[:20])
		}
		caller := common.BytesToHash(hash[12:])
		l.Topics = []message.Topic{{Value: peg.RequestTopic}, {Value: caller}}
		l.Data = requestData(tx.Data()[len(requestPegOut):], tx.Value())
		logs = append(logs, l)
	}
	return logs
}

// requestData is the encoding of (bytes, uint256) by the contract ABI.
func requestData(destination []byte, wei *big.Int) []byte {
	word := func(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 24, 32), n) }
	data := append(word(64), common.BigToHash(wei).Bytes()...)
	data = append(data, word(uint64(len(destination)))...)
	data = append(data, destination...)
	return append(data, make([]byte, (32-len(destination)%32)%32)...)
}

// bloom is the bloom of logs.
func bloom(logs []message.PegLog) (b [256]byte) {
	var filter types.Bloom
	for _, l := range logs {
		filter.Add(l.Emitter[:])
		for _, topic := range l.Topics {
			filter.Add(topic.Value[:])
		}
	}
	return filter
}

// receipts are logs as the execution layer's edge gives them; none without any.
func receipts(logs []message.PegLog) record.Content {
	if len(logs) == 0 {
		return record.Content{}
	}
	data, _ := record.Encode(&message.PegReceipts{Logs: logs})
	return record.NewContent(data)
}
