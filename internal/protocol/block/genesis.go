package block

import (
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Genesis returns the block of height 0 of a chain: slot 0, parent zero, a header
// over no range with the chain's bits and id and without proof, no approvals. p
// is the execution layer's block 0; its number must be 0, which the caller checks
// where it reads the block. (consensus.md C3)
func Genesis(c *spec.Chain, p Payload) *Signed {
	return &Signed{
		Block: Block{
			AuxPowHeader: &AuxPowHeader{Bits: c.Bits, ChainID: c.ChainID},
			Payload:      p,
		},
		Approvals: aura.None(),
	}
}
