package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	libp2p "github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// behaviour is one thing that a hostile peer does.
type behaviour struct {
	name string
	does string
	act  string // the kind under which the node counts it; empty when it is only borne
	do   func(*attacker) error
}

// behaviours are all of them.
func behaviours() []behaviour { return slices.Concat(gossiping, asking) }

// outcome is what the node did.
type outcome struct {
	Name       string   `json:"name"`
	Does       string   `json:"does"`
	Acts       []string `json:"acts,omitempty"` // counted by the node, by kind
	Score      int64    `json:"score"`          // thousandths of a point, the lowest told
	Left       []string `json:"left,omitempty"` // why connections ended
	Banned     bool     `json:"banned"`
	Goroutines int      `json:"goroutines"` // most, beside those before
	Heap       int64    `json:"heap"`       // most, beside that before
	Remaining  int      `json:"remaining"`  // goroutines that are still there when the peer is gone
	Failure    string   `json:"failure,omitempty"`
}

// Bounds of what one hostile peer may cost, its own goroutines included: it lives in
// the same process.
const (
	mostGoroutines = 3000
	mostHeap       = 256 << 20
	mostRemaining  = 40
)

// patience is how long a behaviour may take to be noticed.
const patience = 20 * time.Second

// run lets one behaviour loose on a node of its own.
func run(ctx context.Context, w *world, b behaviour) (outcome, error) {
	o := outcome{Name: b.name, Does: b.does}
	dir, err := os.MkdirTemp("", "byzantine")
	if err != nil {
		return o, fault.Wrap(fault.Temporary, err, "a directory for the peer's key")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	v, err := startVictim(ctx, w, dir)
	if err != nil {
		return o, err
	}
	defer func() { _ = v.Close() }()
	if !wait(patience, func() bool { head, _, _ := v.Status(); return head.Number == knownLength }) {
		o.Failure = "the node does not get to its head: " + v.failure()
		return o, nil
	}
	target, err := libp2p.AddrInfoFromString(v.net.Addresses()[0])
	if err != nil {
		return o, err
	}
	m := startMeter()
	if err := o.attack(ctx, w, v, *target, b); err != nil {
		return o, err
	}
	wait(patience, func() bool { return runtime.NumGoroutine() <= m.goroutines+mostRemaining })
	o.Goroutines, o.Heap, o.Remaining = m.stop()
	o.read(v)
	return o, o.judge(ctx, w, v, *target, b)
}

// attack has the peer do it, and waits until the node says so.
func (o *outcome) attack(ctx context.Context, w *world, v *victim, target libp2p.AddrInfo, b behaviour) error {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	a, err := newAttacker(ctx, w, target)
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	defer done()
	if err := b.do(a); err != nil {
		o.Failure = err.Error()
	}
	if b.act == "" {
		time.Sleep(2 * time.Second)
		return nil
	}
	if !wait(patience, func() bool {
		o.read(v)
		return slices.ContainsFunc(o.Acts, func(s string) bool { return strings.HasPrefix(s, b.act+" ") })
	}) {
		o.Failure += " the node does not count " + b.act
	}
	return nil
}

// read takes from the node's facts what it did.
func (o *outcome) read(v *victim) {
	v.mu.Lock()
	defer v.mu.Unlock()
	counts := map[string]uint32{}
	o.Score, o.Left, o.Banned = 0, nil, false
	for _, m := range v.facts {
		switch f := m.(type) {
		case *message.PeerScored:
			o.Score = min(o.Score, f.Score)
			for _, act := range f.Acts {
				counts[act.Kind] += act.Count
			}
		case *message.PeerLeft:
			o.Left = append(o.Left, f.Reason)
		case *message.PeerBanned:
			o.Banned = true
		}
	}
	o.Acts = nil
	for kind, n := range counts {
		o.Acts = append(o.Acts, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(o.Acts)
}

// judge holds the node to its bounds, and to serving others still.
func (o *outcome) judge(ctx context.Context, w *world, v *victim, target libp2p.AddrInfo, b behaviour) error {
	switch {
	case o.Failure != "":
	case v.failure() != "":
		o.Failure = v.failure()
	case o.Goroutines > mostGoroutines:
		o.Failure = fmt.Sprintf("%d goroutines", o.Goroutines)
	case o.Heap > mostHeap:
		o.Failure = fmt.Sprintf("%d bytes of heap", o.Heap)
	case o.Remaining > mostRemaining:
		o.Failure = fmt.Sprintf("%d goroutines remain", o.Remaining)
	}
	honest, err := newAttacker(ctx, w, target)
	if err != nil {
		return err
	}
	defer func() { _ = honest.Close() }()
	joined := func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return slices.ContainsFunc(v.facts, func(m core.Message) bool {
			f, ok := m.(*message.PeerJoined)
			return ok && f.Peer == honest.host.ID().String()
		})
	}
	if _, err := honest.session(); err != nil && o.Failure == "" && !joined() {
		o.Failure = "another peer gets no connection: " + err.Error()
	}
	if !wait(patience, joined) && o.Failure == "" {
		o.Failure = "another peer is not taken in after " + b.name
	}
	return nil
}

// failure is why a turn failed.
func (v *victim) failure() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

// wait polls until f holds.
func wait(limit time.Duration, f func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if f() {
			return true
		}
	}
	return f()
}

// meter looks at goroutines and heap.
type meter struct {
	goroutines, most int
	heap, mostHeap   int64
	end, ended       chan struct{}
}

func heap() int64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapInuse)
}

func startMeter() *meter {
	runtime.GC()
	m := &meter{goroutines: runtime.NumGoroutine(), heap: heap(), end: make(chan struct{}), ended: make(chan struct{})}
	m.most, m.mostHeap = m.goroutines, m.heap
	go func() {
		defer close(m.ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-m.end:
				return
			case <-tick.C:
				m.most, m.mostHeap = max(m.most, runtime.NumGoroutine()), max(m.mostHeap, heap())
			}
		}
	}()
	return m
}

// stop returns the most of both, beside what was there before, and what remains.
func (m *meter) stop() (goroutines int, heap int64, remaining int) {
	close(m.end)
	<-m.ended
	return m.most - m.goroutines, m.mostHeap - m.heap, runtime.NumGoroutine() - m.goroutines
}
