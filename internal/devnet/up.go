package devnet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	firstPause = time.Second
	longPause  = 30 * time.Second
	// steady is after how long a process's next end counts as its first.
	steady = time.Minute

	// A node that ends with one of these codes would end so again.
	exitDamaged = 3
	exitRefused = 4
)

// supervisor keeps the processes of a network going.
type supervisor struct {
	n    *Network
	mu   sync.Mutex
	run  Run
	live map[string]*Process
}

// Up starts the network and keeps it going until ctx ends; then it stops nodes and chain.
// Ready is called once all are started. Errors: ErrRunning; Temporary when something does
// not start.
func (n *Network) Up(ctx context.Context, ready func()) (err error) {
	unlock, err := lock(n.o.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := n.noneLeft(); err != nil {
		return err
	}
	s := &supervisor{n: n, live: make(map[string]*Process)}
	s.run.Supervisor = runningOf("supervisor", os.Getpid())
	defer func() { _ = os.Remove(filepath.Join(n.o.Dir, runName)) }()
	bitcoin, err := n.StartBitcoin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bitcoin.Stop()) }()
	if err := s.note(bitcoin); err != nil {
		return err
	}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var nodes sync.WaitGroup
	for i := range n.Layout.Nodes {
		node := &n.Layout.Nodes[i]
		p, err := s.begin(node)
		if err != nil {
			cancel(err)
			break
		}
		nodes.Go(func() {
			if err := s.keep(running, node, p); err != nil {
				cancel(err)
			}
		})
	}
	if running.Err() == nil && ready != nil {
		ready()
	}
	select {
	case <-running.Done():
	case <-bitcoin.Done():
		cancel(fault.New(fault.Temporary, "the regtest chain ended with code %d: see %s", bitcoin.Code(), n.Log(Bitcoin)))
	}
	nodes.Wait()
	if cause := context.Cause(running); ctx.Err() == nil {
		return cause
	}
	return nil
}

// noneLeft refuses while nodes of a supervisor that was killed run.
func (n *Network) noneLeft() error {
	r, err := readRun(n.o.Dir)
	if err != nil || r == nil {
		return err
	}
	for _, p := range r.Processes {
		if p.alive() {
			return fault.New(fault.Temporary, "%s (process %d) of an earlier run is alive: %w", p.Name, p.PID, ErrRunning)
		}
	}
	return nil
}

// note writes a process into run.json.
func (s *supervisor) note(p *Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[p.Name] = p
	return s.put(runningOf(p.Name, p.PID()))
}

// ended notes the end of a process that is not started again.
func (s *supervisor) ended(p *Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := p.Code()
	return s.put(Running{Name: p.Name, PID: p.PID(), Exit: &code})
}

func (s *supervisor) put(r Running) error {
	for i := range s.run.Processes {
		if s.run.Processes[i].Name == r.Name {
			s.run.Processes[i] = r
			return writeRun(s.n.o.Dir, &s.run)
		}
	}
	s.run.Processes = append(s.run.Processes, r)
	return writeRun(s.n.o.Dir, &s.run)
}

func (s *supervisor) begin(node *federation.Node) (*Process, error) {
	p, err := s.n.StartNode(node)
	if err != nil {
		return nil, err
	}
	return p, s.note(p)
}

// keep starts a node again whenever it ends, and stops it when ctx ends.
func (s *supervisor) keep(ctx context.Context, node *federation.Node, p *Process) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		select {
		case <-ctx.Done():
			if err := p.Stop(); err != nil {
				s.n.o.Logger.Warn("a node did not stop well", "node", node.Name, "error", err)
			}
			return nil
		case <-p.Done():
		}
		if time.Since(p.Started) > steady {
			pause = firstPause
		}
		code := p.Code()
		if code == exitDamaged || code == exitRefused {
			s.n.o.Logger.Error("a node ended and is not started again", "node", node.Name, "code", code, "log", s.n.Log(node.Name))
			return s.ended(p)
		}
		s.n.o.Logger.Warn("a node ended", "node", node.Name, "code", code, "again_in", pause, "log", s.n.Log(node.Name))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		var err error
		if p, err = s.begin(node); err != nil {
			return err
		}
	}
}

// Down stops the network of a directory: its supervisor, and what a killed supervisor
// left. It returns how many processes it stopped.
func Down(ctx context.Context, dir string) (int, error) {
	dir = absolute(dir)
	r, err := readRun(dir)
	if err != nil || r == nil {
		return 0, err
	}
	stopped := 1 // the supervisor
	for _, p := range r.Processes {
		if p.alive() {
			stopped++
		}
	}
	if locked(dir) && r.Supervisor.alive() {
		r.Supervisor.signal(syscall.SIGTERM)
		return stopped, wait(ctx, func() bool { return !locked(dir) }, "the network does not stop")
	}
	stopped--
	for _, p := range r.Processes {
		p.signal(syscall.SIGTERM)
	}
	err = wait(ctx, func() bool {
		for _, p := range r.Processes {
			if p.alive() {
				return false
			}
		}
		return true
	}, "nodes that an earlier run left do not stop")
	if err == nil {
		err = os.Remove(filepath.Join(dir, runName))
	}
	return stopped, err
}

func wait(ctx context.Context, done func() bool, what string) error {
	for ; !done(); time.Sleep(lookEvery) {
		if ctx.Err() != nil {
			return fault.New(fault.Temporary, "%s in time: see its logs", what)
		}
	}
	return nil
}
