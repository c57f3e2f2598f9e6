package miner_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

type actor struct {
	t     *testing.T
	state core.State
}

func newActor(t *testing.T) *actor { return &actor{t: t, state: miner.New().NewState()} }

func (a *actor) handle(m core.Message) []core.Output {
	var out core.Out
	a.state = a.state.Clone()
	miner.New().Handle(a.state, m, core.Turn{Sequence: 1}, &out)
	return out.List()
}

func id(number uint64) message.BlockID {
	b := message.BlockID{Number: number}
	binary.BigEndian.PutUint64(b.Root[:], number+1)
	return b
}

// moved is the head's branch from one block to another, after the finalised one.
func moved(reset bool, final, from, to uint64) *message.ChainMoved {
	finalized, latest := id(final), id(0)
	m := &message.ChainMoved{Reset: reset, Finalized: &finalized, LatestPow: &latest, LatestBits: spec.Dev().Bits}
	for n := from; n <= to; n++ {
		m.Connected = append(m.Connected, id(n))
	}
	return m
}

func (a *actor) configure() {
	a.handle(&message.NodeConfigured{ChainSpec: record.NewContent(spec.Dev().Encode())})
}

func (a *actor) create() *message.AuxBlock {
	out := a.handle(&message.CreateAuxBlock{Request: 3, FeeRecipient: common.Address{7}})
	if len(out) != 1 || out[0].Class != core.ConnectionBound {
		a.t.Fatalf("outputs %+v", out)
	}
	return out[0].Message.(*message.AuxBlock)
}

// submit hands a proof in. It gives the miner's refusal, or what it asks the chain
// actor to queue.
func (a *actor) submit(hash [32]byte, proof []byte) (*message.AuxBlockJudged, *message.QueueWork) {
	return a.submitFor(&message.SubmitAuxBlock{Request: 4, Hash: hash, AuxPow: proof})
}

func (a *actor) submitFor(m *message.SubmitAuxBlock) (judged *message.AuxBlockJudged, queued *message.QueueWork) {
	for _, o := range a.handle(m) {
		switch m := o.Message.(type) {
		case *message.AuxBlockJudged:
			judged = m
			if m.Request != 4 || m.Accepted || m.Check == "" || m.Reason == "" {
				a.t.Fatalf("answer %+v", judged)
			}
		case *message.QueueWork:
			queued = m
			if m.Request != 4 {
				a.t.Fatalf("queued %+v", m)
			}
		}
	}
	if (judged == nil) == (queued == nil) {
		a.t.Fatalf("answer %+v, queued %+v", judged, queued)
	}
	return judged, queued
}

// refused wants a proof to be refused by a check.
func (a *actor) refused(hash [32]byte, proof []byte, check auxpow.Reject) {
	a.t.Helper()
	if judged, _ := a.submit(hash, proof); judged == nil || judged.Check != string(check) {
		a.t.Errorf("answer %+v, want %s", judged, check)
	}
}

func (a *actor) solve(w *message.AuxBlock) []byte {
	proof, err := mergeminer.Solve(context.Background(), w.Hash, w.ChainID, w.Bits, time.Unix(1_700_000_000, 0))
	if err != nil {
		a.t.Fatal(err)
	}
	return proof.Namecoin()
}

// Before the configuration, without blocks and with work queued up to the head
// there is nothing to hand out.
func TestNoWork(t *testing.T) {
	a := newActor(t)
	for _, step := range []core.Message{
		&message.NodeStopped{}, // none of its messages: no change
		&message.NodeConfigured{ChainSpec: record.NewContent(spec.Dev().Encode())},
		moved(true, 4, 5, 4),
	} {
		a.handle(step)
		if w := a.create(); w.Error == "" || w.Request != 3 {
			t.Errorf("after %s: %+v", step.Type(), w)
		}
		a.submit([32]byte{1}, nil)
	}
	queued := moved(false, 4, 5, 6)
	queued.QueuedEnd = id(6).Root
	a.handle(queued)
	if w := a.create(); w.Error == "" {
		t.Errorf("%+v", w)
	}
}

