package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

func secretOf(t testing.TB, n byte) *pegsigner.Secret {
	t.Helper()
	s, err := pegsigner.NewSecret([32]byte{31: n})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func federation(t testing.TB) *peg.Federation {
	t.Helper()
	f, err := peg.NewFederation([][33]byte{secretOf(t, 1).PublicKey(), secretOf(t, 2).PublicKey(), secretOf(t, 3).PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// shape describes a payment: coins of 1,000,000 satoshi by number, and what it is.
type shape struct {
	coins    []uint32
	pay, fee int64
	height   uint64
	root     byte
	replaces []chainhash.Hash
}

func (s shape) message(t testing.TB, f *peg.Federation) *message.SignPayout {
	t.Helper()
	if s.pay == 0 {
		s.pay = 400_000
	}
	if s.fee == 0 {
		s.fee = 2_000
	}
	m := &message.SignPayout{Number: s.height}
	m.Root[0] = s.root
	tx := wire.NewMsgTx(2)
	var in int64
	for _, c := range s.coins {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{7}, Index: c}, Sequence: 0xfffffffd})
		m.Spent = append(m.Spent, message.SpentOutput{Amount: 1_000_000, Script: f.ScriptPubKey})
		in += 1_000_000
	}
	tx.AddTxOut(wire.NewTxOut(s.pay, append([]byte{0, 20}, make([]byte, 20)...)))
	if change := in - s.pay - s.fee; change > 0 {
		tx.AddTxOut(wire.NewTxOut(change, f.ScriptPubKey))
	}
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	m.Raw.Data, m.Txid = raw.Bytes(), tx.TxHash()
	for _, txid := range s.replaces {
		m.Replaces = append(m.Replaces, message.PaymentID{Txid: txid})
	}
	return m
}

// running is a keeper in this process and the way to it.
type running struct {
	*pegsigner.RemoteSigner
	f       *peg.Federation
	path    string // of the log
	address string
	stop    func() error

	closeLog func() error
	clock    *clock
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func start(t *testing.T, path string, policy keeper.Policy) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "keeper") // sockets need short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	secret, f := secretOf(t, 1), federation(t)
	if path == "" {
		path = filepath.Join(t.TempDir(), "log")
	}
	_, missing := os.Stat(path)
	log, err := keeper.OpenLog(path, secret.PublicKey(), missing != nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	public := secret.PublicKey()
	k, err := keeper.New(secret, keeper.Options{Federation: f, Policy: policy, Log: log, Software: "test", Logger: slog.New(slog.DiscardHandler), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := keeper.ListenUnix(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- k.Serve(ctx, l, nil) }()
	remote, err := pegsigner.Dial(pegsigner.Remote{Address: "unix:" + socket, PublicKey: public, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{RemoteSigner: remote, f: f, path: path, address: socket, clock: c}
	r.closeLog = sync.OnceValue(log.Close)
	stopped := false
	r.stop = sync.OnceValue(func() error {
		cancel()
		stopped = true
		return errors.Join(<-served, remote.Close(), r.closeLog())
	})
	t.Cleanup(func() {
		if !stopped {
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

func (r *running) sign(t *testing.T, s shape) (chainhash.Hash, error) {
	t.Helper()
	m := s.message(t, r.f)
	_, err := pegsigner.Answer(t.Context(), r, r.f, m)
	return m.Txid, err
}

func (r *running) signed(t *testing.T, s shape) chainhash.Hash {
	t.Helper()
	txid, err := r.sign(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return txid
}

func (r *running) refused(t *testing.T, s shape, want string) {
	t.Helper()
	if _, err := r.sign(t, s); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), want) {
		t.Errorf("%+v: %v, want CannotJudge with %q", s, err, want)
	}
}

func TestSignsAndRemembers(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	first := r.signed(t, shape{coins: []uint32{1, 2}, height: 5, root: 1})
	r.signed(t, shape{coins: []uint32{1, 2}, height: 5, root: 1}) // asked for again
	r.signed(t, shape{coins: []uint32{1, 2}, height: 8, root: 2}) // proposed again by another block
	r.signed(t, shape{coins: []uint32{3}, height: 9})
	if err := pegsigner.DryRun(t.Context(), r); err != nil {
		t.Error(err)
	}
	d, err := r.Describe(t.Context())
	if err != nil || d.Payments != 2 || d.Member != 0 || d.Members != 3 || d.PublicKey != r.PublicKey() || d.Software != "test" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, r.path, keeper.Policy{})
	if d, err = again.Describe(t.Context()); err != nil || d.Payments != 2 {
		t.Errorf("after a restart: %+v, %v", d, err)
	}
	again.refused(t, shape{coins: []uint32{2, 9}, height: 10}, first.String())
}

// A second spend of an output is signed only when the request names the first one.
func TestSecondSpend(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	a := r.signed(t, shape{coins: []uint32{1, 2}, height: 5})
	r.refused(t, shape{coins: []uint32{2, 3}, height: 6}, "does not say that it replaces it")
	r.refused(t, shape{coins: []uint32{3}, height: 6, replaces: []chainhash.Hash{a}}, "spends none of its inputs")
	b := r.signed(t, shape{coins: []uint32{2, 3}, height: 6, replaces: []chainhash.Hash{a, {0xee}}}) // one that others signed
	// Both of the two that it shares an input with have to be named.
	r.refused(t, shape{coins: []uint32{1, 3}, height: 7, replaces: []chainhash.Hash{a}}, b.String())
	r.signed(t, shape{coins: []uint32{1, 3}, height: 7, replaces: []chainhash.Hash{a, b}})
	r.signed(t, shape{coins: []uint32{1, 2}, height: 5}) // back on the first branch: its signature exists
}

// A node that goes back, and does not know what it signed there, gets nothing that could
// confirm beside it.
func TestHeights(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	a := r.signed(t, shape{coins: []uint32{1}, height: 10})
	r.refused(t, shape{coins: []uint32{2}, height: 10}, "both could confirm")
	r.signed(t, shape{coins: []uint32{2}, height: 11})
	r.signed(t, shape{coins: []uint32{3}, height: 8}) // one that was late is of the same branch
	b := r.signed(t, shape{coins: []uint32{1, 4}, height: 9, replaces: []chainhash.Hash{a}})
	r.signed(t, shape{coins: []uint32{5}, height: 10}) // the first of this height is replaced
	r.refused(t, shape{coins: []uint32{6}, height: 9}, b.String())
}

func TestAllow(t *testing.T) {
	f := federation(t)
	second := shape{coins: []uint32{1, 3}, height: 4}
	allowed := second.message(t, f).Txid
	r := start(t, "", keeper.Policy{Allow: map[chainhash.Hash]bool{allowed: true}, MaxFeeRate: 20_000})
	r.signed(t, shape{coins: []uint32{1}, height: 5})
	r.refused(t, shape{coins: []uint32{1, 2}, height: 6}, "does not say")
	r.signed(t, second)
	data, err := os.ReadFile(r.path)
	if err != nil || strings.Count(string(data), `"allowed":true`) != 1 {
		t.Errorf("%s, %v", data, err)
	}
}

func TestBounds(t *testing.T) {
	r := start(t, "", keeper.Policy{MinFeeRate: 1_000, MaxFeeRate: 50_000, MaxPayment: 700_000, MaxPeriod: 1_500_000, Period: 24 * time.Hour})
	r.refused(t, shape{coins: []uint32{1}, fee: 100}, "at least 1000")
	r.refused(t, shape{coins: []uint32{1}, fee: 100_000}, "at most 50000")
	r.refused(t, shape{coins: []uint32{1}, pay: 700_001}, "at most 700000")
	r.signed(t, shape{coins: []uint32{1}, pay: 700_000, height: 1})
	r.signed(t, shape{coins: []uint32{2}, pay: 700_000, height: 2})
	if _, err := r.sign(t, shape{coins: []uint32{3}, pay: 100_001, height: 3}); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "within 24h") {
		t.Errorf("the limit of a period: %v, want Temporary", err)
	}
	r.signed(t, shape{coins: []uint32{3}, pay: 100_000, height: 3})
	r.signed(t, shape{coins: []uint32{1}, pay: 700_000, height: 1}) // signed already: no new money
	r.clock.add(24*time.Hour + time.Second)
	r.signed(t, shape{coins: []uint32{4}, pay: 700_000, height: 4})
}

// A txid says nothing of the amounts spent: lying about them first must not open a way
// around the bound of the fee.
func TestFeeIsBoundEachTime(t *testing.T) {
	r := start(t, "", keeper.Policy{MaxFeeRate: 50_000})
	m := shape{coins: []uint32{1}, fee: 2_000, height: 1}.message(t, r.f)
	if _, err := pegsigner.Answer(t.Context(), r, r.f, m); err != nil {
		t.Fatal(err)
	}
	m.Spent[0].Amount += 500_000
	if _, err := pegsigner.Answer(t.Context(), r, r.f, m); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), "at most 50000") {
		t.Errorf("%v", err)
	}
}

func TestOtherKey(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	other, err := pegsigner.Dial(pegsigner.Remote{Address: "unix:" + r.address, PublicKey: secretOf(t, 2).PublicKey(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	m := shape{coins: []uint32{1}}.message(t, r.f)
	if _, err := pegsigner.Answer(t.Context(), other, r.f, m); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), "this signer holds") {
		t.Error(err)
	}
	if err := pegsigner.DryRun(t.Context(), other); !fault.Is(err, fault.CannotJudge) {
		t.Error(err)
	}
	if d, err := r.Describe(t.Context()); err != nil || d.Payments != 0 {
		t.Errorf("%+v, %v: what was refused is in the log", d, err)
	}
	if _, err := keeper.New(secretOf(t, 9), keeper.Options{Federation: r.f, Log: &keeper.Log{}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("the key of nobody: %v", err)
	}
}

// A signer that is away or hangs is Temporary, within the time that a request has.
func TestAwayAndHung(t *testing.T) {
	dir, err := os.MkdirTemp("", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f := federation(t)
	m := shape{coins: []uint32{1}}.message(t, f)
	ask := func(socket string) {
		t.Helper()
		r, err := pegsigner.Dial(pegsigner.Remote{Address: "unix:" + socket, PublicKey: secretOf(t, 1).PublicKey(), Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if _, err := pegsigner.Answer(t.Context(), r, f, m); !fault.Is(err, fault.Temporary) {
			t.Errorf("%s: %v, want Temporary", filepath.Base(socket), err)
		}
	}
	ask(filepath.Join(dir, "away"))
	silent, err := net.Listen("unix", filepath.Join(dir, "hung"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
		}
	}()
	ask(filepath.Join(dir, "hung"))
}

// Clients that connect and say nothing, or nonsense, hold nobody up.
func TestHostileClients(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	for i := range 12 {
		conn, err := net.Dial("unix", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if i%2 == 0 {
			_, _ = conn.Write(bytes.Repeat([]byte{0xff, 'P', 0}, 20_000))
		}
	}
	r.signed(t, shape{coins: []uint32{1}})
	big := shape{coins: []uint32{2}, height: 1}.message(t, r.f)
	big.Spent[0].Script = make([]byte, 3<<20)
	if _, err := pegsigner.Answer(t.Context(), r, r.f, big); err == nil {
		t.Error("a script of 3 MiB is signed over")
	}
	r.signed(t, shape{coins: []uint32{3}, height: 2})
}

// One client stopping in the middle, or 16 more than there is room for, ends nothing.
func TestStopWithClients(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	r.signed(t, shape{coins: []uint32{1}})
	for range 40 {
		conn, err := net.Dial("unix", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not stop")
	}
}

func TestSocket(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	info, err := os.Stat(r.address)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := keeper.ListenUnix(t.Context(), r.address); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another signer") {
		t.Error(err)
	}
	if _, err := keeper.ListenUnix(t.Context(), r.path); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no socket") {
		t.Error(err)
	}
	if _, err := keeper.ListenUnix(t.Context(), "/"+strings.Repeat("x", 200)); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := keeper.OpenLog(r.path, r.PublicKey(), false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a log in use: %v", err)
	}
}
