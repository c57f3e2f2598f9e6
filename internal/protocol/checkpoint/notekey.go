package checkpoint

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// noteKeyDomain begins what is hashed to be signed.
const noteKeyDomain = "Alys statement: this key signs the checkpoints of my journal\n"

// MaxKey bounds a public note key, one line of text.
const MaxKey = 128

// NoteKey is a member's word that a key signs the checkpoints of its journal, so that the
// key's signatures are known to be that member's. (docs/formats/witness.md)
type NoteKey struct {
	Genesis   common.Hash // root of block 0
	Authority uint8
	Key       string // as docs/formats/proof.md has public keys
	Signature aura.Signature
}

// Fields implements record.Record.
func (k *NoteKey) Fields(f *record.Fields) {
	f.Fixed(1, k.Genesis[:])
	f.Uint8(2, &k.Authority)
	f.String(3, &k.Key)
	f.Fixed(4, k.Signature[:])
	if f.Decoding() && (k.Authority >= aura.MaxAuthorities || len(k.Key) > MaxKey) {
		f.Fail("a note key of %d bytes, of authority %d", len(k.Key), k.Authority)
	}
}

// Hash returns what is signed.
func (k *NoteKey) Hash() common.Hash {
	data := append([]byte(noteKeyDomain), k.Genesis[:]...)
	data = append(data, k.Authority)
	return sha256.Sum256(append(data, k.Key...))
}

// SignKey returns a member's word for its note key.
func SignKey(genesis common.Hash, authority uint8, public string, key aura.SecretKey) *NoteKey {
	k := &NoteKey{Genesis: genesis, Authority: authority, Key: public}
	k.Signature = key.Sign(k.Hash())
	return k
}

// Verify checks the signature. Errors have grade Invalid.
func (k *NoteKey) Verify(committee *aura.Committee) error {
	return committee.VerifyApproval(aura.Approval{Authority: k.Authority, Signature: k.Signature}, k.Hash())
}
