package standin

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/lru"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// maxDecoded is how many decoded blocks a Work remembers.
const maxDecoded = 8192

// Work does the chain core's slow work with signatures of [Sign]. Blocks are
// decoded for real and remembered. It is for one goroutine at a time.
type Work struct {
	decoded lru.BasicLRU[[32]byte, decoded]
}

type decoded struct {
	block *block.Signed
	root  common.Hash
	err   error
}

// NewWork returns a Work that remembers nothing yet.
func NewWork() *Work {
	return &Work{decoded: lru.NewBasicLRU[[32]byte, decoded](maxDecoded)}
}

// Decode implements chain.Work. The block is shared: it must not be changed.
func (w *Work) Decode(signed []byte) (*block.Signed, common.Hash, error) {
	key := sha256.Sum256(signed)
	d, ok := w.decoded.Get(key)
	if !ok {
		if d.block, d.err = block.Decode(signed); d.err == nil {
			d.root = d.block.Block.Root()
		}
		w.decoded.Add(key, d)
	}
	return d.block, d.root, d.err
}

// Verify implements chain.Work.
func (w *Work) Verify(c *aura.Committee, a aura.Approvals, root common.Hash) error {
	return verify(c, &a, root)
}

// VerifyApproval implements chain.Work.
func (w *Work) VerifyApproval(c *aura.Committee, a aura.Approval, root common.Hash) error {
	if int(a.Authority) >= c.Len() {
		return fault.New(fault.Invalid, "approval of block %s by authority %d: there are %d", root, a.Authority, c.Len())
	}
	if a.Signature != Sign(c.Key(int(a.Authority)), root) {
		return fault.New(fault.Invalid, "approval of block %s: signature is not by authority %d", root, a.Authority)
	}
	return nil
}

// Add implements chain.Work.
func (w *Work) Add(a *aura.Approvals, approval aura.Approval) error { return add(a, approval) }

// Prepare computes nothing ahead: everything here is quick.
func (w *Work) Prepare(core.Message) {}
