package tree

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// testKey is a fixed key, so that failures can be repeated.
const testKey = "PRIVATE+KEY+alys+19ca4ec2+Af5MDpb0Dttuvq2KqAE3PUki53rp9KxFhMKsHh+aQ2Rv"

func keys(t testing.TB) (note.Signer, note.Verifier) {
	t.Helper()
	s, public, err := ReadKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := ReadPublicKey(public + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

// made is a small journal: events, their tree, and a checkpoint over all.
type made struct {
	events []*journal.Event
	source *Source
	check  Checkpoint
	signed string
}

func makeJournal(t testing.TB, n int) made {
	t.Helper()
	s, _ := keys(t)
	var m made
	var all []Hash
	for i := range n {
		e := &journal.Event{
			Sequence: uint64(i + 1), Time: 1_700_000_000_000, Actor: "chain", Type: "block", Schema: 1, Stored: true, Message: []byte{byte(i), 1, 2},
			Outputs: []journal.Output{{Kind: journal.KindFact, Type: "head", Schema: 1, Payload: []byte{3}}},
		}
		m.events = append(m.events, e)
		all = append(all, Leaf(e.AppendTo(nil)))
	}
	m.source, _ = sourceOf(all, n)
	root, err := m.source.Root(uint64(n))
	if err != nil {
		t.Fatal(err)
	}
	m.check = Checkpoint{Origin: Origin(journal.ID{15: 1}, 0), Size: uint64(n), Root: root}
	signed, err := m.check.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	m.signed = string(signed)
	return m
}

func (m made) inclusion(t testing.TB, sequence uint64) []byte {
	t.Helper()
	path, err := m.source.Inclusion(sequence-1, m.check.Size)
	if err != nil {
		t.Fatal(err)
	}
	p := Proof{Format: ProofFormat, Checkpoint: m.signed, Hashes: HexHashes(path), Inclusion: &Inclusion{Event: sequence, Envelope: m.events[sequence-1].AppendTo(nil)}}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (m made) consistency(t testing.TB, older uint64) []byte {
	t.Helper()
	path, err := m.source.Consistency(older, m.check.Size)
	if err != nil {
		t.Fatal(err)
	}
	root, err := m.source.Root(older)
	if err != nil {
		t.Fatal(err)
	}
	p := Proof{Format: ProofFormat, Checkpoint: m.signed, Hashes: HexHashes(path), Consistency: &Consistency{Size: older, Root: HexHash(root)}}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func check(data []byte, v note.Verifier) (*journal.Event, error) {
	p, err := DecodeProof(data)
	if err != nil {
		return nil, err
	}
	_, e, err := p.Verify(v)
	return e, err
}

func TestProofs(t *testing.T) {
	m := makeJournal(t, 700)
	_, v := keys(t)
	for _, sequence := range []uint64{1, 2, 256, 257, 512, 699, 700} {
		e, err := check(m.inclusion(t, sequence), v)
		if err != nil || e.Sequence != sequence || string(e.Message) != string(m.events[sequence-1].Message) {
			t.Errorf("event %d: %v %v", sequence, e, err)
		}
		if _, err := check(m.consistency(t, sequence), v); err != nil {
			t.Errorf("from %d: %v", sequence, err)
		}
	}
}

// Not one byte of a proof can be another one.
func TestEveryByteMatters(t *testing.T) {
	m := makeJournal(t, 300)
	_, v := keys(t)
	for name, data := range map[string][]byte{"inclusion": m.inclusion(t, 277), "consistency": m.consistency(t, 77)} {
		tried := 0
		for at := range data {
			for _, change := range []byte{0x01, 0x20, 0x80, data[at] ^ ' ', data[at] ^ '\n'} {
				if change == 0 {
					continue
				}
				bad := bytes.Clone(data)
				bad[at] ^= change
				tried++
				if _, err := check(bad, v); !fault.Is(err, fault.Corrupt) {
					t.Fatalf("%s: byte %d is %q, not %q: %v\n%s", name, at, bad[at], data[at], err, bad)
				}
			}
			for _, bad := range [][]byte{data[:at], append(bytes.Clone(data[:at]), data[at+1:]...), append(append(bytes.Clone(data[:at]), ' '), data[at:]...)} {
				if _, err := check(bad, v); err == nil {
					t.Fatalf("%s: cut, shortened or longer at byte %d it holds", name, at)
				}
			}
		}
		t.Logf("%s: %d changes of %d bytes", name, tried, len(data))
	}
}

// A proof of event N is none of N+1, nor for another key, nor with another
// event's bytes.
func TestOtherProofs(t *testing.T) {
	m := makeJournal(t, 300)
	_, v := keys(t)
	good := m.inclusion(t, 100)
	_, public, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ReadPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check(good, other); !fault.Is(err, fault.Corrupt) {
		t.Errorf("another key: %v", err)
	}
	for name, change := range map[string]func(p *Proof){
		"next event":       func(p *Proof) { p.Inclusion.Event++ },
		"event 0":          func(p *Proof) { p.Inclusion.Event = 0 },
		"beyond the tree":  func(p *Proof) { p.Inclusion.Event = 301 },
		"other envelope":   func(p *Proof) { p.Inclusion.Envelope = m.events[100].AppendTo(nil) },
		"a hash less":      func(p *Proof) { p.Hashes = p.Hashes[1:] },
		"a hash more":      func(p *Proof) { p.Hashes = append(p.Hashes, HexHash{}) },
		"unasked content":  func(p *Proof) { p.Inclusion.Contents = [][]byte{{1}} },
		"smaller tree":     func(p *Proof) { p.Checkpoint = makeJournal(t, 299).signed },
		"nothing":          func(p *Proof) { p.Inclusion = nil },
		"both":             func(p *Proof) { p.Consistency = &Consistency{Size: 1} },
		"longer line":      func(p *Proof) { p.Checkpoint = strings.Repeat("x", maxCheckpoint) + p.Checkpoint },
		"another signer":   func(p *Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "— alys ", "— alyt ", 1) },
		"unused bits":      func(p *Proof) { p.Checkpoint = unusedBits(t, p.Checkpoint) },
		"from nothing":     func(p *Proof) { p.Inclusion, p.Consistency = nil, &Consistency{} },
		"from the future":  func(p *Proof) { p.Inclusion, p.Consistency = nil, &Consistency{Size: 301} },
		"no format":        func(p *Proof) { p.Format = "" },
		"no checkpoint":    func(p *Proof) { p.Checkpoint = "" },
		"nothing in front": func(p *Proof) { p.Hashes = nil },
	} {
		p, err := DecodeProof(good)
		if err != nil {
			t.Fatal(err)
		}
		change(p)
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := check(data, v); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unusedBits changes the bits of a signature's last digit that carry nothing.
func unusedBits(t *testing.T, signed string) string {
	digits := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	text := strings.TrimRight(signed, "=\n")
	last := strings.IndexByte(digits, text[len(text)-1])
	out := text[:len(text)-1] + string(digits[last^1]) + signed[len(text):]
	if out == signed {
		t.Fatal("nothing changed")
	}
	return out
}

// Parts that the envelope has by hash only are in the proof, and checked.
func TestProofOfSpilledEvent(t *testing.T) {
	s, v := keys(t)
	e := &journal.Event{Sequence: 1, Time: 1, Actor: "chain", Type: "block", Schema: 1, Stored: true, Message: bytes.Repeat([]byte("long "), 1<<15)}
	envelope := e.AppendTo(nil)
	leaf := Leaf(envelope)
	signed, err := Checkpoint{Origin: "alys/x/0", Size: 1, Root: leaf}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	p := Proof{Format: ProofFormat, Checkpoint: string(signed), Hashes: []HexHash{}, Inclusion: &Inclusion{Event: 1, Envelope: envelope, Contents: [][]byte{e.Message}}}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := check(data, v); err != nil || !bytes.Equal(got.Message, e.Message) || len(envelope) > 1000 {
		t.Errorf("%v, envelope of %d bytes", err, len(envelope))
	}
	for _, contents := range [][][]byte{nil, {e.Message[1:]}, {e.Message, e.Message}, {e.Message, {1}}} {
		p.Inclusion.Contents = contents
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := check(data, v); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%d contents: %v", len(contents), err)
		}
	}
}

func TestKeys(t *testing.T) {
	secret, public, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := ReadKey(secret); err != nil || again != public {
		t.Errorf("public key %q, drawn as %q: %v", again, public, err)
	}
	for _, bad := range []string{"", "x", "PRIVATE+KEY+alys+00000000+AQ==", strings.Replace(testKey, "19ca4ec2", "19ca4ec0", 1), public} {
		if _, _, err := ReadKey(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("secret key %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "alys", testKey} {
		if _, err := ReadPublicKey(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("public key %q: %v", bad, err)
		}
	}
}

// A checkpoint is a signed note as other programs read it.
func TestGoldenCheckpoint(t *testing.T) {
	s, v := keys(t)
	c := Checkpoint{Origin: Origin(journal.ID{0xab, 15: 1}, 2), Size: 12, Root: EmptyRoot()}
	signed, err := c.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	const text = "alys/ab000000000000000000000000000001/2\n12\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if !strings.HasPrefix(string(signed), text+"\n— alys ") {
		t.Errorf("note\n%s", signed)
	}
	if got, err := OpenCheckpoint(signed, v); err != nil || got != c {
		t.Errorf("%+v %v", got, err)
	}
	for _, text := range []string{"alys/x/0\n012\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n", text + "more\n", "a\n1\nAA==\n", "a\n-1\n\n", "\n1\n\n"} {
		bad, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenCheckpoint(bad, v); !fault.Is(err, fault.Corrupt) {
			t.Errorf("signed %q: %v", text, err)
		}
	}
}

// Whatever is read is refused or has exactly the bytes that are written.
func FuzzDecodeProof(f *testing.F) {
	m := makeJournal(f, 300)
	_, v := keys(f)
	f.Add(m.inclusion(f, 277))
	f.Add(m.consistency(f, 77))
	f.Add([]byte(`{"format":"alys journal proof 1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodeProof(data)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatalf("grade of %v", err)
			}
			return
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%v, decoded from %q, encoded %q", err, data, again)
		}
		if _, _, err := p.Verify(v); err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatalf("grade of %v", err)
		}
	})
}
