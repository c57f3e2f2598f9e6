// Package cores is the machine of the Alys node: which actors it has, of which
// behaviour they are, and how states of older behaviours become theirs. The node,
// replay and the simulators run the same one.
//
//	m, err := cores.NewMachine(journal.ID(), memo.New())
//
// It links no execution client, so that programs which need the machine alone are small.
package cores

import (
	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/actors/sync"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// released is the version of the cores' rules. It is raised with every change
// that makes a core answer or remember differently.
const released uint32 = 2

// Behaviour is the version of this program's rules. A journal of an older one is
// upgraded from the snapshot of a clean stop, by the migrations below; one of a
// newer is refused. A test holds testdata/behaviour.txt to it. (architecture.md 3)
const Behaviour = released + beyond

// Migrations lead from every released behaviour to the next.
func Migrations() []actors.Migration {
	return append([]actors.Migration{
		// What 2 remembers beyond this begins empty.
		{From: 1, Sections: map[string]func(snapshot.Section) snapshot.Section{
			string(chain.ID): func(old snapshot.Section) snapshot.Section {
				return snapshot.Section{Name: old.Name, Walk: chain.FromBehaviour1(old.Walk)}
			},
		}},
	}, beyondMigrations...)
}

// NewMachine returns the machine of the Alys node for a journal.
func NewMachine(id journal.ID, work chain.Work) (*actors.Machine, error) {
	return actors.NewMachine(id, beyondCores([]core.Core{
		supervisor.New(bridge.ID, chain.ID, engine.ID, miner.ID, network.ID, sync.ID), // the bridge knows the chain spec before it is told blocks
		chain.New(work),
		engine.New(),
		miner.New(),
		bridge.New(),
		network.New(sync.ID),
		sync.New(),
	}), []core.Message{
		&message.StartTimer{}, &message.SignBlock{}, &message.ImportPayloads{}, &message.BuildPayload{}, &message.UpdateForkchoice{},
		&message.AuxBlock{}, &message.AuxBlockJudged{}, &message.StopProcess{},
		&message.BlockConnected{}, &message.BlockReverted{}, &message.HeadChanged{}, &message.BlockFinalized{},
		&message.BlockRefused{}, &message.BlockProduced{}, &message.SlotSkipped{}, &message.ClockStepped{},
		&message.WorkQueued{}, &message.WorkDropped{}, &message.LegacyImported{}, &message.LegacyDiffers{},
		&message.SigningHeld{}, &message.SigningReleased{}, &message.SigningAnswer{},
		&message.HeadRefused{}, &message.SyncedChanged{}, &message.SyncAssumed{},
		&message.FetchRange{}, &message.SyncProgressed{}, &message.SyncStalled{},
		&message.KeyInUse{}, &message.Equivocation{}, &message.FetchApprovals{},
		&message.PublishBlock{}, &message.PublishWork{}, &message.FetchBlocks{}, &message.OperatorAnswer{},
		&message.SignApproval{}, &message.SignStatement{}, &message.PublishApproval{},
		&message.ApprovalMade{}, &message.ApprovalWithheld{}, &message.RangeLocked{}, &message.LockEnded{}, &message.StatementMade{},
		&message.BranchExcluded{}, &message.BranchDecided{}, &message.BranchKept{}, &message.FinalityConflict{},
		&message.FollowBitcoin{}, &message.FetchTransaction{}, &message.BroadcastTransaction{}, &message.SignPayout{}, &message.PublishSignatures{}, &message.FetchSignatures{},
		&message.PegInChanged{}, &message.PegOutChanged{}, &message.PaymentChanged{}, &message.WalletChanged{},
		&message.BitcoinTipChanged{}, &message.BitcoinLost{}, &message.PegHalted{}, &message.PegResumed{}, &message.PegAlarm{},
		&message.GuideConnections{}, &message.DisconnectPeer{}, &message.PeerJoined{}, &message.PeerLeft{}, &message.PeerScored{}, &message.PeerBanned{}, &message.PeerUnbanned{},
	})
}
