package record_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

type inner struct {
	Text  string
	Count uint32
}

func (i *inner) Fields(f *record.Fields) {
	f.String(1, &i.Text)
	f.Uint32(2, &i.Count)
}

type sample struct {
	A       uint64
	B       int64
	C       bool
	D       []byte
	E       [32]byte
	Body    record.Content
	List    []inner
	Maybe   *inner
	Numbers []uint64
	Small   uint8
}

func (s *sample) Fields(f *record.Fields) {
	f.Uint64(1, &s.A)
	f.Int64(2, &s.B)
	f.Bool(3, &s.C)
	f.Bytes(4, &s.D)
	f.Fixed(5, s.E[:])
	f.Content(6, &s.Body)
	record.List(f, 7, &s.List)
	record.Optional(f, 8, &s.Maybe)
	f.Uint64s(9, &s.Numbers)
	f.Uint8(20, &s.Small)
}

func genInner(t *rapid.T) inner {
	return inner{Text: rapid.String().Draw(t, "text"), Count: rapid.Uint32().Draw(t, "count")}
}

func genSample(t *rapid.T) sample {
	s := sample{
		A: rapid.Uint64().Draw(t, "a"), B: rapid.Int64().Draw(t, "b"), C: rapid.Bool().Draw(t, "c"),
		Body:  record.NewContent(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "body")),
		Small: rapid.Uint8().Draw(t, "small"),
	}
	if d := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "d"); len(d) > 0 {
		s.D = d
	}
	copy(s.E[:], rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "e"))
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		s.List = append(s.List, genInner(t))
	}
	if rapid.Bool().Draw(t, "some") {
		i := genInner(t)
		s.Maybe = &i
	}
	if n := rapid.SliceOfN(rapid.Uint64(), 0, 4).Draw(t, "numbers"); len(n) > 0 {
		s.Numbers = n
	}
	return s
}

// What goes in comes out, bytes are canonical, contents come through the resolver.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genSample(t)
		data, contents := record.Encode(&in)
		store := map[[32]byte][]byte{}
		for _, c := range contents {
			store[c.Hash] = c.Data
		}
		var out sample
		if err := record.Decode(data, &out, func(h [32]byte) ([]byte, error) { return store[h], nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Fatal(diff)
		}
		again, _ := record.Encode(&out)
		if !bytes.Equal(data, again) {
			t.Fatalf("%x re-encodes as %x", data, again)
		}
	})
}

func TestRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"zero integer present": {0x08, 0x00},
		"long integer":         {0x08, 0x81, 0x00},
		"unknown field":        {0x78, 0x01},
		"descending fields":    {0x18, 0x01, 0x08, 0x01},
		"twice":                {0x08, 0x01, 0x08, 0x02},
		"wrong wire type":      {0x0a, 0x01, 0x01},
		"length past the end":  {0x22, 0xff, 0xff, 0xff, 0x7f},
		"short hash":           {0x2a, 0x01, 0x01},
		"large small":          {0xa0, 0x01, 0x80, 0x02},
		"truth value two":      {0x18, 0x02},
	} {
		var s sample
		if err := record.Decode(data, &s, nil); err == nil {
			t.Errorf("%s: %x accepted", name, data)
		}
	}
}

// Any bytes are an error or the canonical bytes of what they decode to.
func FuzzDecode(f *testing.F) {
	data, _ := record.Encode(&sample{A: 1, B: -2, List: []inner{{Text: "x"}}, Maybe: &inner{}, Numbers: []uint64{0, 5}})
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sample
		if record.Decode(data, &s, nil) != nil {
			return
		}
		if again, _ := record.Encode(&s); !bytes.Equal(data, again) {
			t.Fatalf("%x re-encodes as %x", data, again)
		}
	})
}

// A value that the caller keeps is encoded into a buffer that is large enough
// without allocating, whatever kinds of fields it has.
func TestEncodingDoesNotAllocate(t *testing.T) {
	s := sample{A: 7, D: make([]byte, 256), E: [32]byte{1}}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf, _ = record.Append(buf[:0], &s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	s := sample{A: 7, D: make([]byte, 256), E: [32]byte{1}}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = record.Append(buf[:0], &s)
	}
}

func BenchmarkDecode(b *testing.B) {
	data, _ := record.Encode(&sample{A: 7, D: make([]byte, 256), E: [32]byte{1}})
	var s sample
	b.ReportAllocs()
	for b.Loop() {
		if err := record.Decode(data, &s, nil); err != nil {
			b.Fatal(err)
		}
	}
}
