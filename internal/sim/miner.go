package sim

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// mergeMiner asks members for work and hands proofs in, some of them late, some
// wrong, some twice.
type mergeMiner struct {
	w     *world
	found int
}

// recipient of the miner's fees.
var recipient = common.HexToAddress("0x00000000000000000000000000000000000000aa")

// start has the miner work for ever.
func (g *mergeMiner) start() {
	g.w.after(g.w.plan.miningPause(g.w.rand.miner), "miner", -1, func() {
		g.mine()
		g.start()
	})
}

func (g *mergeMiner) mine() {
	m := g.w.pick(g.w.rand.miner, alive)
	if m == nil {
		return
	}
	m.process.ask(miner.ID, func(request uint64) core.Message {
		return &message.CreateAuxBlock{Request: request, FeeRecipient: recipient}
	}, func(answer core.Message) {
		if work, ok := answer.(*message.AuxBlock); ok && work.Error == "" {
			g.solve(m, work)
		}
	})
}

func (g *mergeMiner) solve(m *member, work *message.AuxBlock) {
	proof, err := standin.Solve(chainhash.Hash(work.Hash), work.ChainID, work.Bits)
	if err != nil {
		g.w.fail("turn", []*member{m}, "member %d hands out work that nobody can do: %v", m.index, err)
		return
	}
	bytes := proof.Namecoin()
	r := g.w.rand.miner
	if r.IntN(12) == 0 {
		bytes[r.IntN(len(bytes))] ^= 1
	}
	submit := func() {
		if m.process == nil {
			return
		}
		m.process.ask(miner.ID, func(request uint64) core.Message {
			return &message.SubmitAuxBlock{Request: request, Hash: work.Hash, AuxPow: bytes}
		}, func(core.Message) {})
	}
	g.found++
	delay := g.w.plan.miningTime(r)
	g.w.after(delay, "proof", m.index, submit)
	if r.IntN(10) == 0 {
		g.w.after(delay+r.Int64N(4*slot), "proof", m.index, submit)
	}
}
