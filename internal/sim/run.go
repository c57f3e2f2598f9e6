package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

var errNotLevel = errors.New("the journal does not hold the blocks that the execution layer lacks")

// progressBound is how long a connected quorum may take for the next finalised
// block: the miner's pauses, a few authors that are gone or lie, and two times the
// operators' patience.
func (w *world) progressBound() int64 { return 3*w.plan.mining + 45*slot }

// Run makes one run. The error is a *[Violation] when an oracle found something, and
// of grade Invalid for options that no run can have.
func Run(o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.defaults()
	w := newWorld(o)
	genesis := block.Genesis(w.spec, *standin.Genesis())
	w.blocks.add(genesis, genesis.Block.Root())
	for _, m := range w.members {
		if !m.honest() {
			w.result.Dishonest++
		}
		w.after(w.rand.plan.Int64N(slot), "start", m.index, m.start)
	}
	for _, s := range w.strangers {
		s.start()
	}
	w.miner.start()
	w.operator.start()
	w.traffic()
	healed := w.now + int64(o.Troubled)*slot
	if w.peg != nil {
		w.peg.start(healed, healed+int64(o.Calm)*slot)
	}
	if o.Away > 0 {
		w.after(5*slot, "away", 0, func() { w.members[0].end(powered, int64(o.Away)*slot) })
	}
	if !o.Peaceful {
		w.trouble(healed)
	}
	w.run(healed)
	w.heal()
	w.calm(healed + int64(o.Calm)*slot)
	if w.failure == nil {
		w.finish()
	}
	for _, m := range w.members {
		if m.process != nil {
			go func() { _ = m.process.journal.Close() }()
		}
	}
	w.result.Events = w.events
	copy(w.result.Digest[:], w.digest.Sum(nil))
	if w.failure != nil {
		return &w.result, w.failure
	}
	return &w.result, nil
}

// calm lets time pass and wants progress.
func (w *world) calm(end int64) {
	owed := w.now // since when it is, without a break
	for w.now < end && w.failure == nil {
		w.run(min(w.now+slot, end))
		if !w.owesProgress() {
			owed = w.now
		}
		if w.now-owed > w.progressBound() {
			w.oracle.progressing(w.progressBound())
		}
	}
}

// owesProgress reports whether the rules in force promise progress. Before finality
// has its activation height a carrier that lost to a longer branch finalises nothing
// even with its quorum, and then its end is locked by more members than leave enough
// others for a release. Nor does a rule promise anything while a member's finalised block
// is not on the branch of another: neither approves the other's carriers, and only an
// operator's decision unites them, which is for a longer branch and no sooner than
// that is reported. (architecture.md 4, Finality)
func (w *world) owesProgress() bool {
	if spec.Active(w.opt.Finality, w.oracle.finalized+1) {
		return true
	}
	return w.oracle.undivided() && w.operator.canRelease()
}

// traffic hands transactions to execution layers, so that there are fees.
func (w *world) traffic() {
	nonce := uint64(0)
	var next func()
	next = func() {
		m := w.members[w.rand.layer.IntN(len(w.members))]
		m.layer.Submit(standin.Transfer(nonce, 1+w.rand.layer.Int64N(50)))
		nonce++
		w.after(w.rand.layer.Int64N(2*slot), "transaction", m.index, next)
	}
	w.after(slot, "transaction", -1, next)
}

// finish reads every journal from its beginning: its turns are handled again and
// compared, its states are those of the running member, and its facts are judged
// once more.
func (w *world) finish() {
	again := newOracle(w)
	again.audit = true
	for _, m := range w.members {
		if m.process == nil {
			m.gone = false
			m.start()
		}
		if w.failure != nil {
			return
		}
		m.process.commitNow()
		if !m.process.current() {
			w.fail("journal", []*member{m}, "member %d: its journal fails at the end", m.index)
			return
		}
		if err := w.reread(m, again); err != nil {
			w.fail("replay", []*member{m}, "member %d: %v", m.index, err)
		}
		if w.failure != nil {
			return
		}
		head := m.process.journal.Durable()
		w.digest.Write(head.Hash[:])
		s := m.state()
		w.result.Height = max(w.result.Height, s.Head.Number)
	}
	w.result.Finalized = w.oracle.finalized
	if w.peg != nil {
		w.peg.finish()
	}
	w.keep()
}

// reread replays a member's journal from sequence 0, without snapshots.
func (w *world) reread(m *member, again *oracle) error {
	p := m.process
	r, err := w.program().Recover(context.Background(), restart.Store{Journal: p.journal})
	if err != nil {
		return err
	}
	if r.Machine.Sequence() != p.machine.Sequence() {
		return fmt.Errorf("its journal replays to turn %d, it stands at %d", r.Machine.Sequence(), p.machine.Sequence())
	}
	if !w.oracle.sameStates(m, freeze(p.machine), freeze(r.Machine)) {
		return nil
	}
	return again.read(m, p, 1)
}

// keep hands the disks over.
func (w *world) keep() {
	if w.opt.Keep == nil {
		return
	}
	for _, m := range w.members {
		if err := m.process.journal.Close(); err != nil {
			w.fail("journal", []*member{m}, "member %d: closing its journal: %v", m.index, err)
			return
		}
		m.process = nil
		if err := w.opt.Keep(m.index, m.disk); err != nil {
			w.fail("journal", []*member{m}, "member %d: keeping its journal: %v", m.index, err)
			return
		}
	}
}
