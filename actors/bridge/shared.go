package bridge

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Shared returns what of the state depends on blocks alone: the head's branch as far as
// the state keeps it with its wallets, the transactions that these are computed from, and the
// payments it proposes with what they spend. What this node signs, heard of other members,
// followed of Bitcoin or was told by its operator is not in it, so it may begin another
// node's journal. (architecture.md 2)
func (s *State) Shared() *State {
	c := newState()
	c.pointers = pointers{Base: s.Base, Head: s.Head, Finalized: s.Finalized, Before: s.Before, Incomplete: s.Incomplete}
	if s.Config != nil {
		c.Config = &message.NodeConfigured{ChainSpec: s.Config.ChainSpec, GenesisPayload: s.Config.GenesisPayload, Behaviour: s.Config.Behaviour}
		c.rules = s.rules
	}
	proposals := map[chainhash.Hash]uint32{} // looked up only
	for b := s.Block(s.Head.Root); b != nil; b = s.Block(b.Parent) {
		c.putBlock(b)
		if b.Payment != nil {
			proposals[b.Payment.TxHash()]++
		}
		for _, id := range b.PegIns {
			c.takeOver(s.Deposit(id.Txid))
		}
		if b.Payment != nil { // it may spend what no block minted
			for _, in := range b.Payment.TxIn {
				c.takeOver(s.Deposit(in.PreviousOutPoint.Hash))
			}
		}
		if b.Root == s.Base.Root {
			break
		}
	}
	s.byTxid.Scan(func(p *Payment) bool {
		if p.OnHead {
			c.putPayment(&Payment{
				Txid: p.Txid, Raw: p.Raw, Root: p.Root, Number: p.Number, Blocks: proposals[p.Txid], OnHead: true,
				Prevouts: p.Prevouts, Pays: p.Pays, Carrier: p.Carrier, Signed: p.Signed, tx: p.tx,
			})
		}
		return true
	})
	return c
}

// takeOver keeps a deposit's transaction without its place in Bitcoin.
func (s *State) takeOver(d *Deposit) {
	if d != nil {
		s.putDeposit(&Deposit{Txid: d.Txid, Raw: d.Raw, Block: d.Block, State: d.State, Reason: d.Reason, Root: d.Root, Number: d.Number, tx: d.tx})
	}
}
