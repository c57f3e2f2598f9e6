package admit

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// A proof is judged by its own commitment: what is wrong with it for another is not held
// against it, whatever outputs its coinbase has.
func TestCarriedProof(t *testing.T) {
	const chainID, bits = 262144, 0x207fffff
	root := chainhash.DoubleHashH([]byte("range"))
	proof, err := mergeminer.Solve(context.Background(), root, chainID, bits, time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(proof.Coinbase.TxOut); n != 3 {
		t.Fatalf("the coinbase has %d outputs: this test is of one that ends with its commitment", n)
	}
	h := &block.AuxPowHeader{ChainID: chainID, Bits: bits, AuxPow: proof}
	judge := func(of chainhash.Hash) *refusal {
		a := &Admitter{opt: Options{Work: func(h *block.AuxPowHeader) error { return h.AuxPow.CheckStructure(of, h.ChainID) }}}
		return a.carried(h)
	}
	if no := judge(root); no != nil {
		t.Errorf("a good proof is refused: %+v", no)
	}
	if no := judge(chainhash.Hash{1}); no == nil || no.kind != message.ActInvalidWork {
		t.Errorf("a proof of another range: %+v", no)
	}
	away := &Admitter{opt: Options{Work: func(*block.AuxPowHeader) error { return fault.New(fault.CannotJudge, "not known") }}}
	if no := away.carried(h); no == nil || no.verdict != Keep || no.kind != "" {
		t.Errorf("a range that is not known: %+v", no)
	}
}
