package keeper_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper/signerpb"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// logOf writes a log of n records and returns its bytes.
func logOf(t testing.TB, path string, n int) []byte {
	t.Helper()
	l, err := keeper.OpenLog(path, secretOf(t, 1).PublicKey(), true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r := &keeper.Record{
			Time: int64(i), Txid: fmt.Sprintf("%064x", i+1), Root: "0x00", Number: uint64(i), Paid: 5,
			Inputs: []string{fmt.Sprintf("%064x:%d", 7, i)},
		}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func reopen(t testing.TB, path string) (*keeper.Log, error) {
	t.Helper()
	l, err := keeper.OpenLog(path, secretOf(t, 1).PublicKey(), false)
	if err == nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	return l, err
}

// A log cut anywhere opens with the whole lines before the cut, and goes on.
func TestLogCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	data := logOf(t, path, 3)
	first := bytes.IndexByte(data, '\n') + 1
	for n := range data {
		if near := bytes.IndexByte(data[n:], '\n'); n%29 != 0 && near > 1 && near < len(data[first:])-2 && n != first {
			continue // every place costs two syncs
		}
		at := fmt.Sprintf("%s.%d", path, n)
		if err := os.WriteFile(at, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := reopen(t, at)
		if n < first {
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("cut after %d bytes, in the first line: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		whole := bytes.Count(data[:n], []byte("\n")) - 1
		if last := bytes.LastIndexByte(data[:n], '\n') + 1; len(l.Records) != whole || l.Cut != n-last {
			t.Errorf("cut after %d bytes: %d records, %d cut; want %d and %d", n, len(l.Records), l.Cut, whole, n-last)
		}
		if err := l.Append(&keeper.Record{Txid: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if again, err := reopen(t, at); err != nil || len(again.Records) != whole+1 || again.Cut != 0 {
			t.Fatalf("cut after %d bytes and gone on: %v", n, err)
		}
	}
}

// A changed byte is found; only in an unfinished end it is not told from a cut.
func TestLogFlipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	data := logOf(t, path, 2)
	for i := range data[:len(data)-1] {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x04
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := reopen(t, path); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("byte %d flipped: %v, %v", i, l, err)
		}
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	missing := append(bytes.Clone(lines[0]), lines[2]...)
	if err := os.WriteFile(path, missing, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, path); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line is missing: %v", err)
	}
}

func TestLogRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	if _, err := reopen(t, path); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--new-log") {
		t.Errorf("a missing log: %v", err)
	}
	logOf(t, path, 1)
	if _, err := keeper.OpenLog(path, secretOf(t, 1).PublicKey(), true); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "without --new-log") {
		t.Errorf("a new log over another: %v", err)
	}
	if _, err := keeper.OpenLog(path, secretOf(t, 2).PublicKey(), false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "use the log of that key") {
		t.Errorf("the log of another key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	l, err := reopen(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if public, records, rest, err := keeper.ReadLog(path); err != nil || len(records) != 1 || rest != 0 || len(public) != 66 {
		t.Errorf("read while in use: %q %d %d %v", public, len(records), rest, err)
	}
	_ = l.Close()
	if err := l.Append(&keeper.Record{}); !fault.Is(err, fault.Fatal) {
		t.Errorf("append to a closed log: %v", err)
	}
}

// When the record cannot be written nothing is signed, then or later.
func TestNoRecordNoSignature(t *testing.T) {
	r := start(t, "", keeper.Policy{})
	r.signed(t, shape{coins: []uint32{1}, height: 1})
	if err := r.closeLog(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.sign(t, shape{coins: []uint32{2}, height: 2}); !fault.Is(err, fault.Temporary) {
		t.Errorf("%v", err)
	}
	if err := r.stop(); !fault.Is(err, fault.Fatal) {
		t.Errorf("the keeper ended with %v", err)
	}
	if _, records, _, err := keeper.ReadLog(r.path); err != nil || len(records) != 1 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

const (
	childLog    = "KEEPER_TEST_LOG"
	childSocket = "KEEPER_TEST_SOCKET"
)

// TestMain runs a keeper when a test started this program for that.
func TestMain(m *testing.M) {
	if path := os.Getenv(childLog); path != "" {
		os.Exit(child(path, os.Getenv(childSocket)))
	}
	os.Exit(m.Run())
}

// A keeper that is killed at any moment has a record of all that it signed.
func TestKill(t *testing.T) {
	dir, err := os.MkdirTemp("", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path, socket, f := filepath.Join(dir, "log"), filepath.Join(dir, "s"), federation(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	remote, err := pegsigner.Dial(pegsigner.Remote{Address: "unix:" + socket, PublicKey: secretOf(t, 1).PublicKey(), Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = remote.Close() }()
	signed := map[string]bool{}
	height := uint64(0)
	for round := range 5 {
		run := exec.Command(self)
		run.Env = append(os.Environ(), childLog+"="+path, childSocket+"="+socket)
		run.Stderr = os.Stderr
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		var killed *time.Timer // from the first signature on, however long the start takes
		ended := make(chan struct{})
		go func() { _ = run.Wait(); close(ended) }()
		for alive := true; alive; {
			height++
			m := shape{coins: []uint32{uint32(height)}, height: height}.message(t, f)
			ctx, cancel := contextUntil(t, ended)
			if _, err := pegsigner.Answer(ctx, remote, f, m); err == nil {
				signed[m.Txid.String()] = true
				if killed == nil {
					killed = time.AfterFunc(time.Duration(20+70*round)*time.Millisecond, func() { _ = run.Process.Kill() })
				}
			}
			cancel()
			select {
			case <-ended:
				alive = false
			default:
			}
		}
		if killed == nil {
			t.Fatal("the signer ended before it signed anything")
		}
		killed.Stop()
	}
	_, records, rest, err := keeper.ReadLog(path)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for i := range records {
		recorded[records[i].Txid] = true
	}
	for txid := range signed {
		if !recorded[txid] {
			t.Errorf("payment %s was signed and is not in the log", txid)
		}
	}
	t.Logf("%d payments signed, %d in the log, %d bytes unfinished", len(signed), len(records), rest)
	if len(signed) == 0 {
		t.Error("nothing was signed")
	}
}

func FuzzLog(f *testing.F) {
	path := filepath.Join(f.TempDir(), "log")
	f.Add(logOf(f, path, 2))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := reopen(t, path); err != nil && !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

// Whatever bytes a client sends as a request, the keeper answers or refuses.
func FuzzRequest(f *testing.F) {
	m := shape{coins: []uint32{1, 2}, height: 3}.message(f, federation(f))
	public := secretOf(f, 1).PublicKey()
	good := &signerpb.SignPaymentRequest{PublicKey: public[:], Txid: m.Txid[:], Root: m.Root[:], Number: 3, Transaction: m.Raw.Data}
	for i := range m.Spent {
		good.Spent = append(good.Spent, &signerpb.SpentOutput{Amount: m.Spent[i].Amount, Script: m.Spent[i].Script})
	}
	data, err := proto.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{0x3a, 0})
	path := filepath.Join(f.TempDir(), "log")
	logOf(f, path, 0)
	l, err := reopen(f, path)
	if err != nil {
		f.Fatal(err)
	}
	k := newKeeper(f, l)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r signerpb.SignPaymentRequest
		if proto.Unmarshal(data, &r) != nil {
			return
		}
		answer, err := k.SignPayment(t.Context(), &r)
		if err == nil && len(answer.Signatures) != len(r.Spent) {
			t.Fatalf("%d signatures for %d inputs", len(answer.Signatures), len(r.Spent))
		}
		_, _ = k.SignDryRun(t.Context(), &signerpb.SignDryRunRequest{PublicKey: r.PublicKey, Challenge: r.Transaction})
	})
}
