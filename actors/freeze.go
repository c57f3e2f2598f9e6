package actors

import (
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/snapshot"
)

// RuntimeSection is the name of the runtime's own state in a snapshot. No actor
// can have it, for it is no actor name.
const RuntimeSection = "runtime"

// Freeze returns the states of all actors and the runtime's own as they are
// now. The sections stay as they are while the machine goes on.
func (m *Machine) Freeze() []snapshot.Section {
	own := m.own.clone()
	sections := []snapshot.Section{{Name: RuntimeSection, Walk: own.walk}}
	for _, id := range m.order {
		frozen := m.actors[id].state.Clone()
		sections = append(sections, snapshot.Section{Name: string(id), Walk: frozen.Walk})
	}
	return sections
}

// Load takes one entry of a frozen section into a machine at sequence 0.
func (m *Machine) Load(section string, key, value []byte, resolve record.Resolver) error {
	if section == RuntimeSection {
		return m.loadOwn(key, value, resolve)
	}
	a := m.actors[core.ID(section)]
	if a == nil {
		return fault.New(fault.Invalid, "snapshot holds the state of an actor %q that this program does not have", section)
	}
	return a.state.Load(key, value, resolve)
}
