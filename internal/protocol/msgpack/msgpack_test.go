package msgpack_test

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/msgpack"
)

const limit = 1 << 20

// TestRefused lists one input per rule that keeps the encoding canonical or
// bounded, with a part of the error it must give.
func TestRefused(t *testing.T) {
	hash := func(r *msgpack.Reader) { r.Hex(make([]byte, 2), "f") }
	number := func(r *msgpack.Reader) { r.Uint64("f") }
	signed := func(r *msgpack.Reader) { r.Int32("f") }
	list := func(r *msgpack.Reader) { r.List(1, "f") }
	bin := func(r *msgpack.Reader) { r.BinBytes("f") }
	decimal := func(r *msgpack.Reader) { r.Decimal("f") }
	for _, c := range []struct {
		name, input string
		read        func(*msgpack.Reader)
		want        string
	}{
		{"empty input", "", number, "needs 1 bytes, 0 are left"},
		{"uint8 for a fixint", "cc7f", number, "shortest form"},
		{"uint16 for uint8", "cd00ff", number, "shortest form"},
		{"uint32 for uint16", "ce0000ffff", number, "shortest form"},
		{"uint64 for uint32", "cf00000000ffffffff", number, "shortest form"},
		{"uint64 cut", "cf0000", number, "needs 8 bytes"},
		{"negative fixint as unsigned", "ff", number, "want an unsigned integer"},
		{"nil as integer", "c0", number, "want an unsigned integer"},
		{"float as integer", "ca3f800000", number, "want an unsigned integer"},
		{"int8 for a fixint", "d0ff", signed, "shortest form"},
		{"int8 for a positive", "d001", signed, "shortest form"},
		{"int16 for int8", "d1ff80", signed, "shortest form"},
		{"int32 for int16", "d2ffff8000", signed, "shortest form"},
		{"int64", "d3ffffffff00000000", signed, "want an unsigned integer"},
		{"above int32", "ce80000000", signed, "above"},
		{"array16 for fixarray", "dc000101", list, "shortest form"},
		{"array32 for array16", "dd0000ffff01", list, "shortest form"},
		{"array of 4 billion", "ddffffffff", list, "are left"},
		{"array of more than is left", "dc001001", list, "do not fit"},
		{"map as array", "81", list, "want an array"},
		{"bin16 for bin8", "c50001ff", bin, "shortest form"},
		{"bin32 of 4 billion", "c6ffffffffff", bin, "are left"},
		{"str as bin", "a161", bin, "want bin"},
		{"bin cut", "c402ff", bin, "needs 2 bytes"},
		{"str8 for fixstr", "d906307830303030", hash, "shortest form"},
		{"bin as str", "c406307830303030", hash, "want a string"},
		{"upper-case hex", "a6307841303030", hash, "lower-case"},
		{"upper-case prefix", "a6305830303030", hash, "want 0x"},
		{"short hex", "a430783030", hash, "want 0x and 4 digits"},
		{"odd hex", "a530783030" + "30", hash, "want 0x and 4 digits"},
		{"leading zero", "a23031", decimal, "leading zeros"},
		{"empty decimal", "a0", decimal, "leading zeros"},
		{"sign", "a22b31", decimal, "not a decimal digit"},
		{"above 64 bits", "b4" + hex.EncodeToString([]byte("18446744073709551616")), decimal, "above 64 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, err := hex.DecodeString(c.input)
			if err != nil {
				t.Fatal(err)
			}
			r := msgpack.NewReader(data, limit)
			c.read(r)
			err = r.End("value")
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	if err := msgpack.NewReader(make([]byte, 11), 10).End("x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("input above the limit: %v", err)
	}
	r := msgpack.NewReader([]byte{1, 2}, limit)
	r.Uint64("f")
	if err := r.End("x"); err == nil || !strings.Contains(err.Error(), "1 bytes follow") {
		t.Errorf("trailing byte: %v", err)
	}
	wide := new(big.Int).Lsh(big.NewInt(1), 256)
	r = msgpack.NewReader(msgpack.AppendBig(nil, wide), limit)
	if r.Big("f"); r.Err() == nil {
		t.Error("2^256 is accepted")
	}
	wide.Sub(wide, big.NewInt(1))
	r = msgpack.NewReader(msgpack.AppendBig(nil, wide), limit)
	if got := r.Big("f"); r.End("f") != nil || got.Cmp(wide) != 0 {
		t.Errorf("2^256-1: %v %v", got, r.Err())
	}
}

// TestRoundTrip writes random values of every kind and reads them back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint64().Draw(t, "u")
		i := rapid.Int32().Draw(t, "i")
		b := rapid.SliceOfN(rapid.Byte(), 0, 70000).Draw(t, "b")
		s := rapid.StringN(0, 100, 300).Draw(t, "s")
		n := rapid.SampledFrom([]int{0, 1, 15, 16, 65535, 65536}).Draw(t, "n")
		out := msgpack.AppendUint(nil, u)
		out = msgpack.AppendInt(out, int64(i))
		out = msgpack.AppendBin(out, b)
		out = msgpack.AppendHex(out, b)
		out = msgpack.AppendByteArray(out, b)
		out = msgpack.AppendString(out, s)
		out = msgpack.AppendDecimal(out, u)
		out = msgpack.AppendBig(out, new(big.Int).SetUint64(u))
		out = msgpack.AppendNil(out)
		out = msgpack.AppendArray(out, n)
		out = append(out, make([]byte, n)...)
		out = msgpack.AppendMap(out, n)
		out = append(out, make([]byte, n)...)
		r := msgpack.NewReader(out, limit)
		same := r.Uint64("u") == u
		same = same && r.Int32("i") == i
		same = same && bytes.Equal(r.BinBytes("b"), b)
		same = same && bytes.Equal(r.HexBytes(len(b), "b"), b)
		same = same && bytes.Equal(r.ByteArray("b"), b)
		same = same && r.String(300, "s") == s
		same = same && r.Decimal("u") == u
		same = same && r.Big("u").Uint64() == u
		same = same && r.Nil()
		same = same && r.List(1, "n") == n
		for range n {
			r.Uint8("zero")
		}
		same = same && r.Map(1, "n") == n
		for range n {
			r.Uint8("zero")
		}
		if err := r.End("value"); err != nil || !same {
			t.Fatalf("same %v, error %v", same, err)
		}
	})
}

func FuzzTx(f *testing.F) {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{SignatureScript: []byte{1}, Witness: wire.TxWitness{{0x80}, nil}})
	tx.AddTxOut(wire.NewTxOut(-1, []byte{2}))
	f.Add(msgpack.AppendTx(nil, tx))
	f.Add([]byte{0x94, 1, 0, 0x90, 0x90})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := msgpack.NewReader(data, limit)
		tx := r.Tx()
		if r.End("transaction") != nil {
			return
		}
		if got := msgpack.AppendTx(nil, tx); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes to %x", data, got)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(msgpack.AppendHeader(nil, &wire.BlockHeader{Version: -1, Nonce: 1 << 31}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := msgpack.NewReader(data, limit)
		var h wire.BlockHeader
		r.Header(&h)
		if r.End("header") != nil {
			return
		}
		if got := msgpack.AppendHeader(nil, &h); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes to %x", data, got)
		}
	})
}
