package nodetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
)

// Environment variables that name the programs.
const (
	BtcdEnv = "ALYS_BTCD" // github.com/btcsuite/btcd
	CoreEnv = "BITCOIND"  // Bitcoin Core
)

const (
	user     = "alys"
	password = "alys:secret" // a colon belongs to a password
)

// Process is a real Bitcoin node on regtest: a process of its own with a directory and
// loopback ports of its own.
type Process struct {
	// Core is Bitcoin Core, else it is btcd.
	Core bool
	// TxIndex has it keep an index of transactions, from the next start on.
	TxIndex bool

	t      testing.TB
	binary string
	dir    string
	rpc    int
	peers  int
	run    *exec.Cmd
	output *tail
	http   *http.Client
}

// Each runs a test once for each real node that the environment names; the others are
// skipped by name.
func Each(t *testing.T, test func(t *testing.T, p *Process)) {
	for _, kind := range []struct {
		name, env, what string
		core            bool
	}{
		{"btcd", BtcdEnv, "btcd: make e2e-btcd", false},
		{"core", CoreEnv, "Bitcoin Core", true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			binary := os.Getenv(kind.env)
			if binary == "" {
				t.Skipf("%s names no %s", kind.env, kind.what)
			}
			dir, err := os.MkdirTemp("", "alys-bitcoin")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			p := &Process{Core: kind.core, t: t, binary: binary, dir: dir, rpc: freePort(t), peers: freePort(t)}
			t.Cleanup(p.Kill)
			test(t, p)
		})
	}
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// URL is the address of its JSON-RPC: btcd's has a certificate.
func (p *Process) URL() string {
	if p.Core {
		return fmt.Sprintf("http://127.0.0.1:%d", p.rpc)
	}
	return fmt.Sprintf("https://127.0.0.1:%d", p.rpc)
}

// Options are those of a client: user, password and certificate of btcd, the cookie of
// Bitcoin Core. The files are there once it has started.
func (p *Process) Options() bitcoin.ClientOptions {
	if p.Core {
		return bitcoin.ClientOptions{URL: p.URL(), CookieFile: filepath.Join(p.dir, "regtest", ".cookie")}
	}
	return bitcoin.ClientOptions{URL: p.URL(), User: user, Password: password, CertificateFile: filepath.Join(p.dir, "rpc.cert")}
}

// Flags are the settings by which the program is told of the node, without the password.
func (p *Process) Flags() []string {
	o := p.Options()
	if p.Core {
		return []string{"--bitcoin-rpc-url", o.URL, "--bitcoin-rpc-cookie", o.CookieFile}
	}
	return []string{"--bitcoin-rpc-url", o.URL, "--bitcoin-rpc-user", user, "--bitcoin-rpc-cert", o.CertificateFile}
}

// Environ is the password as a variable of the program.
func (p *Process) Environ() []string {
	if p.Core {
		return nil
	}
	return []string{"ALYS_BITCOIN_RPC_PASSWORD=" + password}
}

// Start starts it and waits until it answers.
func (p *Process) Start() {
	p.t.Helper()
	p.Launch()
	client, err := bitcoin.Dial(p.awaitFiles())
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err = client.Info(context.Background()); err == nil {
			return
		}
	}
	p.t.Fatalf("%s does not answer: %v\n%s", p.binary, err, p.output)
}

// awaitFiles waits for the files that options name.
func (p *Process) awaitFiles() bitcoin.ClientOptions {
	o := p.Options()
	for range 1000 {
		// The file is there before it is written.
		if data, err := os.ReadFile(o.CertificateFile + o.CookieFile); err == nil && (p.Core && len(data) > 0 || bytes.Contains(data, []byte("-----END"))) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return o
}

// Launch starts it and does not wait.
func (p *Process) Launch() {
	p.t.Helper()
	args := []string{
		"--regtest", "--datadir=" + filepath.Join(p.dir, "data"), "--logdir=" + filepath.Join(p.dir, "log"), "--configfile=" + filepath.Join(p.dir, "none.conf"),
		"--rpcuser=" + user, "--rpcpass=" + password, fmt.Sprintf("--rpclisten=127.0.0.1:%d", p.rpc), fmt.Sprintf("--listen=127.0.0.1:%d", p.peers),
		"--rpccert=" + filepath.Join(p.dir, "rpc.cert"), "--rpckey=" + filepath.Join(p.dir, "rpc.key"), "--nodnsseed", "--rpcmaxclients=100",
	}
	index := "--txindex"
	if p.Core {
		args = []string{
			"-regtest", "-datadir=" + p.dir, "-server", fmt.Sprintf("-rpcport=%d", p.rpc), "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1",
			"-listen=0", "-dnsseed=0", "-fixedseeds=0", "-disablewallet", "-printtoconsole",
		}
		index = "-txindex"
	}
	if p.TxIndex {
		args = append(args, index)
	}
	p.output = new(tail)
	p.run = exec.Command(p.binary, args...)
	p.run.Stdout, p.run.Stderr = p.output, p.output
	if err := p.run.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// Kill ends it by SIGKILL.
func (p *Process) Kill() {
	if p.run != nil {
		_ = p.run.Process.Kill()
		_ = p.run.Wait()
		p.run = nil
	}
}

// Stop ends it as an operator does.
func (p *Process) Stop() {
	p.t.Helper()
	if p.run == nil {
		return
	}
	_ = p.run.Process.Signal(os.Interrupt)
	if err := p.run.Wait(); err != nil {
		p.t.Errorf("%s stops with %v\n%s", p.binary, err, p.output)
	}
	p.run = nil
}

// Output is the end of what it wrote.
func (p *Process) Output() string { return p.output.String() }

// call makes a call that no bitcoin.Node makes.
func (p *Process) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": "nodetest", "method": method, "params": params})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := p.authorize(r); err != nil {
		return err
	}
	response, err := p.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: status %s: %w", method, response.Status, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s", method, answer.Error.Message)
	}
	return json.Unmarshal(answer.Result, result)
}

func (p *Process) authorize(r *http.Request) error {
	o := p.Options()
	name, secret := o.User, o.Password
	if p.Core {
		cookie, err := os.ReadFile(o.CookieFile)
		if err != nil {
			return err
		}
		name, secret, _ = strings.Cut(string(cookie), ":")
	}
	r.SetBasicAuth(name, secret)
	if p.http != nil {
		return nil
	}
	transport := &http.Transport{}
	if !p.Core {
		certificate, err := os.ReadFile(o.CertificateFile)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(certificate)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	p.http = &http.Client{Transport: transport, Timeout: time.Minute}
	return nil
}

// tail keeps the end of what a process wrote.
type tail struct {
	mu   sync.Mutex
	text []byte
}

var _ io.Writer = (*tail)(nil)

func (o *tail) Write(b []byte) (int, error) {
	const most = 16 << 10
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if len(o.text) > most {
		o.text = bytes.Clone(o.text[len(o.text)-most:])
	}
	return len(b), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
