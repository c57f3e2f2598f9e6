package aura

// MaxAuthorities is the capacity of the approval bitlist. (consensus.md C1, C2)
const MaxAuthorities = 15

// PublicKey is a compressed BLS12-381 G1 point.
type PublicKey [48]byte

// Signature is a compressed BLS12-381 G2 point; all zero bytes mean "none".
type Signature [96]byte

// Approvals says which authorities signed a block and holds their aggregate
// signature over the block's root. Bits is the SSZ bitlist of capacity 15 as it
// travels: two bytes, bit i of authority i at byte i/8 bit i%8, and the length
// mark at bit 15. The empty value of the wire is Bits {0x00, 0x80}. (wire.md 9.4, B)
type Approvals struct {
	Bits      [2]byte
	Signature Signature
}

// Approval is one authority's signature over a block root, as gossiped.
type Approval struct {
	Signature Signature
	Authority uint8 // index into the chain spec's authorities
}
