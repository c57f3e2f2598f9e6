package standin

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
)

// pegKey is a member's federation key.
func pegKey(member int) *btcec.PrivateKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("federation key"), uint64(member)))
	key, _ := btcec.PrivKeyFromBytes(seed[:])
	return key
}

// PegKeys are the federation keys of so many members, compressed.
func PegKeys(members int) (keys [][33]byte) {
	for i := range members {
		keys = append(keys, [33]byte(pegKey(i).PubKey().SerializeCompressed()))
	}
	return keys
}

// PegSign is a member's BIP 340 signature, the same one each time.
func PegSign(member int, hash [32]byte) [64]byte {
	signature, err := schnorr.Sign(pegKey(member), hash[:])
	if err != nil {
		panic(err) // the key is good
	}
	return [64]byte(signature.Serialize())
}
