package devnet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest/rpcserver"
	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/node"
)

// askLimit is how long a process may take to answer for a status.
const askLimit = 5 * time.Second

// Status is a network at a glance.
type Status struct {
	Dir        string            `json:"dir"`
	Running    bool              `json:"running"` // a supervisor has it
	Bitcoin    *rpcserver.Faucet `json:"bitcoin,omitempty"`
	BitcoinErr string            `json:"bitcoin_problem,omitempty"`
	Nodes      []NodeStatus      `json:"nodes"`
	// Lowest and Highest are the heights of the heads of nodes that answer.
	Lowest  uint64 `json:"lowest_head"`
	Highest uint64 `json:"highest_head"`
}

// NodeStatus is one node of it.
type NodeStatus struct {
	Name    string       `json:"name"`
	Member  *int         `json:"member,omitempty"`
	PID     int          `json:"pid,omitempty"`
	Exit    *int         `json:"exit,omitempty"` // of one that is not started again
	Problem string       `json:"problem,omitempty"`
	Status  *node.Status `json:"status,omitempty"` // nil while it does not answer
	Log     string       `json:"log"`
}

// Status asks all processes. It never fails for one that does not answer.
func (n *Network) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := readRun(n.o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Status{Dir: n.o.Dir, Running: locked(n.o.Dir), Nodes: make([]NodeStatus, len(n.Layout.Nodes))}
	var asking sync.WaitGroup
	for i := range s.Nodes {
		asking.Go(func() { s.Nodes[i] = n.ask(ctx, &n.Layout.Nodes[i], r) })
	}
	asking.Go(func() {
		f, err := n.BitcoinClient().Faucet(ctx)
		if err != nil {
			s.BitcoinErr = err.Error()
			return
		}
		s.Bitcoin = &f
	})
	asking.Wait()
	for i := range s.Nodes {
		if at := s.Nodes[i].Status; at != nil {
			s.Highest = max(s.Highest, at.Head.Height)
			if s.Lowest == 0 || at.Head.Height < s.Lowest {
				s.Lowest = at.Head.Height
			}
		}
	}
	return s, nil
}

func (n *Network) ask(ctx context.Context, of *federation.Node, r *Run) NodeStatus {
	s := NodeStatus{Name: of.Name, Member: of.Member, Log: n.Log(of.Name)}
	if r != nil {
		for _, p := range r.Processes {
			if p.Name == of.Name {
				s.Exit = p.Exit
				if p.alive() {
					s.PID = p.PID
				}
			}
		}
	}
	status, err := n.NodeStatus(ctx, of)
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	s.Status = status
	return s
}

// NodeStatus asks one node over its control socket.
func (n *Network) NodeStatus(ctx context.Context, of *federation.Node) (status *node.Status, err error) {
	client, err := n.Admin(of)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	status = new(node.Status)
	return status, client.Status(ctx, status)
}

// Admin connects to a node's control socket.
func (n *Network) Admin(of *federation.Node) (*admin.Client, error) {
	return admin.Dial(n.Layout.DataDir(of))
}

// AwaitAll waits until every node answers.
func (n *Network) AwaitAll(ctx context.Context) error {
	for i := range n.Layout.Nodes {
		for {
			_, err := n.NodeStatus(ctx, &n.Layout.Nodes[i])
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return errors.Join(err, ctx.Err())
			case <-time.After(lookEvery):
			}
		}
	}
	return nil
}
