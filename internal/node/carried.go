package node

import (
	"bytes"
	"fmt"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/snapshot"
)

// maxCarried bounds the contents that a new journal begins with: they are written in one
// batch.
const maxCarried = 1 << 30

// chainOf returns the chain actor's state of a snapshot.
func chainOf(store *snapshot.Store, m snapshot.Manifest, resolve record.Resolver) (*chain.State, error) {
	state := chain.New(memo.New()).NewState().(*chain.State)
	return state, loadSection(store, m, chain.ID, state, resolve)
}

// bridgeOf returns the bridge actor's state of a snapshot, which computes its wallets from
// what it refers to.
func bridgeOf(store *snapshot.Store, m snapshot.Manifest, resolve record.Resolver) (*bridge.State, error) {
	state := bridge.New().NewState().(*bridge.State)
	return state, loadSection(store, m, bridge.ID, state, resolve)
}

func loadSection(store *snapshot.Store, m snapshot.Manifest, id core.ID, state core.State, resolve record.Resolver) error {
	sections, err := store.Sections(m)
	if err != nil {
		return err
	}
	for _, s := range sections {
		if core.ID(s.Name) == id {
			return s.Walk(loading(state, resolve))
		}
	}
	return nil // of an actor that had no message yet
}

func loading(state core.State, resolve record.Resolver) func(key, value []byte) error {
	return func(key, value []byte) error { return state.Load(bytes.Clone(key), bytes.Clone(value), resolve) }
}

// references notes what a state asks for while it is loaded, each once, in that order.
type references struct {
	resolve record.Resolver
	had     map[[32]byte]bool
	list    []record.Content
	bytes   int
}

// newReferences passes over what travels in another way.
func newReferences(resolve record.Resolver, others ...record.Content) *references {
	r := &references{resolve: resolve, had: make(map[[32]byte]bool)}
	for _, c := range others {
		r.had[c.Hash] = true
	}
	return r
}

func (r *references) note(hash [32]byte) ([]byte, error) {
	data, err := r.resolve(hash)
	if err == nil && !r.had[hash] {
		r.had[hash] = true
		r.list = append(r.list, record.Content{Hash: hash, Data: data})
		r.bytes += len(data)
	}
	return data, err
}

// carriedContents returns what the bridge's part of the states that a journal begins with
// refers to, beside the chain itself.
func carriedContents(state *bridge.State, resolve record.Resolver, others ...record.Content) ([]message.StateContent, error) {
	r := newReferences(resolve, others...)
	if err := state.Walk(loading(bridge.New().NewState(), r.note)); err != nil {
		return nil, fmt.Errorf("what the bridge's state refers to: %w", err)
	}
	if r.bytes > maxCarried {
		return nil, fault.New(fault.Invalid, "the receipts and Bitcoin transactions of the bridge's state take %d bytes, a journal begins with at most %d: import the chain instead", r.bytes, maxCarried)
	}
	list := make([]message.StateContent, len(r.list))
	for i, c := range r.list {
		list[i] = message.StateContent{Content: c}
	}
	return list, nil
}
