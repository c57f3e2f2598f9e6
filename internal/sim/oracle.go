package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// oracle judges what members publish. It has its own, deliberately simple idea of
// each of them, which it keeps from their facts alone.
type oracle struct {
	w     *world
	views []*view
	audit bool // the facts are read again, from the journals, after the run

	grown     int64 // when the highest finalised block of an honest member rose
	finalized uint64
}

// view is what a member's facts say of it.
type view struct {
	m         *member
	seen      uint64 // last turn whose facts were taken
	branch    []common.Hash
	finalized message.BlockID
	grown     int64
	locks     []lock
	approved  map[uint64]common.Hash // by slot
	unsigned  map[common.Hash][]lock // own carriers that are not signed yet, with the locks then
	excluded  *message.BranchExcluded
	gate      gate

	turn turnFacts
}

// lock is a range end that the member approved a carrier of, or signs the payments of: the
// carrier is zero then.
type lock struct {
	end, carrier common.Hash
}

// turnFacts are what has to be judged when all facts of a turn are known.
type turnFacts struct {
	reverted  []common.Hash
	connected []common.Hash
	finalized *message.BlockFinalized
	decided   bool
	ended     []message.LockEnded
	changed   bool
}

func newOracle(w *world) *oracle {
	o := &oracle{w: w, grown: w.now}
	for range w.opt.Members {
		o.views = append(o.views, &view{grown: w.now, approved: map[uint64]common.Hash{}, unsigned: map[common.Hash][]lock{}})
	}
	return o
}

// fact takes one fact of a turn that is on disk.
func (o *oracle) fact(m *member, ref core.Ref, fact core.Message) {
	v := o.views[m.index]
	v.m = m
	if ref.Sequence <= v.seen {
		return
	}
	v.turn.changed = true
	if o.w.peg != nil && !o.audit {
		o.w.peg.fact(m, fact)
	}
	switch fact.(type) {
	case *message.ApprovalWithheld, *message.LockEnded, *message.BranchExcluded, *message.BranchDecided, *message.BranchKept, *message.WorkDropped,
		*message.SyncedChanged, *message.SyncAssumed, *message.SyncStalled, *message.PeerBanned:
		o.w.tell("m%d: %s", m.index, describe(fact))
	}
	switch f := fact.(type) {
	case *message.BlockConnected:
		o.connected(v, f)
	case *message.BlockReverted:
		o.reverted(v, f)
	case *message.BlockFinalized:
		v.turn.finalized = f
	case *message.BranchDecided:
		v.turn.decided = true
	case *message.BranchExcluded:
		v.excluded = f
	case *message.BlockProduced:
		o.produced(v, f)
	case *message.ApprovalMade:
		v.approved[f.Slot] = f.Root
		o.locked(v, f.Root, f.RangeEnd)
	case *message.RangeLocked:
		v.locks = append(v.locks[:len(v.locks):len(v.locks)], lock{end: f.RangeEnd})
	case *message.LockEnded:
		v.turn.ended = append(v.turn.ended, *f)
		v.locks = slices.DeleteFunc(slices.Clone(v.locks), func(l lock) bool { return l.end == f.RangeEnd })
	case *message.PeerBanned:
		o.banned(v, f)
	case *message.FinalityConflict:
		o.w.fail("agreement", o.w.members, "member %d has proofs of two finalised ranges: %s and %s", m.index, name(f.Ours.Root), name(f.Other.Root))
	}
}

// turnEnds judges what needs all facts of a turn.
func (o *oracle) turnEnds(m *member, sequence uint64) {
	v := o.views[m.index]
	if sequence <= v.seen {
		return
	}
	v.seen = sequence
	t := v.turn
	v.turn = turnFacts{}
	if !t.changed {
		return
	}
	o.reorganised(v, t)
	if t.finalized != nil {
		o.finalizes(v, t.finalized, t.decided)
	}
	for _, e := range t.ended {
		o.lockEnds(v, e)
	}
}

func (o *oracle) head(v *view) common.Hash {
	if len(v.branch) == 0 {
		return common.Hash{}
	}
	return v.branch[len(v.branch)-1]
}

// connected: a block joins the branch at its tip, and was not there before.
func (o *oracle) connected(v *view, f *message.BlockConnected) {
	if f.Signed.Data != nil {
		o.w.blocks.addSigned(o.w, f.Signed)
	}
	if f.Number != uint64(len(v.branch)) || f.Parent != o.head(v) {
		o.w.fail("branch", []*member{v.m}, "member %d connects %s at %d, its branch ends with %s at %d",
			v.m.index, name(f.Root), f.Number, name(o.head(v)), len(v.branch)-1)
		return
	}
	v.branch = append(v.branch, f.Root)
	v.turn.connected = append(v.turn.connected, f.Root)
}

