package schema_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/schema"
)

// A payment through three schemas: 2 adds a memo, 3 has the amount in another
// unit, another field, and keeps the rest.
type pay1 struct {
	To    string
	Coins uint64
}

func (p *pay1) Fields(f *record.Fields) {
	f.String(1, &p.To)
	f.Uint64(2, &p.Coins)
}

type pay2 struct {
	To    string
	Coins uint64
	Memo  record.Content
}

func (p *pay2) Fields(f *record.Fields) {
	f.String(1, &p.To)
	f.Uint64(2, &p.Coins)
	f.Content(3, &p.Memo)
}

type pay3 struct {
	To    string
	Memo  record.Content
	Grain []byte // big endian
}

func (*pay3) Type() string   { return "pay" }
func (*pay3) Schema() uint32 { return 3 }
func (p *pay3) Fields(f *record.Fields) {
	f.String(1, &p.To)
	f.Content(3, &p.Memo)
	f.Bytes(4, &p.Grain)
}

func grains(old *pay2) *pay3 {
	return &pay3{To: old.To, Memo: old.Memo, Grain: bytes.Repeat([]byte{1}, int(old.Coins%100))}
}

func resolver(want record.Content) record.Resolver {
	return func(h [32]byte) ([]byte, error) {
		if h != want.Hash {
			return nil, fault.New(fault.Corrupt, "content %x", h)
		}
		return want.Data, nil
	}
}

// Bytes of every schema decode to today's record.
func TestThreeSchemas(t *testing.T) {
	older := schema.New(schema.Step("pay", 2, grains))
	memo := record.NewContent([]byte("for the tea"))
	for written, r := range map[uint32]record.Record{
		1: &pay1{To: "a", Coins: 3},
		2: &pay2{To: "a", Coins: 3, Memo: memo},
		3: &pay3{To: "a", Memo: memo, Grain: []byte{1, 1, 1}},
	} {
		data, _ := record.Encode(r)
		var got pay3
		if err := older.Decode(&got, written, data, resolver(memo)); err != nil {
			t.Fatalf("schema %d: %v", written, err)
		}
		if got.To != "a" || !bytes.Equal(got.Grain, []byte{1, 1, 1}) {
			t.Errorf("schema %d: %+v", written, got)
		}
		if written > 1 && string(got.Memo.Data) != "for the tea" {
			t.Errorf("schema %d: memo %q", written, got.Memo.Data)
		}
	}
}

func TestRefusals(t *testing.T) {
	older := schema.New(schema.Step("pay", 2, grains))
	data, _ := record.Encode(&pay2{To: "a", Coins: 3})
	for name, test := range map[string]struct {
		older  *schema.Upcasters
		schema uint32
		data   []byte
		part   string
	}{
		"newer":            {older, 4, data, `"pay" has schema 4, this program reads up to 3`},
		"no upcaster":      {nil, 2, data, "field 2 is not known"},
		"damaged":          {older, 2, data[:2], "schema 2 does not go up to schema 3"},
		"old bytes as new": {older, 3, data, "field 2 is not known"},
		"garbage":          {older, 1, []byte{0xff}, "schema 1 does not go up to schema 3"},
	} {
		err := test.older.Decode(new(pay3), test.schema, test.data, nil)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("two steps from one schema are taken")
		}
	}()
	schema.New(schema.Step("pay", 2, grains), schema.Step("pay", 2, grains))
}

// Bytes from outside never panic, whatever schema they claim; what decodes is
// the canonical form of something.
func FuzzDecode(f *testing.F) {
	for _, r := range []record.Record{&pay1{To: "a", Coins: 3}, &pay2{To: "b", Coins: 4}, &pay3{To: "c", Grain: []byte{9}}} {
		data, _ := record.Encode(r)
		f.Add(uint32(1), data)
		f.Add(uint32(2), data)
		f.Add(uint32(3), data)
	}
	older := schema.New(schema.Step("pay", 2, grains))
	f.Fuzz(func(t *testing.T, written uint32, data []byte) {
		var m pay3
		if err := older.Decode(&m, written, data, nil); err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("grade of %v", err)
			}
			return
		}
		again, _ := record.Encode(&m)
		if written == 3 && !bytes.Equal(again, data) {
			t.Errorf("%x decodes and encodes to %x", data, again)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	older := schema.New(schema.Step("pay", 2, grains))
	data, _ := record.Encode(&pay2{To: "somebody", Coins: 3})
	for name, written := range map[string]uint32{"up": 2, "as it is": 3} {
		in := data
		if written == 3 {
			in, _ = record.Encode(&pay3{To: "somebody", Grain: []byte{1, 1, 1}})
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				var m pay3
				if err := older.Decode(&m, written, in, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
