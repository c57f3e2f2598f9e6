//go:build nextbehaviour

package cores

import (
	"bytes"
	"encoding/binary"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/snapshot"
)

const beyond = 1

// The engine actor of the next behaviour counts what it is asked (a state with
// one entry more) and publishes a fact at each configuration (another rule).
func beyondCores(cores []core.Core) []core.Core {
	for i, c := range cores {
		if c.ID() == engine.ID {
			cores[i] = countingEngine{c}
		}
	}
	return cores
}

var beyondMigrations = []actors.Migration{{
	From: released,
	Sections: map[string]func(snapshot.Section) snapshot.Section{
		string(engine.ID): func(old snapshot.Section) snapshot.Section {
			return snapshot.Section{Name: old.Name, Walk: func(yield func(key, value []byte) error) error {
				if err := old.Walk(yield); err != nil {
					return err
				}
				return yield(countKey, binary.BigEndian.AppendUint64(nil, 0))
			}}
		},
	},
}}

// countKey sorts behind the one key of the engine actor's state.
var countKey = bytes.Repeat([]byte{0xff}, 9)

type countingEngine struct{ core.Core }

func (c countingEngine) NewState() core.State { return &countingState{State: c.Core.NewState()} }

func (c countingEngine) Handle(s core.State, m core.Message, t core.Turn, out *core.Out) {
	state := s.(*countingState)
	state.count++
	c.Core.Handle(state.State, m, t, out)
	if _, ok := m.(*message.NodeConfigured); ok {
		out.Fact(&message.SlotSkipped{Slot: state.count, Reason: "the next behaviour counts"})
	}
}

type countingState struct {
	core.State
	count uint64
}

func (s *countingState) Clone() core.State { return &countingState{s.State.Clone(), s.count} }

func (s *countingState) Walk(yield func(key, value []byte) error) error {
	if err := s.State.Walk(yield); err != nil {
		return err
	}
	return yield(countKey, binary.BigEndian.AppendUint64(nil, s.count))
}

func (s *countingState) Load(key, value []byte, resolve record.Resolver) error {
	if !bytes.Equal(key, countKey) {
		return s.State.Load(key, value, resolve)
	}
	if len(value) != 8 {
		return fault.New(fault.Corrupt, "engine state: the count has %d bytes", len(value))
	}
	s.count = binary.BigEndian.Uint64(value)
	return nil
}
