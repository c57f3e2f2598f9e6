package node

import (
	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/journal"
)

// Behaviour is the version of this program's rules: [cores.Behaviour].
const Behaviour = cores.Behaviour

// NewMachine is [cores.NewMachine].
func NewMachine(id journal.ID, work chain.Work) (*actors.Machine, error) {
	return cores.NewMachine(id, work)
}

// chainState returns the chain actor's state of a machine.
func chainState(m *actors.Machine) *chain.State { return m.State(chain.ID).(*chain.State) }
