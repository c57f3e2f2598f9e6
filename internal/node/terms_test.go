package node

import (
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
)

// Terms of an event: those of its stored message and of its outputs, and the
// transactions of a block that it connects.
func TestTerms(t *testing.T) {
	tx := []byte{2, 1, 2, 3}
	s := &block.Signed{}
	s.Approvals.Bits[1] = 0x80
	s.Block.Payload.BlockNumber = 9
	s.Block.Payload.BlockHash = common.Hash{8}
	s.Block.Payload.Transactions = [][]byte{tx}
	signed := s.Encode()
	decoded, root, err := memo.New().Decode(signed)
	if err != nil {
		t.Fatal(err)
	}
	number := decoded.Block.Payload.BlockNumber
	content := record.NewContent(signed)
	output := func(kind journal.Kind, m core.Message) journal.Output {
		data, _ := record.Encode(m)
		return journal.Output{Kind: kind, Type: m.Type(), Schema: m.Schema(), Payload: data}
	}
	received, _ := record.Encode(&message.BlocksReceived{Origin: "sync", Blocks: []message.Block{{Signed: content}}})
	e := &journal.Event{
		Sequence: 1, Actor: "chain", Type: (&message.BlocksReceived{}).Type(), Schema: 1, Stored: true, Message: received,
		Outputs: []journal.Output{
			output(journal.KindFact, &message.BlockConnected{Root: common.Hash{1}, Number: 4, PayloadHash: common.Hash{2}, Signed: content}),
			output(journal.KindEffect, &message.SignBlock{Root: common.Hash{3}, Number: 5}),
			{Kind: journal.KindFact, Type: "block_reverted", Schema: 1, Payload: []byte{0xff}}, // does not decode
			{Kind: journal.KindFact, Type: "unknown", Schema: 1},
		},
	}
	m, err := NewMachine(journal.ID{}, memo.New())
	if err != nil {
		t.Fatal(err)
	}
	var got []index.Term
	resolve := func(h journal.Hash) ([]byte, error) {
		if h != journal.Hash(content.Hash) {
			t.Errorf("content %s is asked for", h)
		}
		return signed, nil
	}
	terms := func() error {
		got = nil
		return Terms(m, memo.New()).Terms(e, resolve, func(k index.Kind, value []byte) {
			got = append(got, index.Term{Kind: k, Value: string(value)})
		})
	}
	if err := terms(); err != nil {
		t.Fatal(err)
	}
	want := []index.Term{
		Height(number), BlockHash(root), BlockHash(common.Hash{8}),
		Height(4), BlockHash(common.Hash{1}), BlockHash(common.Hash{2}), Transaction(crypto.Keccak256Hash(tx)),
		Height(5), BlockHash(common.Hash{3}),
	}
	if !slices.Equal(got, want) {
		t.Errorf("terms %q, want %q", got, want)
	}
	resolve = func(journal.Hash) ([]byte, error) { return nil, journal.ErrNotFound }
	if terms() == nil {
		t.Error("content that is missing is no error")
	}
}
