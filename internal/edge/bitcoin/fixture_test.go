package bitcoin

import (
	"bytes"
	"io"
	"net/http"

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

// roundTrip answers requests without a connection.
type roundTrip func() (status int, body []byte)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f()
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(body)), Request: r, Header: http.Header{}}, nil
}
