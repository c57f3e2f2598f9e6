package bitcoin

import (
	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// deposits is the federation of secret keys 1 to n.
func deposits(n int) *peg.Federation {
	keys := make([][33]byte, n)
	for i := range keys {
		secret, _ := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
		copy(keys[i][:], secret.PubKey().SerializeCompressed())
	}
	f, err := peg.NewFederation(keys)
	if err != nil {
		panic(err)
	}
	return f
}
