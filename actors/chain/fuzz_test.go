package chain_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// FuzzOutside gives a node with some blocks and work handed out arbitrary bytes
// in every place that takes bytes from outside: no turn may fail.
func FuzzOutside(f *testing.F) {
	r := newRig(f, 1, nil)
	r.wait(2500)
	b := r.make("b", plan{parent: "s1002", by: []int{0}})
	h := r.header("s1001", "s1002", common.Address{1})
	f.Add(b.Encode(), h.Encode(), h.AuxPow.Namecoin(), []byte{0})
	f.Add([]byte{}, []byte{0x97}, []byte{1, 0, 0, 0}, []byte{0xff})
	f.Fuzz(func(t *testing.T, signed, header, proof, signature []byte) {
		r := newRig(t, 1, nil)
		r.wait(2500)
		r.receive(chain.Gossip, r.make("b", plan{parent: "s1001"}))
		r.send(miner.ID, &message.CreateAuxBlock{})
		r.send(chain.ID, &message.BlocksReceived{Origin: chain.Sync, Blocks: []message.Block{{Signed: record.NewContent(signed)}, {}}})
		r.send(chain.ID, &message.QueueWork{Header: header})
		r.send(miner.ID, &message.SubmitAuxBlock{Hash: r.aux.Hash, AuxPow: proof})
		var sig aura.Signature
		copy(sig[:], signature)
		r.send(chain.ID, &message.ApprovalReceived{Root: r.blocks["b"].Block.Root(), Authority: uint8(len(signature)), Signature: sig})
		r.restored()
		checkInvariants(r)
		if r.failed > 0 {
			t.Fatal(r.take())
		}
	})
}
