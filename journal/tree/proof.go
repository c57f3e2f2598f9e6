package tree

import (
	"bytes"
	"encoding/hex"
	"encoding/json"

	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// ProofFormat is the first member of every proof.
const ProofFormat = "alys journal proof 1"

// MaxProof bounds a proof file in bytes.
const MaxProof = 512 << 20

// Proof shows to whoever has the public key that an event is in the journal
// which a checkpoint covers, or that one checkpoint's journal continues
// another's. It is complete: nothing else is needed to check it.
type Proof struct {
	Format string `json:"format"`
	// Checkpoint is the signed note that the proof leads to.
	Checkpoint string `json:"checkpoint"`
	// Hashes are those of RFC 6962: the audit path, or the consistency proof.
	Hashes []HexHash `json:"hashes"`
	// Inclusion or Consistency is set, not both.
	Inclusion   *Inclusion   `json:"inclusion,omitempty"`
	Consistency *Consistency `json:"consistency,omitempty"`
}

// Inclusion is the part of a proof that is about one event.
type Inclusion struct {
	Event    uint64 `json:"event"`    // its sequence; the leaf is one less
	Envelope []byte `json:"envelope"` // as stored, base64
	// Contents are the parts of the event that its envelope has by hash only.
	Contents [][]byte `json:"contents,omitempty"`
}

// Consistency is the part of a proof that is about an older checkpoint.
type Consistency struct {
	Size uint64  `json:"size"`
	Root HexHash `json:"root"`
}

// HexHash is a hash that is written as 64 hexadecimal digits.
type HexHash Hash

// MarshalText implements encoding.TextMarshaler.
func (h HexHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *HexHash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fault.New(fault.Corrupt, "a hash has %d digits, not %d", len(text), 2*len(h))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// HexHashes writes a list of hashes.
func HexHashes(list []Hash) []HexHash {
	out := make([]HexHash, len(list))
	for i := range list {
		out[i] = HexHash(list[i])
	}
	return out
}

// Encode returns the one encoding of a proof: indented JSON and a line end.
func (p *Proof) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(p, "", " ")
	return append(data, '\n'), fault.Wrap(fault.Invalid, err, "proof")
}

// DecodeProof reads a proof. It accepts what Encode writes and nothing else,
// so that no byte of a file can be changed unnoticed. Errors have grade Corrupt.
func DecodeProof(data []byte) (*Proof, error) {
	if len(data) > MaxProof {
		return nil, fault.New(fault.Corrupt, "proof: it has %d bytes, at most %d are read", len(data), MaxProof)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	p := new(Proof)
	if err := d.Decode(p); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "proof: it does not decode")
	}
	if p.Format != ProofFormat {
		return nil, fault.New(fault.Corrupt, "proof: its format is %q, this program reads %q", p.Format, ProofFormat)
	}
	if (p.Inclusion == nil) == (p.Consistency == nil) {
		return nil, fault.New(fault.Corrupt, "proof: it must be one of inclusion and consistency")
	}
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, data) {
		return nil, fault.New(fault.Corrupt, "proof: it is not in its one encoding; check the file as it was written")
	}
	return p, nil
}

// Verify checks the proof with a public key, and returns what the checkpoint
// says and, for an inclusion, the event. Errors have grade Corrupt.
func (p *Proof) Verify(v note.Verifier) (Checkpoint, *journal.Event, error) {
	c, err := OpenCheckpoint([]byte(p.Checkpoint), v)
	if err != nil {
		return c, nil, err
	}
	hashes := make([]Hash, len(p.Hashes))
	for i := range p.Hashes {
		hashes[i] = Hash(p.Hashes[i])
	}
	if p.Consistency != nil {
		o := p.Consistency
		if o.Size == 0 || o.Size > c.Size {
			return c, nil, fault.New(fault.Corrupt, "proof: a checkpoint over %d events is not before one over %d", o.Size, c.Size)
		}
		return c, nil, VerifyConsistency(o.Size, c.Size, hashes, Hash(o.Root), c.Root)
	}
	i := p.Inclusion
	if i.Event == 0 {
		return c, nil, fault.New(fault.Corrupt, "proof: events start at 1")
	}
	if err := VerifyInclusion(i.Event-1, c.Size, Leaf(i.Envelope), hashes, c.Root); err != nil {
		return c, nil, err
	}
	e, err := i.decode()
	return c, e, err
}

// decode decodes the proven envelope. Every content must be one that it names.
func (i *Inclusion) decode() (*journal.Event, error) {
	used := make(map[Hash]bool)
	e, err := journal.DecodeEvent(i.Envelope, func(h Hash) ([]byte, error) {
		for _, data := range i.Contents {
			if journal.SumContent(data) == h {
				used[h] = true
				return data, nil
			}
		}
		return nil, fault.New(fault.Corrupt, "proof: content %s of event %d is not in it", h, i.Event)
	})
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Corrupt, err, "proof: the event is in the tree, but does not decode")
	case e.Sequence != i.Event:
		return nil, fault.New(fault.Corrupt, "proof: the envelope is that of event %d, not %d", e.Sequence, i.Event)
	case len(used) != len(i.Contents):
		return nil, fault.New(fault.Corrupt, "proof: of %d contents the event names %d", len(i.Contents), len(used))
	}
	return e, nil
}
