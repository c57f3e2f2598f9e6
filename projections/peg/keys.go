package peg

import (
	"bytes"
	"encoding/binary"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
)

// Kind says what an entry of the ledger is.
type Kind uint8

// The kinds of entries.
const (
	Deposits Kind = iota + 1
	Requests
	Payments
)

// Prefixes of keys.
const (
	prefixID      = 'e' // kind id -> moment of the first fact
	prefixEntry   = 'a' // kind moment -> entry
	prefixHistory = 'h' // kind moment sequence output -> change
	prefixState   = 's' // kind state moment -> nothing
	prefixAccount = 'c' // account kind moment -> nothing
	prefixPays    = 'y' // payment output request -> nothing
	prefixWallet  = 'w' // sequence output -> wallet
	prefixHeight  = 'W' // height -> sequence output of the wallet there on the head's branch
	prefixTip     = 't' // sequence output -> tip
	prefixHeader  = 'b' // Bitcoin height -> header
	prefixProof   = 'x' // txid Bitcoin block -> proof
	prefixAlarm   = 'z' // sequence output -> the fact PegAlarm
)

var (
	keyChain = []byte("g")
	keyCount = []byte("n") // -> entries and amount of each kind and state
)

// idSize is the length of the id of a kind.
func idSize(k Kind) int {
	if k == Requests {
		return common.HashLength + 4
	}
	return chainhash.HashSize
}

func requestID(transaction common.Hash, log uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{}, transaction[:]...), log)
}

func (m moment) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, m.Time)
	return m.appendPlace(b)
}

// appendPlace appends where in the journal, without the time.
func (m moment) appendPlace(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, m.Sequence)
	return binary.BigEndian.AppendUint32(b, m.Output)
}

const (
	placeSize  = 8 + 4
	momentSize = 8 + placeSize
)

// parseMoment reads what append wrote.
func parseMoment(b []byte) (m moment, ok bool) {
	if len(b) != momentSize {
		return m, false
	}
	return moment{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])}, true
}

func keyID(k Kind, id []byte) []byte { return append([]byte{prefixID, byte(k)}, id...) }

// keyEntry has entries in the order of their first facts, so that a page of a list is
// one short range, and what changes lies together.
func keyEntry(k Kind, first moment) []byte { return first.append([]byte{prefixEntry, byte(k)}) }

func keyHistory(k Kind, first, m moment) []byte {
	return m.appendPlace(first.append([]byte{prefixHistory, byte(k)}))
}

func keyState(k Kind, state uint8, m moment) []byte {
	return m.append([]byte{prefixState, byte(k), state})
}

func keyAccount(a common.Address, k Kind, m moment) []byte {
	return m.append(append(append([]byte{prefixAccount}, a[:]...), byte(k)))
}

func keyPays(payment chainhash.Hash, output uint32, request []byte) []byte {
	b := binary.BigEndian.AppendUint32(append([]byte{prefixPays}, payment[:]...), output)
	return append(b, request...)
}

func keyPlace(prefix byte, m moment) []byte { return m.appendPlace([]byte{prefix}) }

func keyNumber(prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, n)
}

func keyProof(txid, block chainhash.Hash) []byte {
	return append(append([]byte{prefixProof}, txid[:]...), block[:]...)
}

// after is the first key that does not begin with a prefix.
func after(prefix []byte) []byte {
	end := bytes.TrimRight(bytes.Clone(prefix), "\xff")
	if len(end) == 0 {
		return []byte{0xff, 0xff}
	}
	end[len(end)-1]++
	return end
}