// reverted: the block is the branch's tip.
func (o *oracle) reverted(v *view, f *message.BlockReverted) {
	if f.Root != o.head(v) || f.Number != uint64(len(v.branch)-1) {
		o.w.fail("branch", []*member{v.m}, "member %d reverts %s at %d, its branch ends with %s at %d",
			v.m.index, name(f.Root), f.Number, name(o.head(v)), len(v.branch)-1)
		return
	}
	v.branch = v.branch[:len(v.branch)-1]
	v.turn.reverted = append(v.turn.reverted, f.Root)
}

// reorganised: nothing final is reverted but by an operator's decision, and no block
// is both reverted and connected in a turn.
func (o *oracle) reorganised(v *view, t turnFacts) {
	if len(t.reverted) == 0 {
		return
	}
	if !o.audit {
		o.w.result.Reorgs++
		o.w.result.MaxDepth = max(o.w.result.MaxDepth, uint64(len(t.reverted)))
	}
	for _, root := range t.reverted {
		for _, other := range t.connected {
			if root == other {
				o.w.fail("branch", []*member{v.m}, "member %d reverts and connects %s in one turn", v.m.index, name(root))
			}
		}
	}
	fork := uint64(len(v.branch) - len(t.connected))
	switch {
	case fork > v.finalized.Number:
	case t.decided:
		v.finalized = message.BlockID{Root: v.branch[fork-1], Number: fork - 1}
	default:
		o.w.fail("finality", []*member{v.m}, "member %d reverts blocks from %d on, %d is final", v.m.index, fork, v.finalized.Number)
	}
}

// finalizes: the block is on the member's branch, above what was final, and on one
// branch with what honest members hold for final.
func (o *oracle) finalizes(v *view, f *message.BlockFinalized, decided bool) {
	if f.Number >= uint64(len(v.branch)) || v.branch[f.Number] != f.Root {
		o.w.fail("finality", []*member{v.m}, "member %d finalises %s at %d, which is not on its branch", v.m.index, name(f.Root), f.Number)
		return
	}
	if f.Number <= v.finalized.Number && v.finalized.Root != (common.Hash{}) && !decided {
		o.w.fail("finality", []*member{v.m}, "member %d finalises %d after %d", v.m.index, f.Number, v.finalized.Number)
		return
	}
	v.finalized = message.BlockID{Root: f.Root, Number: f.Number}
	v.grown = o.w.now
	v.excluded = nil
	if !v.m.honest() {
		return
	}
	if f.Number > o.finalized {
		if !o.audit {
			o.w.result.Stall = max(o.w.result.Stall, o.w.now-o.grown)
		}
		o.finalized, o.grown = f.Number, o.w.now
	}
	for _, other := range o.views {
		if other.m != nil && other.m.honest() && other.finalized.Root != (common.Hash{}) && !o.oneBranch(v.finalized, other.finalized) {
			o.w.fail("agreement", []*member{v.m, other.m}, "member %d finalises %s at %d, member %d has %s at %d",
				v.m.index, name(v.finalized.Root), v.finalized.Number, other.m.index, name(other.finalized.Root), other.finalized.Number)
			return
		}
	}
}

func (o *oracle) oneBranch(a, b message.BlockID) bool {
	if a.Number < b.Number {
		a, b = b, a
	}
	on, known := o.w.blocks.contains(a.Root, b.Root)
	return on && known
}

// produced: a carrier of our own was approved by a fact before; its lock may have ended
// until it is signed.
func (o *oracle) produced(v *view, f *message.BlockProduced) {
	var b *known
	if f.Signed.Data != nil {
		b = o.w.blocks.addSigned(o.w, f.Signed)
	} else {
		b = o.w.blocks.get(f.Root)
	}
	if b == nil || !b.carrier {
		return
	}
	if held, decided := v.unsigned[b.root]; decided {
		delete(v.unsigned, b.root)
		o.compatible(v, b.root, held)
	}
}

func (v *view) holds(end, carrier common.Hash) bool {
	for _, l := range v.locks {
		if l.end == end && l.carrier == carrier {
			return true
		}
	}
	return false
}

// locked: the carrier's branch holds every range end that the member approved before
// and was not released from. (architecture.md 4, Approving)
func (o *oracle) locked(v *view, carrier, end common.Hash) {
	if end == (common.Hash{}) || !v.m.honest() || v.holds(end, carrier) {
		return
	}
	v.m.signer.approvedEnd(end)
	held := v.locks
	v.locks = append(held[:len(held):len(held)], lock{end, carrier})
	if o.w.blocks.get(carrier) == nil { // its own, before its signature
		v.unsigned[carrier] = held
		return
	}
	o.compatible(v, carrier, held)
}

// compatible: the carrier's branch holds every range end that was locked.
func (o *oracle) compatible(v *view, carrier common.Hash, held []lock) {
	for _, l := range held {
		if on, known := o.w.blocks.contains(carrier, l.end); !on {
			o.w.fail("lock", []*member{v.m}, "member %d approves carrier %s, whose branch excludes %s (known: %t), which it approved by %s",
				v.m.index, name(carrier), name(l.end), known, name(l.carrier))
			return
		}
	}
}

