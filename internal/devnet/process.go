package devnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// stopLimit is how long a node may take to stop cleanly.
	stopLimit = 30 * time.Second
	// answerLimit is how long the regtest chain may take to answer at its first start, when
	// it mines 432 blocks.
	answerLimit = time.Minute
	lookEvery   = 50 * time.Millisecond
)

// Process is a process that this one started.
type Process struct {
	Name    string
	Started time.Time
	cmd     *exec.Cmd
	log     *os.File
	asked   sync.Once // to stop
	done    chan struct{}
	err     error // of its end, once done is closed
}

// start starts a process whose output goes to its log.
func (n *Network) start(name string, environ []string, args ...string) (*Process, error) {
	log, err := os.OpenFile(n.Log(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "log of "+name)
	}
	p := &Process{Name: name, Started: time.Now(), log: log, done: make(chan struct{})}
	p.cmd = exec.Command(n.o.Program, args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = log, log, n.o.Dir
	p.cmd.Env = append(inherited(), environ...)
	// Ctrl-C on a terminal is for the supervisor, which stops the others in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	launch := n.o.Launch
	if launch == nil {
		launch = func(_ string, start func() error) error { return start() }
	}
	if err := launch(name, p.cmd.Start); err != nil {
		return nil, fault.Wrap(fault.Fatal, errors.Join(err, log.Close()), "start "+name)
	}
	go func() {
		p.err = errors.Join(p.cmd.Wait(), p.log.Close())
		close(p.done)
	}()
	return p, nil
}

// inherited is this process's environment without settings: those of a network are in its
// files.
func inherited() (out []string) {
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "ALYS_") && !strings.HasPrefix(pair, "BITCOIN_RPC_") {
			out = append(out, pair)
		}
	}
	return out
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed at its end.
func (p *Process) Done() <-chan struct{} { return p.done }

// Code is its exit code, -1 for a signal; only after its end.
func (p *Process) Code() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends it by SIGKILL and waits.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Interrupt asks it to stop, and does not wait. A second signal would end it at once, so
// there is none.
func (p *Process) Interrupt() {
	p.asked.Do(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) })
}

// Stop asks it to stop and waits. One that does not within the limit is killed, which is
// an error as any exit code but 0 is.
func (p *Process) Stop() error {
	p.Interrupt()
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		p.Kill()
		return fault.New(fault.Temporary, "%s did not stop within %s and was killed", p.Name, stopLimit)
	}
	if p.err != nil {
		return fault.Wrap(fault.Temporary, p.err, p.Name+" stopped")
	}
	return nil
}

// StartBitcoin starts the regtest chain and waits until it answers.
func (n *Network) StartBitcoin(ctx context.Context) (*Process, error) {
	p, err := n.start(Bitcoin, nil, "dev", "bitcoin", "--dir", filepath.Join(n.o.Dir, bitcoinName), "--listen", n.made.BitcoinAddr,
		"--interval", (time.Duration(n.made.MineMs) * time.Millisecond).String())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for client := n.BitcoinClient(); ; {
		if _, err = client.Faucet(ctx); err == nil {
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fault.New(fault.Temporary, "the regtest chain ended with code %d: see %s", p.Code(), n.Log(Bitcoin))
		case <-ctx.Done():
			p.Kill()
			return nil, fault.Wrap(fault.Temporary, err, "the regtest chain does not answer")
		case <-time.After(lookEvery):
		}
	}
}

// StartNode starts a node and does not wait. Extra are further flags.
func (n *Network) StartNode(node *federation.Node, extra ...string) (*Process, error) {
	environ, err := n.secrets(node)
	if err != nil {
		return nil, err
	}
	return n.start(node.Name, environ, append([]string{"node", "--config", n.Layout.Config(node)}, extra...)...)
}

// secrets are the variables of a member's secrets.env.
func (n *Network) secrets(node *federation.Node) ([]string, error) {
	if node.Member == nil {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(n.Layout.NodeDir(node), federation.SecretsName))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "secrets of "+node.Name)
	}
	return strings.Fields(string(data)), nil
}

// DialOf returns what reaches the network that a process is on.
func (n *Network) DialOf(name string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if n.o.Dial != nil {
		return n.o.Dial(name)
	}
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext
}

// httpClient reaches a process over HTTP. It keeps no connection: processes come and go.
func (n *Network) httpClient(name string) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: n.DialOf(name), DisableKeepAlives: true}}
}

// startTime identifies a process beside its id: in clock ticks since boot, 0 where the
// system does not say.
func startTime(pid int) uint64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything; the start time is the 20th field after it.
	_, rest, ok := strings.Cut(string(data), ") ")
	for i := strings.LastIndex(rest, ") "); ok && i >= 0; i = strings.LastIndex(rest, ") ") {
		rest = rest[i+2:]
	}
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" { // ended, and not waited for
		return 0
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0
	}
	return ticks
}
