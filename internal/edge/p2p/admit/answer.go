package admit

import (
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// JudgeApproval judges an approval that was asked for. From is who sent it.
func (a *Admitter) JudgeApproval(m *message.ApprovalReceived, from string) Result {
	out, good, no := a.judgeApproval(&gossip.ApproveBlock{Root: m.Root, Approval: aura.Approval{Signature: m.Signature, Authority: m.Authority}})
	return result(Heard{From: from, Author: from}, out, good, no)
}

// JudgeSignatures judges signatures of payments that were asked for. From is who sent them.
func (a *Admitter) JudgeSignatures(m *message.SignaturesReceived, from string) Result {
	g := &gossip.PegoutSignatures{Entries: make([]gossip.PegoutEntry, len(m.Payments))}
	for i := range m.Payments {
		p, e := &m.Payments[i], &g.Entries[i]
		e.Txid, e.PublicKey, e.Signatures = p.Txid, p.Key, make([][64]byte, len(p.Signatures))
		for k := range p.Signatures {
			e.Signatures[k] = p.Signatures[k].Value
		}
	}
	out, good, no := a.judgeSignatures(g)
	return result(Heard{From: from, Author: from}, out, good, no)
}
