package settle

import (
	"context"
	"errors"
	"sync"

	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Peer is a node that states and blocks are fetched from. Its methods end in time, with an
// error of grade Temporary when it does not answer, and Invalid when what it answers cannot be
// read.
type Peer interface {
	Name() string
	// Exchange sends a request of package checkpoint and returns the answer.
	Exchange(ctx context.Context, request []byte) ([]byte, error)
	// Blocks asks for signed blocks of the peer's head's branch by height, ascending. It may
	// return fewer.
	Blocks(ctx context.Context, from uint64, count uint32) ([][]byte, error)
}

// strikes is how often a peer may fail to answer before it is left out.
const strikes = 3

// errRefusal is of a peer that answers that it has nothing: no fault of it.
var errRefusal = errors.New("refused")

// errLocal is of this machine's disk, which no other peer mends.
var errLocal = errors.New("local")

func local(err error, what string) error {
	if err == nil {
		return nil
	}
	return errors.Join(fault.Wrap(fault.Fatal, err, what), errLocal)
}

// ask sends a request and reads the answer, which is of the type wanted.
func ask[T checkpoint.Message](ctx context.Context, p Peer, request checkpoint.Message) (answer T, err error) {
	data, err := p.Exchange(ctx, checkpoint.Pack(request))
	if err != nil {
		return answer, err
	}
	m, err := checkpoint.Unpack(data)
	if err != nil {
		return answer, err
	}
	if no, refused := m.(*checkpoint.Refusal); refused {
		return answer, errors.Join(fault.New(fault.CannotJudge, "peer %s: %s", p.Name(), no.Reason), errRefusal)
	}
	answer, ok := m.(T)
	if !ok {
		return answer, fault.New(fault.Invalid, "peer %s answers %T with %T", p.Name(), request, m)
	}
	return answer, nil
}

// Statements asks peers for statements, all at once. Those that do not answer are passed over,
// and named in failed.
func Statements(ctx context.Context, peers []Peer) (list []checkpoint.Statement, failed map[string]error) {
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	failed = map[string]error{}
	for _, p := range peers {
		wg.Go(func() {
			answer, err := ask[*checkpoint.Statements](ctx, p, &checkpoint.AskStatements{})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[p.Name()] = err
				return
			}
			list = append(list, answer.List...)
		})
	}
	wg.Wait()
	return list, failed
}

// crowd hands work to peers: each item to one peer at a time, to another when that fails.
type crowd struct {
	mu    sync.Mutex
	peers []*worker
	told  func(peer string, err error) // of a peer that is left out
}

type worker struct {
	Peer
	failures int
	out      bool
}

func newCrowd(peers []Peer, told func(string, error)) *crowd {
	c := &crowd{told: told}
	for _, p := range peers {
		c.peers = append(c.peers, &worker{Peer: p})
	}
	return c
}

// failed notes that a peer failed; it is left out when it lied, or failed too often.
func (c *crowd) failed(w *worker, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.failures++
	if fault.Is(err, fault.Invalid) || w.failures >= strikes {
		c.leaveOut(w, err)
	}
}

// lied leaves a peer out whatever it is good for.
func (c *crowd) lied(w *worker, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveOut(w, err)
}

func (c *crowd) leaveOut(w *worker, err error) {
	if !w.out && c.told != nil {
		c.told(w.Name(), err)
	}
	w.out = true
}

func (c *crowd) usable(w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !w.out
}

// each has the peers do items 0 to n-1, lowest first, every peer one at a time. do returns an
// error when the peer failed; the item is then done by another. each ends when all are done, ctx
// ends or no peer is left.
func (c *crowd) each(ctx context.Context, n int, do func(w *worker, item int) error) error {
	var (
		mu          sync.Mutex
		wg          sync.WaitGroup
		left        = n
		last, fatal error
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := make(chan int, n)
	for i := range n {
		items <- i
	}
	if n == 0 {
		return nil
	}
	work := func(w *worker) {
		for c.usable(w) {
			var i int
			select {
			case <-ctx.Done():
				return
			case i = <-items:
			}
			err := do(w, i)
			mu.Lock()
			if err == nil {
				if left--; left == 0 {
					cancel()
				}
			} else {
				last = err
				items <- i
				if errors.Is(err, errLocal) {
					fatal = err
					cancel()
				}
			}
			mu.Unlock()
			if err != nil && ctx.Err() == nil {
				c.failed(w, err)
			}
		}
	}
	for _, w := range c.peers {
		wg.Go(func() { work(w) })
	}
	wg.Wait()
	switch {
	case left == 0:
		return nil
	case fatal != nil:
		return fatal
	case context.Cause(ctx) != nil:
		return fault.Wrap(fault.Temporary, context.Cause(ctx), "fetching from peers")
	}
	return fault.New(fault.Temporary, "no peer is left to ask, the last failed: %w", last)
}
