package heads_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/heads"
)

func root(n byte) common.Hash { return common.Hash{n} }

// story is a short life of a chain, as facts.
var story = []core.Message{
	&message.BlockConnected{Root: root(1), Carrier: true},
	&message.HeadChanged{Root: root(1)},
	&message.BlockProduced{Root: root(2), Number: 1},
	&message.BlockConnected{Root: root(2), Number: 1, Slot: 7, Timestamp: 70},
	&message.HeadChanged{Root: root(2), Number: 1},
	&message.WorkQueued{RangeStart: root(2), RangeEnd: root(2)},
	&message.SlotSkipped{Slot: 8, Reason: "the execution layer is behind the head"},
	&message.BlockConnected{Root: root(3), Number: 2, Slot: 9, Timestamp: 90, Carrier: true},
	&message.BlockFinalized{Root: root(2), Number: 1, Carrier: root(3), CarrierNumber: 2},
	&message.HeadChanged{Root: root(3), Number: 2},
	&message.ClockStepped{OffsetMs: 5000},
	&message.BlockRefused{Root: root(9), Number: 3},
}

var end = heads.View{
	Head: message.BlockID{Root: root(3), Number: 2}, Finalized: message.BlockID{Root: root(2), Number: 1},
	LatestPow: message.BlockID{Root: root(3), Number: 2}, HeadSlot: 9, HeadTime: 90,
	Produced: 1, Connected: 3, Refused: 1, SlotsSkipped: 1, LastSkip: "the execution layer is behind the head", ClockStepped: true,
}

// Folding live and folding the journal's facts give the same view, also from
// the middle on.
func TestFoldAndFollow(t *testing.T) {
	j, err := journal.Open(journal.Options{FS: vfs.NewMem(), Dir: "j", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i, m := range story {
		payload, contents := record.Encode(m)
		if len(contents) > 0 {
			t.Fatal("the story needs no content")
		}
		_, err := j.Append(&journal.Event{
			Sequence: uint64(i + 1), Actor: "chain", Type: "timer_fired", Schema: 1, Stored: true, Message: []byte{8, 2},
			Outputs: []journal.Output{
				{Kind: journal.KindFact, Type: m.Type(), Schema: m.Schema(), Payload: payload},
				{Kind: journal.KindFact, Type: "a fact of a later version", Schema: 1},
			},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(context.Background(), j.Head().Sequence); err != nil {
		t.Fatal(err)
	}
	for from := range story {
		var v heads.View
		for _, m := range story[:from] {
			v.Fold(m)
		}
		if err := v.Follow(context.Background(), j, uint64(from+1)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(end, v); diff != "" {
			t.Errorf("from fact %d: %s", from, diff)
		}
	}
}
