package eventjson

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"Root": "root", "ChainSpec": "chain_spec", "BuildWaitMs": "build_wait_ms", "ChainID": "chain_id", "AuxPow": "aux_pow", "HTTPAddr": "http_addr", "": "",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A payload is JSON whatever is in it, and holds every byte unless it is clipped.
func TestPayloadIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data")
		m := &message.BlockRefused{
			Root: common.BytesToHash(data), Number: rapid.Uint64().Draw(t, "number"),
			Reason: rapid.String().Draw(t, "reason"), Field: string(data),
		}
		for _, v := range []any{m, &message.Block{Signed: record.NewContent(data), Fees: data}, []any{nil, m}, (*message.BlockID)(nil)} {
			for _, limit := range []int{0, 32} {
				if raw := Payload(v, limit); !json.Valid(raw) {
					t.Fatalf("no JSON: %s", raw)
				}
			}
		}
		var back struct{ Fees string }
		if err := json.Unmarshal(Payload(&message.Block{Fees: data}, 0), &back); err != nil || !bytes.Equal(common.FromHex(back.Fees), data) {
			t.Fatalf("%x came back as %s: %v", data, back.Fees, err)
		}
	})
}
