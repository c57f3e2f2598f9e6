package settle

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Every is the distance of the heights at which a node settles its state, unless it is
// configured otherwise. Members state the same heights when they agree on it.
const Every = 1024

// Made is the state at a final block, in parts.
type Made struct {
	Claim checkpoint.Claim
	Index []byte // encoded
	Parts map[[32]byte][]byte
}

// Make returns the state at a final block. contents returns what the bridge's state refers
// to. CannotJudge: the states do not hold what belongs to that block, a later one may do.
func Make(c *chain.State, b *bridge.State, number uint64, contents record.Resolver) (*Made, error) {
	settled, lowest, err := c.Settled(number)
	if err != nil {
		return nil, err
	}
	wallet, err := b.Settled(settled.Head, lowest)
	if err != nil {
		return nil, err
	}
	m := &Made{Parts: map[[32]byte][]byte{}}
	m.Claim.Genesis, m.Claim.Number, m.Claim.Root = settled.Genesis, settled.Head.Number, settled.Head.Root
	x := &checkpoint.Index{Number: number, Root: settled.Head.Root, Behaviour: settled.Config.Behaviour}
	sections := sectionsOf(settled, wallet)
	digests, err := snapshot.Digests(sections)
	if err != nil {
		return nil, err
	}
	x.StatesRoot = snapshot.Root(digests)
	for _, s := range sections {
		err := snapshot.Packs(s, func(pack []byte) error {
			x.States = append(x.States, checkpoint.State{Actor: s.Name, Part: m.add(pack)})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := m.contents(x, wallet, contents, settled.Config); err != nil {
		return nil, err
	}
	if m.Index, err = checkpoint.EncodeIndex(x); err != nil {
		return nil, err
	}
	m.Claim.Index = checkpoint.PartOf(m.Index).Hash
	return m, nil
}

func sectionsOf(c *chain.State, b *bridge.State) []snapshot.Section {
	return []snapshot.Section{{Name: string(bridge.ID), Walk: b.Walk}, {Name: string(chain.ID), Walk: c.Walk}}
}

func (m *Made) add(data []byte) checkpoint.Part {
	p := checkpoint.PartOf(data)
	m.Parts[p.Hash] = data
	return p
}

// contents adds what the bridge's state refers to, beside the chain itself, by hash.
func (m *Made) contents(x *checkpoint.Index, b *bridge.State, resolve record.Resolver, config *message.NodeConfigured) error {
	load := bridge.New().NewState()
	err := b.Walk(func(key, value []byte) error {
		return load.Load(bytes.Clone(key), bytes.Clone(value), func(hash [32]byte) ([]byte, error) {
			data, err := resolve(hash)
			if err != nil || hash == config.ChainSpec.Hash || hash == config.GenesisPayload.Hash || m.Parts[hash] != nil {
				return data, err
			}
			if p := checkpoint.PartOf(data); p.Hash != hash || p.Size == 0 {
				return nil, fault.New(fault.Corrupt, "content %x has other bytes", hash)
			}
			x.Contents = append(x.Contents, m.add(data))
			return data, nil
		})
	})
	slices.SortFunc(x.Contents, func(a, b checkpoint.Part) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	return err
}

// States are the states of a fetched index, read and checked.
type States struct {
	Chain    *chain.State
	Bridge   *bridge.State
	Contents map[[32]byte][]byte
}

// Load reads the states from the parts of an index. spec and payload are the chain's own, by
// which the states must be. Errors are Corrupt, or Invalid for states of another chain or
// behaviour.
func Load(x *checkpoint.Index, part func(checkpoint.Part) ([]byte, error), behaviour uint32, spec, payload record.Content) (*States, error) {
	if x.Behaviour != behaviour {
		return nil, fault.New(fault.Invalid, "the state at block %d is of behaviour %d, this program is of behaviour %d: use a program of that behaviour", x.Number, x.Behaviour, behaviour)
	}
	s := &States{
		Chain: chain.New(memo.New()).NewState().(*chain.State), Bridge: bridge.New().NewState().(*bridge.State),
		Contents: map[[32]byte][]byte{spec.Hash: spec.Data, payload.Hash: payload.Data},
	}
	for _, p := range x.Contents {
		data, err := part(p)
		if err != nil {
			return nil, err
		}
		s.Contents[p.Hash] = data
	}
	resolve := func(hash [32]byte) ([]byte, error) {
		data, ok := s.Contents[hash]
		if !ok {
			return nil, fault.New(fault.Corrupt, "the state at block %d refers to content %x, which it lacks: it is of another chain spec or genesis, or not whole", x.Number, hash)
		}
		return data, nil
	}
	states := map[string]core.State{string(chain.ID): s.Chain, string(bridge.ID): s.Bridge} // looked up only
	for _, p := range x.States {
		state := states[p.Actor]
		if state == nil {
			return nil, fault.New(fault.Corrupt, "the state at block %d has a part of actor %q", x.Number, p.Actor)
		}
		data, err := part(p.Part)
		if err != nil {
			return nil, err
		}
		if err := snapshot.Unpack(data, func(key, value []byte) error {
			return state.Load(bytes.Clone(key), bytes.Clone(value), resolve)
		}); err != nil {
			return nil, fmt.Errorf("state of %q at block %d: %w", p.Actor, x.Number, err)
		}
	}
	return s, s.check(x)
}

// check compares what was loaded with the index.
func (s *States) check(x *checkpoint.Index) error {
	digests, err := snapshot.Digests(sectionsOf(s.Chain, s.Bridge))
	if err != nil {
		return err
	}
	if root := snapshot.Root(digests); root != x.StatesRoot {
		return fault.New(fault.Corrupt, "the states at block %d have the root %s, stated is %x", x.Number, root, x.StatesRoot)
	}
	at := message.BlockID{Root: x.Root, Number: x.Number}
	if s.Chain.Config == nil || s.Chain.Head != at || s.Chain.Finalized != at || s.Bridge.Head != at || s.Bridge.Finalized != at {
		return fault.New(fault.Corrupt, "the states are not those of block %s at %d", x.Root, x.Number)
	}
	return nil
}
