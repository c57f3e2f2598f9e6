package sim

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"log/slog"
	"math/rand/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// epoch is the virtual time at which every run begins, Unix milliseconds, at the
// beginning of a slot.
const epoch = 1_700_000_000_000

// slot is the length of a slot in milliseconds.
const slot = 1000

// world is one run. Everything in it belongs to the goroutine of Run.
type world struct {
	opt     Options
	plan    plan
	spec    *spec.Chain
	rules   record.Content // the spec, as the configuration carries it
	genesis record.Content
	work    *standin.Work
	quiet   *slog.Logger

	now     int64 // virtual time, Unix milliseconds
	queue   eventQueue
	order   uint64
	events  uint64
	digest  hash.Hash
	failure *Violation
	healed  bool
	rand    streams

	net       *network
	members   []*member
	strangers []*stranger
	committee *aura.Committee
	blocks    *registry
	oracle    *oracle
	miner     *mergeMiner
	operator  *operator
	peg       *pegWorld // nil without a peg
	story     story
	result    Result
}

// streams are the random generators, one for each concern, so that a change of one
// part of a plan leaves the others as they were.
type streams struct {
	plan, net, disk, layer, miner, dishonest, peg, stranger *rand.Rand
}

func newStreams(seed uint64) streams {
	one := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	return streams{plan: one(1), net: one(2), disk: one(3), layer: one(4), miner: one(5), dishonest: one(6), peg: one(7), stranger: one(8)}
}

// event is something that happens at a virtual time.
type event struct {
	at    int64
	order uint64
	what  string
	who   int
	do    func()
}

// eventQueue is a heap by time, then by the order of scheduling.
type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *eventQueue) Push(x any) { *q = append(*q, x.(event)) }

// Pop implements heap.Interface.
func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{}
	*q = (*q)[:last]
	return e
}

func newWorld(o Options) *world {
	w := &world{
		opt: o, now: epoch, digest: sha256.New(), rand: newStreams(o.Seed),
		work: standin.NewWork(), quiet: slog.New(slog.DiscardHandler), blocks: newRegistry(),
	}
	w.plan = drawPlan(o, w.rand.plan)
	w.spec = standin.Spec(o.Members)
	w.spec.SlotDuration = slot
	w.spec.MaxBlocksWithoutPow = w.plan.maxWithoutPow
	w.spec.Activations.Finality = o.Finality
	if o.Peg {
		preparePeg(w.spec, o)
		w.peg = newPegWorld(w)
	}
	w.rules = record.NewContent(w.spec.Encode())
	w.genesis = record.NewContent(standin.Genesis().Encode())
	w.result = Result{Seed: o.Seed, Members: o.Members, Finality: o.Finality}
	w.committee = w.standinCommittee()
	w.oracle = newOracle(w)
	w.net = newNetwork(w)
	for i := range o.Members {
		w.members = append(w.members, newMember(w, i))
	}
	for i, kind := range w.plan.strangers {
		w.strangers = append(w.strangers, newStranger(w, o.Members+i, kind))
	}
	w.miner = &mergeMiner{w: w}
	w.operator = &operator{w: w}
	return w
}

// standinCommittee are the members' keys: those of the spec, which are valid.
func (w *world) standinCommittee() *aura.Committee {
	c, err := aura.NewCommittee(w.spec.Authorities)
	if err != nil {
		panic("the keys of the simulated federation: " + err.Error())
	}
	return c
}

// quorum is Q of the federation.
func (w *world) quorum() int { return aura.Quorum(w.opt.Members) }

// after schedules do in so many milliseconds. what and who name it in the digest.
func (w *world) after(ms int64, what string, who int, do func()) {
	w.order++
	heap.Push(&w.queue, event{at: w.now + max(ms, 0), order: w.order, what: what, who: who, do: do})
}

// run lets virtual time pass until end, or until an oracle speaks.
func (w *world) run(end int64) {
	for w.failure == nil && len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		w.events++
		w.note(e.what, e.who)
		e.do()
	}
	w.now = max(w.now, end)
}

// note adds an event to the digest of the run.
func (w *world) note(what string, who int) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(w.now))
	binary.BigEndian.PutUint64(b[8:], uint64(who))
	w.digest.Write(b[:])
	w.digest.Write([]byte(what))
}

// tell keeps a line of what happened outside of turns: crashes, cuts, partitions.
func (w *world) tell(format string, args ...any) {
	w.story.add(w.now, fmt.Sprintf(format, args...))
}

// slotNow is the slot by true time.
func (w *world) slotNow() uint64 { return uint64(w.now) / slot }

// since is virtual time in seconds since the beginning, for people.
func since(at int64) float64 { return float64(at-epoch) / 1000 }

// member drawing: a random one of those that do.
func (w *world) pick(r *rand.Rand, fit func(*member) bool) *member {
	var some []*member
	for _, m := range w.members {
		if fit(m) {
			some = append(some, m)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[r.IntN(len(some))]
}

func alive(m *member) bool { return m.process != nil }
