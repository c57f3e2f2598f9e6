package checkpoint

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// statementDomain begins what is hashed to be signed.
const statementDomain = "Alys statement: the state that follows from the blocks up to this final block\n"

// Claim is what a statement says: at the final block Root of height Number, on the chain
// with this genesis, the state is made of the parts of the index with this digest.
// (docs/formats/checkpoint-statement.md)
type Claim struct {
	Genesis common.Hash // root of block 0
	Number  uint64
	Root    common.Hash
	Index   [32]byte // SHA-256 of the encoded [Index]
}

// Hash returns what is signed.
func (c Claim) Hash() common.Hash {
	data := append([]byte(statementDomain), c.Genesis[:]...)
	data = binary.BigEndian.AppendUint64(data, c.Number)
	data = append(data, c.Root[:]...)
	return sha256.Sum256(append(data, c.Index[:]...))
}

// Statement is a claim with the signature of a member.
type Statement struct {
	Claim
	Authority uint8
	Signature aura.Signature
}

// Fields implements record.Record.
func (s *Statement) Fields(f *record.Fields) {
	f.Fixed(1, s.Genesis[:])
	f.Uint64(2, &s.Number)
	f.Fixed(3, s.Root[:])
	f.Fixed(4, s.Index[:])
	f.Uint8(5, &s.Authority)
	f.Fixed(6, s.Signature[:])
	if f.Decoding() && s.Authority >= aura.MaxAuthorities {
		f.Fail("authority %d", s.Authority)
	}
}

// Sign returns a member's statement.
func Sign(c Claim, authority uint8, key aura.SecretKey) Statement {
	return Statement{Claim: c, Authority: authority, Signature: key.Sign(c.Hash())}
}

// Verify checks the signature. Errors have grade Invalid.
func (s *Statement) Verify(committee *aura.Committee) error {
	return committee.VerifyApproval(aura.Approval{Authority: s.Authority, Signature: s.Signature}, s.Hash())
}

// Agreement is a claim that a quorum states.
type Agreement struct {
	Claim
	Statements []Statement // by authority, each verified
}

// Agreed returns what quorums of a committee state of the chain with this genesis, the
// highest claim first. Statements of other chains, false ones and a second one of an authority for
// the same claim count for nothing. An authority that states two claims of one height counts for neither.
func Agreed(list []Statement, genesis common.Hash, committee *aura.Committee) []Agreement {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Statement) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), bytes.Compare(a.Root[:], b.Root[:]), bytes.Compare(a.Index[:], b.Index[:]), cmp.Compare(a.Authority, b.Authority))
	})
	list = slices.DeleteFunc(list, func(s Statement) bool { return s.Genesis != genesis || s.Verify(committee) != nil })
	type voice struct {
		number    uint64
		authority uint8
	}
	said, two := map[voice]Claim{}, map[voice]bool{} // looked up only
	for _, s := range list {
		v := voice{s.Number, s.Authority}
		if before, ok := said[v]; ok && before != s.Claim {
			two[v] = true
		}
		said[v] = s.Claim
	}
	var agreed []Agreement
	for i := 0; i < len(list); {
		a := Agreement{Claim: list[i].Claim}
		for ; i < len(list) && list[i].Claim == a.Claim; i++ {
			n := len(a.Statements)
			if !two[voice{list[i].Number, list[i].Authority}] && (n == 0 || a.Statements[n-1].Authority != list[i].Authority) {
				a.Statements = append(a.Statements, list[i])
			}
		}
		if len(a.Statements) >= committee.Quorum() {
			agreed = append(agreed, a)
		}
	}
	return agreed
}