// A proof becomes a header over the range and recipient of its work, once.
func TestWorkAndProof(t *testing.T) {
	a := newActor(t)
	a.configure()
	a.handle(moved(true, 4, 5, 9))
	w := a.create()
	if w.RangeStart != id(5).Root || w.RangeEnd != id(9).Root || w.Height != 1 || w.PreviousBlock != id(0).Root {
		t.Fatalf("%+v", w)
	}
	proof := a.solve(w)
	a.handle(moved(false, 4, 10, 10)) // the range still fits
	_, queued := a.submit(w.Hash, proof)
	if queued == nil {
		t.Fatal("a good proof is refused")
	}
	h, err := block.DecodeAuxPowHeader(queued.Header)
	if err != nil || h.RangeStart != w.RangeStart || h.RangeEnd != w.RangeEnd || h.FeeRecipient != (common.Address{7}) || h.Bits != w.Bits {
		t.Errorf("%+v: %v", h, err)
	}
	if _, again := a.submit(w.Hash, proof); again == nil {
		t.Error("work is gone although no block carries its proof: the chain actor says what is queued twice")
	}
	named := &message.SubmitAuxBlock{Request: 4, Hash: w.Hash, AuxPow: proof, HasRecipient: true, FeeRecipient: common.Address{9}}
	_, queued = a.submitFor(named)
	if h, err := block.DecodeAuxPowHeader(queued.Header); err != nil || h.FeeRecipient != (common.Address{9}) {
		t.Errorf("%+v: %v", h, err)
	}
	other := a.create() // one block more
	a.refused(other.Hash, proof, auxpow.MalformedCoinbase)
	a.refused(other.Hash, proof[:len(proof)-1], auxpow.MalformedProof)
	if _, queued := a.submit(other.Hash, a.solve(other)); queued == nil {
		t.Error("wrong proofs used the work up")
	}
	a.refused([32]byte{1}, proof, auxpow.UnknownWork)
}

// What the chain actor decides is what the submitter hears.
func TestChainDecides(t *testing.T) {
	a := newActor(t)
	for _, want := range []*message.AuxBlockJudged{
		{Request: 5, Accepted: true},
		{Request: 6, Check: string(auxpow.DuplicateWork), Reason: "a proof for this range waits already"},
	} {
		out := a.handle(&message.WorkJudged{Request: want.Request, Accepted: want.Accepted, Check: want.Check, Reason: want.Reason})
		if len(out) != 1 || out[0].Class != core.ConnectionBound || *out[0].Message.(*message.AuxBlockJudged) != *want {
			t.Errorf("outputs %+v, want %+v", out, want)
		}
	}
}

// Everybody gets the same work for the same range, and the first who asked is noted.
func TestOneWorkForARange(t *testing.T) {
	a := newActor(t)
	a.configure()
	a.handle(moved(true, 4, 5, 9))
	a.handle(&message.CreateAuxBlock{Request: 1}) // for nobody
	first := a.create()
	for n := range byte(200) {
		out := a.handle(&message.CreateAuxBlock{Request: 1, FeeRecipient: common.Address{n}})
		if w := out[0].Message.(*message.AuxBlock); w.Hash != first.Hash {
			t.Fatalf("%+v", w)
		}
	}
	templates := a.state.(*miner.State).Templates
	if len(templates) != 1 || templates[0].Recipient != (common.Address{7}) {
		t.Errorf("%+v", templates)
	}
}

// Work is forgotten when its range can no longer be carried, and beyond a bound.
func TestTemplates(t *testing.T) {
	a := newActor(t)
	a.configure()
	a.handle(moved(true, 0, 1, 1))
	first := a.create()
	for n := uint64(2); n <= 80; n++ {
		a.handle(moved(false, 0, n, n))
		a.create()
	}
	if n := len(a.state.(*miner.State).Templates); n != 64 {
		t.Errorf("%d templates are kept", n)
	}
	a.refused(first.Hash, a.solve(first), auxpow.UnknownWork) // beyond the bound
	last := a.create()
	a.handle(moved(false, 20, 81, 81))
	a.refused(last.Hash, a.solve(last), auxpow.StaleWork)
	if w := a.create(); w.RangeStart != id(21).Root || w.RangeEnd != id(81).Root {
		t.Errorf("%+v", w)
	}
	a.handle(moved(true, 10, 11, 12)) // a reorganisation
	if w := a.create(); w.RangeStart != id(11).Root || w.RangeEnd != id(12).Root {
		t.Errorf("%+v", w)
	}
	if n := len(a.state.(*miner.State).Stale); n != 65 {
		t.Errorf("%d hashes are remembered as stale", n)
	}
}

// After a reorganisation work whose range is still on the branch can be solved.
func TestReorganisation(t *testing.T) {
	a := newActor(t)
	a.configure()
	a.handle(moved(true, 4, 5, 7))
	kept := a.create()
	a.handle(moved(false, 4, 8, 9))
	gone := a.create()
	a.handle(moved(true, 4, 5, 8)) // 9 left the branch
	a.refused(gone.Hash, a.solve(gone), auxpow.StaleWork)
	if _, queued := a.submit(kept.Hash, a.solve(kept)); queued == nil {
		t.Error("work over blocks of the branch is stale")
	}
}

func TestSnapshot(t *testing.T) {
	a := newActor(t)
	a.configure()
	a.handle(moved(true, 4, 5, 9))
	w := a.create()
	again := newActor(t)
	resolve := func([32]byte) ([]byte, error) { return spec.Dev().Encode(), nil }
	err := a.state.Walk(func(key, value []byte) error {
		return again.state.Load(append([]byte(nil), key...), append([]byte(nil), value...), resolve)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, queued := again.submit(w.Hash, again.solve(w)); queued == nil {
		t.Error("a restored miner does not know its work")
	}
	if err := again.state.Load([]byte("odd"), nil, nil); err == nil {
		t.Error("an unknown entry is taken")
	}
}
