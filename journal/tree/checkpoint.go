package tree

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// KeyName is the name of every note key: what tells keys apart is their hash.
const KeyName = "alys"

// maxCheckpoint bounds a signed checkpoint, cosignatures included.
const maxCheckpoint = 16 << 10

// Checkpoint says that the journal called Origin has the events 1 to Size, and
// that their tree has this root.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// Origin names a history: the journal, and how many incidents (repairs,
// restores) ended the histories before. Checkpoints of one origin never
// contradict each other.
func Origin(id journal.ID, incidents int) string {
	return fmt.Sprintf("alys/%s/%d", id, incidents)
}

// NewKey draws a note key: the secret one, and the public one that checks its
// signatures. Both are one line of text.
func NewKey() (secret, public string, err error) {
	secret, public, err = note.GenerateKey(rand.Reader, KeyName)
	return secret, public, fault.Wrap(fault.Fatal, err, "draw a note key")
}

// ReadKey reads a secret note key, and returns its public key beside.
func ReadKey(secret string) (note.Signer, string, error) {
	bad := func(err error) error { return fault.Wrap(fault.Invalid, err, "note key") }
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, "", bad(err)
	}
	// PRIVATE+KEY+name+hash+data, where data, which may have a plus sign of its
	// own, is a byte for the algorithm and the seed.
	parts := strings.SplitN(secret, "+", 5)
	data, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(data) != 1+ed25519.SeedSize {
		return nil, "", fault.New(fault.Invalid, "note key is no Ed25519 key")
	}
	key := ed25519.NewKeyFromSeed(data[1:])
	public, err := note.NewEd25519VerifierKey(signer.Name(), key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, "", bad(err)
	}
	return signer, public, nil
}

// ReadPublicKey reads what checks signatures.
func ReadPublicKey(public string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(public))
	return v, fault.Wrap(fault.Invalid, err, "public note key")
}

// Sign returns the checkpoint as a signed note.
func (c Checkpoint) Sign(s note.Signer) ([]byte, error) {
	text := log.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, s)
	return signed, fault.Wrap(fault.Fatal, err, "sign a checkpoint")
}

// OpenCheckpoint checks the signature of a note and returns what it says.
// Errors have grade Corrupt. Signatures of other keys beside are passed over.
func OpenCheckpoint(signed []byte, v note.Verifier) (Checkpoint, error) {
	bad := func(format string, args ...any) (Checkpoint, error) {
		return Checkpoint{}, fault.New(fault.Corrupt, "checkpoint: %s", fmt.Sprintf(format, args...))
	}
	if len(signed) > maxCheckpoint {
		return bad("it has %d bytes, at most %d are read", len(signed), maxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return bad("%v", err)
	}
	for _, s := range n.Sigs {
		// The library ignores the unused bits of the last digit.
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return bad("the signature is not in its one encoding: %v", err)
		}
	}
	var c log.Checkpoint
	rest, err := c.Unmarshal([]byte(n.Text))
	if err != nil {
		return bad("%v", err)
	}
	if len(rest) != 0 || string(c.Marshal()) != n.Text || len(c.Hash) != len(Hash{}) {
		return bad("it is not three lines of origin, size and root")
	}
	return Checkpoint{Origin: c.Origin, Size: c.Size, Root: Hash(c.Hash)}, nil
}
