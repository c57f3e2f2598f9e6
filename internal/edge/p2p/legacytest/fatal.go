package legacytest

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
)

// fatal says why a message ends a legacy process, nil when it does not. Legacy unwraps
// what it decodes, and the proof of a header of work; it aborts on one that is not well
// formed. Which blocks a proof commits to is not known here, so another commitment is
// none of it. (wire.md P1; consensus.md C8 g)
func fatal(data []byte) error {
	m, err := gossip.Decode(data)
	if err != nil {
		return fmt.Errorf("called `Result::unwrap()` on an `Err` value: %w", err)
	}
	switch m := m.(type) {
	case *gossip.QueuePow:
		return fatalWork(m.Header)
	case *gossip.ConsensusBlock:
		if h := m.Signed.Block.AuxPowHeader; h != nil {
			return fatalWork(h)
		}
	}
	return nil
}

func fatalWork(h *block.AuxPowHeader) error {
	if h.AuxPow == nil {
		return errors.New("called `Option::unwrap()` on a `None` value: auxpow")
	}
	err := h.AuxPow.CheckStructure(chainhash.Hash{}, h.ChainID)
	if defect, ok := errors.AsType[auxpow.Defect](err); ok && defect.Certain() {
		return err
	}
	return nil
}