// lockEnds: by finality of a conflicting end, or by statements of n - Q + 1 members.
func (o *oracle) lockEnds(v *view, f message.LockEnded) {
	if f.By == "operator" {
		if !o.audit {
			o.w.result.Releases++
		}
		stated := 0
		for _, m := range o.w.members {
			if m.signer.stated[f.RangeEnd] {
				stated++
			}
		}
		if need := o.w.opt.Members - o.w.quorum() + 1; stated < need {
			o.w.fail("lock", o.w.members, "member %d is released from %s with the statements of %d members, %d are needed", v.m.index, name(f.RangeEnd), stated, need)
			return
		}
	} else if on, _ := o.w.blocks.contains(f.RangeEnd, v.finalized.Root); on && f.RangeEnd != v.finalized.Root && v.finalized.Root != (common.Hash{}) {
		o.w.fail("lock", []*member{v.m}, "member %d is released from %s by finality of %s, which does not decide it", v.m.index, name(f.RangeEnd), name(v.finalized.Root))
	}
}

// undivided reports whether the branches of all honest members have the finalised
// blocks of all of them, or end below those.
func (o *oracle) undivided() bool {
	for _, a := range o.views {
		for _, b := range o.views {
			if a.m == nil || b.m == nil || !a.m.honest() || !b.m.honest() || a.finalized.Root == (common.Hash{}) {
				continue
			}
			if !o.oneBranch(a.finalized, message.BlockID{Root: o.head(b), Number: uint64(len(b.branch) - 1)}) {
				return false
			}
		}
	}
	return true
}

// caughtUp reads the facts of turns that were on disk when the last life ended,
// before they were published.
func (o *oracle) caughtUp(m *member, p *process) {
	v := o.views[m.index]
	if m.signer.through > p.machine.Sequence() {
		o.w.fail("release", []*member{m}, "member %d signed for turn %d, and comes back at turn %d", m.index, m.signer.through, p.machine.Sequence())
		return
	}
	if err := o.read(m, p, v.seen+1); err != nil {
		o.w.fail("journal", []*member{m}, "member %d: %v", m.index, err)
	}
}

// read takes the facts of a journal's turns from one on.
func (o *oracle) read(m *member, p *process, from uint64) error {
	it := p.journal.Iterate(from, false)
	defer it.Close()
	resolve := func(h [32]byte) ([]byte, error) { return p.content(h) }
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return err
		}
		for i, out := range e.Outputs {
			if out.Kind != journal.KindFact {
				continue
			}
			f, err := p.machine.DecodeMessage(out.Type, out.Schema, out.Payload, resolve)
			if err != nil {
				return err
			}
			o.fact(m, core.Ref{Sequence: e.Sequence, Index: uint32(i)}, f)
		}
		o.turnEnds(m, e.Sequence)
	}
	return it.Err()
}

// sameStates is the replay oracle.
func (o *oracle) sameStates(m *member, before, now frozen) bool {
	want, err1 := before.root()
	have, err2 := now.root()
	if err1 == nil && err2 == nil && want == have {
		return true
	}
	o.w.fail("replay", []*member{m}, "member %d at turn %d had states of root %s, recovered they have root %s (%v, %v)", m.index, before.sequence, want, have, err1, err2)
	return false
}

// Bounds of what a member may hold in a run of this length.
const (
	mostEntries = 2048
	mostPending = 256
	mostOrphans = 128 // what is further below comes in ranges
)

// bounded looks at the sizes of states now and then.
func (o *oracle) bounded(p *process) {
	if p.machine.Sequence()%128 != 0 {
		return
	}
	s := p.machine.State(chain.ID).(*chain.State)
	e := p.machine.State(engine.ID).(*engine.State)
	if n := s.Len(); n > mostEntries {
		o.w.fail("bounded", []*member{p.m}, "member %d holds %d blocks", p.m.index, n)
	}
	if n := s.Orphans(); n > mostOrphans {
		o.w.fail("bounded", []*member{p.m}, "member %d holds %d blocks without their parent", p.m.index, n)
	}
	if n := len(p.machine.PendingEffects()); n > mostPending {
		o.w.fail("bounded", []*member{p.m}, "member %d waits for %d effects", p.m.index, n)
	}
	if n := len(e.Batches); n > mostPending {
		o.w.fail("bounded", []*member{p.m}, "the engine actor of member %d has %d batches", p.m.index, n)
	}
}

// progressing is the oracle of the calm phase: every honest member that is up
// learnt of a new finalised block in the last while.
func (o *oracle) progressing(bound int64) {
	for _, v := range o.views {
		if v.m != nil && v.m.honest() && !v.m.gone && o.w.now-v.grown > bound {
			o.w.fail("progress", o.w.members, "member %d has finalised nothing for %.1f s since %d; a quorum is connected", v.m.index, float64(o.w.now-v.grown)/1000, v.finalized.Number)
			return
		}
	}
}
