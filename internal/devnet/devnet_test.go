package devnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest/rpcserver"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// programVar makes this test's binary a stand-in of the program: a real regtest chain, and
// nodes that do nothing until they are stopped, or end with the code that a file says.
const programVar = "DEVNET_TEST_PROGRAM"

const codeFile = "code"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if os.Args[1] == "dev" {
		os.Exit(serveBitcoin(ctx, os.Args[4], os.Args[6]))
	}
	config := os.Args[3]
	fmt.Println("started", config, len(os.Getenv("ALYS_FEDERATION_KEY")))
	if data, err := os.ReadFile(filepath.Join(filepath.Dir(config), codeFile)); err == nil {
		code, _ := strconv.Atoi(string(data))
		os.Exit(code)
	}
	<-ctx.Done()
}

func serveBitcoin(ctx context.Context, dir, addr string) int {
	chain, err := regtest.Open(regtest.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = chain.Close() }()
	l, err := rpcserver.Listen(ctx, addr)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	cookie, err := rpcserver.WriteCookie(filepath.Join(dir, cookieName))
	if err == nil {
		err = rpcserver.New(chain, rpcserver.Options{Credentials: cookie}).Serve(ctx, l)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// network is one member and one full node of stand-ins, on ports that were free.
func network(t *testing.T) *Network {
	t.Helper()
	t.Setenv(programVar, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n, err := Make(Options{Dir: filepath.Join(t.TempDir(), "n"), Program: program, Members: 1, Full: 1, Chain: laneChain(time.Second), Port: freePorts(t)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func freePorts(t *testing.T) int {
	t.Helper()
	l, err := rpcserver.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	p, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return p + 1 // the chain is one below
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatal(what)
}

// log is what a process wrote.
func (n *Network) log(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(n.Log(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// of finds a process in run.json.
func (n *Network) of(t *testing.T, name string) (r Running) {
	t.Helper()
	run, err := readRun(n.o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if run != nil {
		for _, p := range run.Processes {
			if p.Name == name {
				r = p
			}
		}
	}
	return r
}

// A node that dies is started again, one that refuses is not; down stops all, and up goes
// on.
func TestUpDown(t *testing.T) {
	n := network(t)
	for round := range 2 {
		ended := make(chan error, 1)
		ready := make(chan struct{})
		// This process is the supervisor, and is stopped as one.
		ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
		defer stop()
		go func() { ended <- n.Up(ctx, func() { close(ready) }) }()
		select {
		case <-ready:
		case err := <-ended:
			t.Fatal(err)
		}
		if err := n.Up(t.Context(), nil); !errors.Is(err, ErrRunning) {
			t.Errorf("a second supervisor: %v", err)
		}
		starts := func(want int) {
			t.Helper()
			eventually(t, "the node does not start", func() bool { return strings.Count(n.log(t, "member-0"), "started") == want })
		}
		starts(2*round + 1)
		first := n.of(t, "member-0")
		if !first.alive() || !n.of(t, Bitcoin).alive() {
			t.Fatalf("round %d: %+v", round, first)
		}
		first.signal(syscall.SIGKILL)
		eventually(t, "a killed node is not started again", func() bool { p := n.of(t, "member-0"); return p.PID != first.PID && p.alive() })
		starts(2*round + 2)
		if s, err := n.Status(t.Context()); err != nil || !s.Running || s.Bitcoin == nil || s.Nodes[0].PID == 0 || s.Nodes[0].Status != nil {
			t.Errorf("%+v, %v", s, err)
		}
		if round == 1 {
			refuse(t, n)
		}
		left := []Running{n.of(t, "member-0"), n.of(t, "full-0"), n.of(t, Bitcoin)}
		if stopped, err := Down(t.Context(), n.Dir()); err != nil || stopped < 3 {
			t.Errorf("%d stopped, %v", stopped, err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, p := range left {
			if p.alive() {
				t.Errorf("%s runs still", p.Name)
			}
		}
	}
	if stopped, err := Down(t.Context(), n.Dir()); err != nil || stopped != 0 {
		t.Errorf("down of a stopped network: %d, %v", stopped, err)
	}
	if log := n.log(t, "member-0"); !strings.Contains(log, "config.toml 64") {
		t.Errorf("the member's key is not in the environment: %s", log)
	}
}

// refuse has the full node end with code 4.
func refuse(t *testing.T, n *Network) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.Layout.NodeDir(&n.Layout.Nodes[1]), codeFile), []byte("4"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.of(t, "full-0").signal(syscall.SIGKILL)
	eventually(t, "a node that refuses is started again and again", func() bool { p := n.of(t, "full-0"); return p.Exit != nil && *p.Exit == 4 })
}

// What a killed supervisor left is found and stopped, and nothing else is.
func TestDownOfLeft(t *testing.T) {
	n := network(t)
	sleeper := func() (*exec.Cmd, chan error) {
		c := exec.Command("sleep", "1000")
		if err := c.Start(); err != nil {
			t.Skipf("no sleep on this machine: %v", err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		t.Cleanup(func() { _ = c.Process.Kill() })
		return c, done
	}
	ours, ended := sleeper()
	other, spared := sleeper()
	r := &Run{Supervisor: Running{Name: "supervisor", PID: 1 << 30, Start: 1}, Processes: []Running{
		runningOf("member-0", ours.Process.Pid),
		{Name: "full-0", PID: other.Process.Pid, Start: startTime(other.Process.Pid) + 1}, // the id came round
	}}
	if r.Processes[0].Start == 0 {
		t.Skip("this system does not say when processes start")
	}
	if err := writeRun(n.Dir(), r); err != nil {
		t.Fatal(err)
	}
	if err := n.Up(t.Context(), nil); !errors.Is(err, ErrRunning) || !fault.Is(err, fault.Temporary) {
		t.Errorf("up beside what is left: %v", err)
	}
	if stopped, err := Down(t.Context(), n.Dir()); err != nil || stopped != 1 {
		t.Errorf("%d stopped, %v", stopped, err)
	}
	<-ended
	select {
	case <-spared:
		t.Error("a process of somebody else was stopped")
	default:
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Dir: dir}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, settingsName), []byte(`{"format":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, runName), []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(t.Context(), dir); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
