// Package evidence checks what one node says that a member did, from the chain
// specification and the two signed blocks alone: whoever is shown an Equivocation need trust
// nobody.
//
//	err := evidence.Check(committee, fact, first, second)
//
// A member that signed two blocks of one slot either made both, or approved both. Legacy's
// program approves every valid block, so that only the slot's own member is at fault by its
// rules; by ours nobody approves two. (consensus.md C5.10)
package evidence

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Check reports whether a fact is proven by its signatures and the two blocks, as their
// signed encoding (wire.md 9.4, B): nil, or an Invalid error that says what is not.
func Check(c *aura.Committee, m *message.Equivocation, first, second []byte) error {
	if m.Authority >= uint32(c.Len()) {
		return fault.New(fault.Invalid, "evidence names member %d of %d", m.Authority, c.Len())
	}
	if m.First == m.Second {
		return fault.New(fault.Invalid, "evidence names block %s twice", m.First)
	}
	if err := signed(c, m, m.First, m.FirstSignature, first); err != nil {
		return err
	}
	return signed(c, m, m.Second, m.SecondSignature, second)
}

// signed reports whether a block is what a root covers, is of the slot, and is signed.
func signed(c *aura.Committee, m *message.Equivocation, root common.Hash, signature, content []byte) error {
	b, err := block.Decode(content)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "evidence: block "+root.Hex())
	}
	if got := b.Block.Root(); got != root {
		return fault.New(fault.Invalid, "evidence: the block given for %s is %s", root, got)
	}
	if b.Block.Slot != m.Slot {
		return fault.New(fault.Invalid, "evidence: block %s is of slot %d, not %d", root, b.Block.Slot, m.Slot)
	}
	a := aura.Approval{Authority: uint8(m.Authority)}
	if len(signature) != len(a.Signature) {
		return fault.New(fault.Invalid, "evidence: the signature over block %s has %d bytes, not %d", root, len(signature), len(a.Signature))
	}
	copy(a.Signature[:], signature)
	if err := c.VerifyApproval(a, root); err != nil {
		return fault.Wrap(fault.Invalid, err, "evidence: the signature over block "+root.Hex())
	}
	return nil
}
