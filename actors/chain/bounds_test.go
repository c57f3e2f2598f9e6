package chain

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// anySignature is work for which every signature is good.
type anySignature struct{ Work }

func (anySignature) Verify(*aura.Committee, aura.Approvals, common.Hash) error        { return nil }
func (anySignature) VerifyApproval(*aura.Committee, aura.Approval, common.Hash) error { return nil }

// Orphans are bounded on one parent, in number and in bytes; the oldest goes first.
// The missing block is asked for once, and again when time has passed.
func TestOrphansAreBounded(t *testing.T) {
	s := configured(longChain(10))
	s.Fetches = nil
	asked := 0
	keep := func(parent, root common.Hash, size int, now int64) {
		t.Helper()
		x := newTurn(s)
		x.work, x.Time = anySignature{}, now
		signed := &block.Signed{}
		signed.Block.ParentHash, signed.Block.Payload.BlockNumber = parent, 20
		if no := x.keepOrphan(record.Content{Hash: root, Data: make([]byte, size)}, signed, root, Gossip); no != nil {
			t.Fatal(no.reason)
		}
		for _, o := range x.out.List() {
			if m, ok := o.Message.(*message.FetchBlocks); ok && m.Root == parent {
				asked++
			}
		}
	}
	for i := range uint64(100) {
		keep(common.Hash{1}, rootOf(1, i), 10, 0)
	}
	if n := s.Orphans(); n != maxOrphansPerParent || s.Orphan(rootOf(1, 99)) == nil || s.Orphan(rootOf(1, 0)) != nil {
		t.Errorf("%d orphans on one parent", n)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	keep(common.Hash{1}, rootOf(1, 100), 10, askAgainMs-1)
	keep(common.Hash{1}, rootOf(1, 101), 10, askAgainMs)
	if asked != 2 {
		t.Errorf("asked %d times after a while", asked)
	}
	for i := range uint64(3000) {
		keep(rootOf(2, i), rootOf(3, i), 10, 0)
	}
	if n := s.Orphans(); n != maxOrphans || s.Orphan(rootOf(3, 2999)) == nil || len(s.Fetches) != maxFetches {
		t.Errorf("%d orphans, %d missing blocks asked for", n, len(s.Fetches))
	}
	for i := range uint64(10) {
		keep(rootOf(4, i), rootOf(5, i), 8<<20, 0)
	}
	if s.orphans.size > maxOrphanBytes || s.Orphan(rootOf(5, 9)) == nil || s.orphans.byAge.Len() != s.Orphans() || s.orphans.byParent.Len() != s.Orphans() {
		t.Errorf("%d orphans of %d bytes", s.Orphans(), s.orphans.size)
	}
}

// A member's early approvals push out his own oldest, nobody else's.
func TestEarlyApprovalsAreBounded(t *testing.T) {
	s := configured(longChain(10))
	s.rules.spec.Authorities = append(s.rules.spec.Authorities, s.rules.spec.Authorities[0], s.rules.spec.Authorities[0], s.rules.spec.Authorities[0])
	receive := func(member uint8, root common.Hash) {
		x := newTurn(s)
		x.work = anySignature{}
		x.approvalReceived(&message.ApprovalReceived{Root: root, Authority: member, Signature: aura.Signature{member + 1}})
	}
	receive(2, rootOf(7, 1))
	for i := range uint64(2000) {
		receive(1, rootOf(7, i))
	}
	receive(1, rootOf(7, 1999))
	if n := s.EarlyApprovals(); n != maxEarly+1 || s.early.count[1] != maxEarly {
		t.Errorf("%d early approvals", n)
	}
	if len(s.early.of(rootOf(7, 1))) != 1 || len(s.early.of(rootOf(7, 1999))) != 1 || len(s.early.of(rootOf(7, 0))) != 0 {
		t.Error("the wrong ones are kept")
	}
}
