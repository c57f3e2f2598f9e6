package actors

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Request is an effect as an edge receives it.
type Request struct {
	Ref     core.Ref
	Actor   core.ID
	Class   core.Class
	Message core.Message
	// Reply sends the result back as a message to Actor. Only the first call
	// counts; effects of a class without a result ignore it.
	Reply func(core.Message)
}

// Executor executes the effects of one edge. Execute is called for one request
// at a time, in (sequence, index) order, only for turns that are on disk. It may
// reply after it returned, from any goroutine. ctx ends when the runtime stops.
type Executor interface {
	Execute(ctx context.Context, r Request)
}

// ExecutorFunc makes an [Executor] of a function.
type ExecutorFunc func(ctx context.Context, r Request)

// Execute calls f.
func (f ExecutorFunc) Execute(ctx context.Context, r Request) { f(ctx, r) }

// releaser holds back effects and facts until their turn is durable.
type releaser struct {
	r        *Runtime
	mu       sync.Mutex
	changed  *sync.Cond
	waiting  []released
	upTo     uint64 // durable
	stopping bool
	edges    map[core.Edge]*edge
	released atomic.Uint64
}

type released struct {
	ref    core.Ref
	cause  core.Ref
	time   int64
	actor  core.ID
	output core.Output
}

func newReleaser(r *Runtime) *releaser {
	l := &releaser{r: r, edges: make(map[core.Edge]*edge)}
	l.changed = sync.NewCond(&l.mu)
	for name, x := range r.opt.Edges {
		l.edges[name] = newEdge(x)
	}
	return l
}

func (l *releaser) add(by core.ID, turn Turn) {
	var leaving bool
	for _, o := range turn.Outputs {
		leaving = leaving || o.Kind != core.Send
	}
	if !leaving {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range turn.Outputs {
		if o.Kind != core.Send {
			l.waiting = append(l.waiting, released{
				ref:   core.Ref{Sequence: turn.Event.Sequence, Index: uint32(i)},
				cause: core.Ref(turn.Event.Cause),
				time:  turn.Event.Time, actor: by, output: o,
			})
		}
	}
	// The turn may have become durable between Append and here.
	if turn.Event.Sequence <= l.upTo {
		l.changed.Signal()
	}
}

func (l *releaser) durable(sequence uint64) {
	l.mu.Lock()
	l.upTo = max(l.upTo, sequence)
	l.mu.Unlock()
	l.changed.Signal()
}

// start runs the edges and the releasing goroutine; the channel closes when
// they have ended.
func (l *releaser) start(ctx context.Context) <-chan struct{} {
	ctx, cancel := context.WithCancel(ctx)
	var edges sync.WaitGroup
	for _, e := range l.edges {
		edges.Go(func() { e.run(ctx) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.loop()
		cancel()
		for _, e := range l.edges {
			e.close()
		}
		edges.Wait()
	}()
	return done
}

func (l *releaser) loop() {
	var ready []released
	for {
		l.mu.Lock()
		for !l.stopping && (len(l.waiting) == 0 || l.waiting[0].ref.Sequence > l.upTo) {
			l.changed.Wait()
		}
		n := 0
		for n < len(l.waiting) && l.waiting[n].ref.Sequence <= l.upTo {
			n++
		}
		ready = append(ready[:0], l.waiting[:n]...)
		clear(l.waiting[:n])
		l.waiting = l.waiting[n:]
		stopping := l.stopping
		l.mu.Unlock()
		for _, x := range ready {
			l.dispatch(x)
		}
		if stopping {
			return
		}
	}
}

func (l *releaser) dispatch(x released) {
	if x.output.Kind == core.Fact {
		if l.r.opt.OnFact != nil {
			l.r.opt.OnFact(Fact{Ref: x.ref, Cause: x.cause, Time: x.time, Actor: x.actor, Message: x.output.Message})
		}
		return
	}
	e := l.edges[core.Edge(x.output.Target)]
	if e == nil {
		l.r.log.Error("effect for an edge that this node does not have", "edge", x.output.Target, "type", x.output.Message.Type(), "seq", x.ref.Sequence)
		return
	}
	l.released.Add(1)
	e.put(l.request(x.ref, x.actor, x.output.Class, x.output.Message))
}

func (l *releaser) request(ref core.Ref, by core.ID, class core.Class, m core.Message) Request {
	var once sync.Once
	return Request{Ref: ref, Actor: by, Class: class, Message: m, Reply: func(result core.Message) {
		if class.Pending() {
			once.Do(func() { l.r.inbox.putResult(Input{Actor: by, Message: result, Cause: ref}) })
		}
	}}
}

// resume puts the effects that a restart found pending before their edges:
// until-done ones again, expiring ones answered as expired.
func (l *releaser) resume(pending []PendingEffect) error {
	for _, e := range pending {
		if e.Class == core.Expiring {
			l.r.inbox.putResult(Input{Actor: e.actor, Message: &core.Expired{Reason: "restart"}, Cause: e.Ref})
			continue
		}
		x := l.edges[e.Edge]
		if x == nil {
			return fault.New(fault.Invalid, "effect %d/%d (%s) waits for edge %q, which this node does not have: configure it", e.Ref.Sequence, e.Ref.Index, e.Request.Type(), e.Edge)
		}
		x.put(l.request(e.Ref, e.actor, e.Class, e.Request))
	}
	return nil
}

func (l *releaser) stop() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.changed.Signal()
}

// edge is the queue before one executor. It is bounded by the effects the cores
// keep pending, which is theirs to bound.
type edge struct {
	x      Executor
	mu     sync.Mutex
	filled *sync.Cond
	queue  []Request
	closed bool
}

func newEdge(x Executor) *edge {
	e := &edge{x: x}
	e.filled = sync.NewCond(&e.mu)
	return e
}

func (e *edge) put(r Request) {
	e.mu.Lock()
	e.queue = append(e.queue, r)
	e.mu.Unlock()
	e.filled.Signal()
}

func (e *edge) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.filled.Signal()
}

func (e *edge) run(ctx context.Context) {
	for {
		e.mu.Lock()
		for len(e.queue) == 0 && !e.closed {
			e.filled.Wait()
		}
		if e.closed {
			e.mu.Unlock()
			return
		}
		r := e.queue[0]
		e.queue[0] = Request{}
		e.queue = e.queue[1:]
		e.mu.Unlock()
		e.x.Execute(ctx, r)
	}
}
