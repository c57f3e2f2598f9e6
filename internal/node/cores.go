package node

import (
	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// Behaviour is the version of the cores' rules. It is raised with every change
// that makes a core answer differently; a journal written by another behaviour
// is refused, for its replay would differ. (architecture.md 3)
const Behaviour uint32 = 1

// NewMachine returns the machine of the Alys node for a journal.
func NewMachine(id journal.ID, work chain.Work) (*actors.Machine, error) {
	return actors.NewMachine(id, []core.Core{
		supervisor.New(chain.ID, engine.ID, miner.ID),
		chain.New(work),
		engine.New(),
		miner.New(),
	}, []core.Message{
		&message.StartTimer{}, &message.SignBlock{}, &message.ImportPayloads{}, &message.BuildPayload{},
		&message.AuxBlock{}, &message.AuxBlockJudged{}, &message.StopProcess{},
		&message.BlockConnected{}, &message.BlockReverted{}, &message.HeadChanged{}, &message.BlockFinalized{},
		&message.BlockRefused{}, &message.BlockProduced{}, &message.SlotSkipped{}, &message.ClockStepped{},
		&message.WorkQueued{}, &message.WorkDropped{}, &message.LegacyImported{}, &message.LegacyDiffers{},
	})
}

// chainState returns the chain actor's state of a machine.
func chainState(m *actors.Machine) *chain.State { return m.State(chain.ID).(*chain.State) }
