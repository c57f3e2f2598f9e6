package bridge

import (
	"bytes"
	"encoding/binary"
	"maps"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// FuzzLoad loads entries of any bytes into a state, then walks and copies it: errors are
// graded, nothing panics, and what loads walks to the same entries.
func FuzzLoad(f *testing.F) {
	held := map[[32]byte][]byte{}
	seed := func(script func(g *ground)) {
		g := newGround(&fuzzing{f}, nil)
		script(g)
		maps.Copy(held, g.held)
		f.Add(packed(g.state))
	}
	seed(func(*ground) {})
	seed(func(g *ground) {
		tx := g.btc.deposit([20]byte{1}, "raw", 0x51, 50_000_000)
		g.btc.mine("b", 0, tx)
		for g.bitcoin(5) {
		}
		b := g.block("b", "genesis", nil)
		b.PegIns = []message.DepositID{{Txid: tx.TxHash()}}
		g.follow("b", "", b)
	})
	resolve := func(hash [32]byte) ([]byte, error) {
		if data, ok := held[hash]; ok {
			return data, nil
		}
		return nil, fault.New(fault.Corrupt, "no content %x", hash)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newState()
		for len(data) >= 4 {
			key, value, rest := cut(data)
			if err := s.Load(key, value, resolve); err != nil {
				if fault.Of(err) == fault.Fatal {
					t.Fatalf("an error without a grade: %v", err)
				}
				return
			}
			data = rest
		}
		_ = s.Clone().Walk(func(key, value []byte) error { return nil })
	})
}

type fuzzing struct{ *testing.F }

// packed is the entries of a state in one string: two lengths before each.
func packed(s *State) (data []byte) {
	_ = s.Walk(func(key, value []byte) error {
		data = binary.BigEndian.AppendUint16(data, uint16(len(key)))
		data = binary.BigEndian.AppendUint16(data, uint16(len(value)))
		data = append(append(data, key...), value...)
		return nil
	})
	return data
}

func cut(data []byte) (key, value, rest []byte) {
	k, v := int(binary.BigEndian.Uint16(data)), int(binary.BigEndian.Uint16(data[2:]))
	data = data[4:]
	k = min(k, len(data))
	v = min(v, len(data)-k)
	return bytes.Clone(data[:k]), bytes.Clone(data[k : k+v]), data[k+v:]
}
