// Package memo remembers results of slow pure functions: block decoding and
// approval checks. Workers fill it ahead of the sequencer; a core that asks for
// a result gets what the function itself would answer, computed now or before.
//
// So a memo never changes an answer, only its cost. It is safe for concurrent
// use and bounded.
package memo

import (
	"crypto/sha256"
	"runtime"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/lru"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Bounds of a memo: decoded blocks are kept up to maxDecodedBytes of their
// encoding, each counted with entryBytes for what else it takes, so that junk of
// a few bytes is bounded too.
const (
	maxDecodedBytes = 24 << 20
	entryBytes      = 512
	maxVerdicts     = 16 << 10
)

// Memo is a set of remembered results. Create it with [New].
type Memo struct {
	mu       sync.Mutex
	decoded  lru.BasicLRU[[32]byte, *decoded]
	bytes    int
	verdicts *lru.Cache[[32]byte, error]

	committeeMu sync.Mutex
	committee   *aura.Committee
}

type decoded struct {
	block *block.Signed
	root  common.Hash
	err   error
	size  int
}

// New returns an empty memo.
func New() *Memo {
	return &Memo{
		// Never full: it would let go of entries without a word, and the count
		// of bytes would be wrong.
		decoded:  lru.NewBasicLRU[[32]byte, *decoded](maxDecodedBytes/entryBytes + 2),
		verdicts: lru.NewCache[[32]byte, error](maxVerdicts),
	}
}

// Decode is block.Decode, with the block's root. The block is shared: it must
// not be changed.
func (m *Memo) Decode(signed []byte) (*block.Signed, common.Hash, error) {
	key := sha256.Sum256(signed)
	m.mu.Lock()
	d, ok := m.decoded.Get(key)
	m.mu.Unlock()
	if ok {
		return d.block, d.root, d.err
	}
	d = &decoded{size: len(signed) + entryBytes}
	if d.block, d.err = block.Decode(signed); d.err == nil {
		d.root = d.block.Block.Root()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.decoded.Contains(key) {
		m.decoded.Add(key, d)
		m.bytes += d.size
	}
	for m.bytes > maxDecodedBytes {
		_, oldest, _ := m.decoded.RemoveOldest()
		m.bytes -= oldest.size
	}
	return d.block, d.root, d.err
}

// Verify is Committee.Verify.
func (m *Memo) Verify(c *aura.Committee, a aura.Approvals, root common.Hash) error {
	return m.verdict(verdictKey(c, 0, a.Bits[:], a.Signature, root), func() error { return c.Verify(&a, root) })
}

// VerifyApproval is Committee.VerifyApproval.
func (m *Memo) VerifyApproval(c *aura.Committee, a aura.Approval, root common.Hash) error {
	key := verdictKey(c, 1, []byte{a.Authority}, a.Signature, root)
	return m.verdict(key, func() error { return c.VerifyApproval(a, root) })
}

// Add is Approvals.Add. It is not remembered: what it adds to is known in the turn only.
func (*Memo) Add(a *aura.Approvals, approval aura.Approval) error { return a.Add(approval) }

func (m *Memo) verdict(key [32]byte, check func() error) error {
	if err, ok := m.verdicts.Get(key); ok {
		return err
	}
	err := check()
	m.verdicts.Add(key, err)
	return err
}

func verdictKey(c *aura.Committee, kind byte, signers []byte, signature aura.Signature, root common.Hash) [32]byte {
	h := sha256.New()
	for i := range c.Len() {
		key := c.Key(i)
		h.Write(key[:])
	}
	h.Write([]byte{kind})
	h.Write(signers)
	h.Write(signature[:])
	h.Write(root[:])
	return [32]byte(h.Sum(nil))
}

// Prepare computes ahead what handling msg will ask for, on all processors. It
// learns the authorities from the configuration message, which comes first.
func (m *Memo) Prepare(msg core.Message) {
	switch msg := msg.(type) {
	case *message.NodeConfigured:
		if c, _, err := spec.Parse(msg.ChainSpec.Data); err == nil {
			if committee, err := aura.NewCommittee(c.Authorities); err == nil {
				m.committeeMu.Lock()
				m.committee = committee
				m.committeeMu.Unlock()
			}
		}
	case *message.BlocksReceived:
		m.prepareBlocks(m.known(), msg.Blocks)
	case *message.ApprovalReceived:
		if committee := m.known(); committee != nil {
			a := aura.Approval{Signature: msg.Signature, Authority: msg.Authority}
			_ = m.VerifyApproval(committee, a, msg.Root) // remembered, good or bad
		}
	}
}

// known is the committee of the last configuration, or nil.
func (m *Memo) known() *aura.Committee {
	m.committeeMu.Lock()
	defer m.committeeMu.Unlock()
	return m.committee
}

func (m *Memo) prepareBlocks(committee *aura.Committee, blocks []message.Block) {
	workers := min(runtime.GOMAXPROCS(0), len(blocks))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(blocks); i += workers {
				signed, root, err := m.Decode(blocks[i].Signed.Data)
				if err == nil && committee != nil {
					_ = m.Verify(committee, signed.Approvals, root) // remembered, good or bad
				}
			}
		})
	}
	wg.Wait()
}
