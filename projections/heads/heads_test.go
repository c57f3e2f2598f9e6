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
	&message.BlockConnected{Root: root(4), Number: 3, Slot: 10, Timestamp: 100, Carrier: true, Parent: root(3)},
	&message.HeadChanged{Root: root(4), Number: 3},
	// A reorganisation of depth 2, which takes both carriers back.
	&message.BlockReverted{Root: root(4), Number: 3},
	&message.BlockReverted{Root: root(3), Number: 2},
	&message.BlockConnected{Root: root(13), Number: 2, Slot: 11, Timestamp: 110, Parent: root(2)},
	&message.BlockConnected{Root: root(14), Number: 3, Slot: 12, Timestamp: 120, Parent: root(13)},
	&message.BlockConnected{Root: root(15), Number: 4, Slot: 13, Timestamp: 130, Parent: root(14)},
	&message.HeadChanged{Root: root(15), Number: 4},
	&message.ApprovalMade{Root: root(16), Number: 5, RangeEnd: root(13)},
	&message.ApprovalMade{Root: root(17), Number: 6, RangeEnd: root(14)},
	&message.ApprovalMade{Root: root(18), Number: 7},
	&message.ApprovalWithheld{Root: root(19), Number: 7, Rule: "approval_lock", Reason: "excludes block 3"},
	&message.ApprovalMade{Root: root(14), Number: 1, Slot: 15, RangeEnd: root(12)},
	&message.ApprovalMade{Root: root(23), Number: 8, Slot: 14, RangeEnd: root(24)},
	&message.LockEnded{RangeEnd: root(13), By: "finality"},
	&message.StatementMade{RangeEnd: root(25)},
	&message.BranchExcluded{Root: root(21), Number: 9, Finalized: &message.BlockID{Root: root(2), Number: 1}, Ancestor: &message.BlockID{Root: root(1)}},
	&message.FinalityConflict{Ours: &message.BlockID{Root: root(2), Number: 1}, OurCarrier: root(3), Other: &message.BlockID{Root: root(22), Number: 2}, OtherCarrier: root(23)},
}

func id(n byte, number uint64) message.BlockID { return message.BlockID{Root: root(n), Number: number} }

var end = heads.View{
	Head: id(15, 4), Finalized: id(2, 1), LatestPow: id(1, 0), HeadSlot: 13, HeadTime: 130,
	Produced: 1, Connected: 7, Refused: 1, SlotsSkipped: 1, LastSkip: "the execution layer is behind the head", ClockStepped: true,
	Reorgs: heads.Reorgs{Count: 1, Deepest: 2, Last: &heads.Reorg{
		Depth: 2, From: id(4, 3), Ancestor: id(2, 1), To: id(15, 4),
		Text: "2 blocks from 3 " + root(4).Hex() + " back to 1 " + root(2).Hex() + ", then up to 4 " + root(15).Hex(),
	}},
	Approving: heads.Approving{Made: 5, Withheld: 1, LastWithheld: "approval_lock: excludes block 3", LocksEnded: 1, LastSlot: 15, Statements: []string{root(25).Hex()}, Locks: []heads.Lock{
		{RangeEnd: root(14).Hex(), Carrier: root(17).Hex(), CarrierNumber: 6},
		{RangeEnd: root(12).Hex(), Carrier: root(14).Hex(), CarrierNumber: 1, Slot: 15},
		{RangeEnd: root(24).Hex(), Carrier: root(23).Hex(), CarrierNumber: 8, Slot: 14},
	}},
	Excluded: &heads.Excluded{Tip: id(21, 9), Finalized: id(2, 1), Ancestor: id(1, 0),
		Text: "the branch that ends in block 9 " + root(21).Hex() + " has a quorum and is longer, but leaves at block 0 " + root(1).Hex() + ", below the finalised block 1 " + root(2).Hex()},
	Conflict: &heads.Conflict{Ours: id(2, 1), Other: id(22, 2),
		Text: "block 1 " + root(2).Hex() + " is final by carrier " + root(3).Hex() + ", and block 2 " + root(22).Hex() + ", which conflicts with it, by carrier " + root(23).Hex()},
	Carriers: []message.BlockID{id(1, 0)},
}

// An operator's decision takes the finalised block down and the exclusion away; so
// does finality that passes the excluded branch.
func TestExclusionEnds(t *testing.T) {
	for _, m := range []core.Message{
		&message.BranchDecided{Root: root(21), Number: 9, Ancestor: &message.BlockID{Root: root(1)}},
		&message.BlockFinalized{Root: root(30), Number: 9},
	} {
		v := end
		v.Fold(&message.BlockFinalized{Root: root(29), Number: 8})
		if v.Excluded == nil {
			t.Fatal("finality below the branch ends its exclusion")
		}
		if v.Fold(m); v.Excluded != nil {
			t.Errorf("%s leaves it excluded", m.Type())
		}
	}
}

// Finality ends what is shown of a lock when its range end is the finalised block, or
// its carrier is not above it.
func TestFinalityPassesLocks(t *testing.T) {
	v := end
	v.Fold(&message.BlockFinalized{Root: root(24), Number: 5})
	if diff := cmp.Diff([]heads.Lock{{RangeEnd: root(14).Hex(), Carrier: root(17).Hex(), CarrierNumber: 6}}, v.Approving.Locks); diff != "" {
		t.Error(diff)
	}
	if len(end.Approving.Locks) != 3 {
		t.Error("the list that a reader holds changed")
	}
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
