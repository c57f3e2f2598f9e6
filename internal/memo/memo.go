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
	key := m.verdictKey(c, a, root)
	if err, ok := m.verdicts.Get(key); ok {
		return err
	}
	err := c.Verify(&a, root)
	m.verdicts.Add(key, err)
	return err
}

func (m *Memo) verdictKey(c *aura.Committee, a aura.Approvals, root common.Hash) [32]byte {
	h := sha256.New()
	for i := range c.Len() {
		key := c.Key(i)
		h.Write(key[:])
	}
	h.Write(a.Bits[:])
	h.Write(a.Signature[:])
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
		m.committeeMu.Lock()
		committee := m.committee
		m.committeeMu.Unlock()
		m.prepareBlocks(committee, msg.Blocks)
	}
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
