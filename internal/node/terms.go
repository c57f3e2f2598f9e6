package node

import (
	"encoding/binary"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
)

// What events of the Alys node can be found by, beside actors and types.
const (
	kindHeight = index.KindOwn + iota
	kindBlock
	kindTransaction
)

// extractVersion is raised with every change of what Terms gives.
const extractVersion = 1

// Height is the term of events that tell of a block at a height.
func Height(n uint64) index.Term {
	return index.Term{Kind: kindHeight, Value: string(binary.BigEndian.AppendUint64(nil, n))}
}

// BlockHash is the term of events that tell of a block by its root, or by the
// hash of its payload.
func BlockHash(h common.Hash) index.Term { return index.Term{Kind: kindBlock, Value: string(h[:])} }

// Transaction is the term of events that connect a block with a transaction.
func Transaction(h common.Hash) index.Term {
	return index.Term{Kind: kindTransaction, Value: string(h[:])}
}

// Terms returns the extraction that an index of the node's journal is made
// with. The machine only decodes; it may be in use.
func Terms(m *actors.Machine, work *memo.Memo) index.Extract {
	return index.Extract{
		Version: extractVersion,
		Terms: func(e *journal.Event, content func(journal.Hash) ([]byte, error), yield func(index.Kind, []byte)) error {
			t := terms{work: work, content: content, yield: yield}
			if e.Stored {
				t.payload(m, e.Type, e.Schema, e.Message)
			}
			for i := range e.Outputs {
				t.payload(m, e.Outputs[i].Type, e.Outputs[i].Schema, e.Outputs[i].Payload)
			}
			return t.err
		},
	}
}

// terms gives those of one event.
type terms struct {
	work    *memo.Memo
	content func(journal.Hash) ([]byte, error)
	yield   func(index.Kind, []byte)
	err     error // of reading content
}

// payload gives the terms of a message. One that does not decode has none.
func (t *terms) payload(m *actors.Machine, typ string, schema uint32, data []byte) {
	if t.err != nil {
		return
	}
	msg, err := m.DecodeMessage(typ, schema, data, nil)
	if err != nil {
		return
	}
	t.facts(msg)
	t.requests(msg)
}

func (t *terms) facts(msg core.Message) {
	switch m := msg.(type) {
	case *message.BlockConnected:
		t.height(m.Number)
		t.blocks(m.Root, m.PayloadHash)
		t.transactions(journal.Hash(m.Signed.Hash))
	case *message.BlockReverted:
		t.height(m.Number)
		t.blocks(m.Root)
	case *message.HeadChanged:
		t.height(m.Number)
		t.blocks(m.Root, m.PayloadHash)
	case *message.BlockFinalized:
		t.height(m.Number, m.CarrierNumber)
		t.blocks(m.Root, m.PayloadHash, m.Carrier)
	case *message.BlockRefused:
		t.height(m.Number)
		t.blocks(m.Root)
	case *message.BlockProduced:
		t.height(m.Number)
		t.blocks(m.Root)
	case *message.WorkQueued:
		t.height(m.Height)
		t.blocks(m.RangeStart, m.RangeEnd)
	case *message.WorkDropped:
		t.blocks(m.RangeStart, m.RangeEnd)
	case *message.LegacyImported:
		t.ids(m.Head, m.LatestPow, m.Finalized)
	}
}

func (t *terms) requests(msg core.Message) {
	switch m := msg.(type) {
	case *message.BlocksReceived:
		for i := range m.Blocks {
			t.received(journal.Hash(m.Blocks[i].Signed.Hash))
		}
	case *message.ApprovalReceived:
		t.blocks(m.Root)
	case *message.SignBlock:
		t.height(m.Number)
		t.blocks(m.Root)
	case *message.BlockSigned:
		t.blocks(m.Root)
	case *message.SignRefused:
		t.blocks(m.Root)
	case *message.BlocksExecuted:
		for i := range m.Results {
			t.blocks(m.Results[i].PayloadHash)
		}
	case *message.PayloadsImported:
		for i := range m.Results {
			t.blocks(m.Results[i].PayloadHash)
		}
	case *message.AuxBlock:
		t.height(m.Height)
		t.blocks(m.RangeStart, m.RangeEnd)
	case *message.LegacyHead:
		t.ids(m.Head, m.LatestPow)
	}
}

func (t *terms) height(list ...uint64) {
	var b [8]byte
	for _, n := range list {
		binary.BigEndian.PutUint64(b[:], n)
		t.yield(kindHeight, b[:])
	}
}

func (t *terms) blocks(list ...common.Hash) {
	for _, h := range list {
		if h != (common.Hash{}) {
			t.yield(kindBlock, h[:])
		}
	}
}

func (t *terms) ids(list ...*message.BlockID) {
	for _, id := range list {
		if id != nil {
			t.height(id.Number)
			t.blocks(id.Root)
		}
	}
}

// received gives height and root of a block that came from outside, which may
// be none at all.
func (t *terms) received(h journal.Hash) {
	if s, root := t.block(h); s != nil {
		t.height(s.Block.Payload.BlockNumber)
		t.blocks(root, s.Block.Payload.BlockHash)
	}
}

func (t *terms) transactions(h journal.Hash) {
	if s, _ := t.block(h); s != nil {
		for _, raw := range s.Block.Payload.Transactions {
			t.yield(kindTransaction, crypto.Keccak256(raw))
		}
	}
}

// block reads a block; nil when it does not decode, or there is none, as for
// the genesis.
func (t *terms) block(h journal.Hash) (*block.Signed, common.Hash) {
	if h == (journal.Hash{}) || t.err != nil {
		return nil, common.Hash{}
	}
	data, err := t.content(h)
	if err != nil {
		t.err = err
		return nil, common.Hash{}
	}
	s, root, err := t.work.Decode(data)
	if err != nil {
		return nil, common.Hash{}
	}
	return s, root
}

// TermName returns what terms of a kind are about, for people.
func TermName(k index.Kind) string {
	switch k {
	case index.KindActor:
		return "actor"
	case index.KindMessage:
		return "message"
	case index.KindFact:
		return "fact"
	case index.KindRequest:
		return "request"
	case kindHeight:
		return "height"
	case kindBlock:
		return "block"
	case kindTransaction:
		return "transaction"
	default:
		return fmt.Sprintf("kind %d", k)
	}
}
