package lease_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/lease"
)

var key = []byte{0xa1, 0xb2, 0xc3}

func claim(t *testing.T, journal string) lease.Claim {
	t.Helper()
	return lease.Claim{Purpose: "authority", Key: key, Journal: journal, DataDir: t.TempDir()}
}

func wantRefused(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, lease.ErrRefused) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want a refusal that says %q", err, text)
	}
}

// One key is one process's and one journal's, in one directory.
func TestTake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	mine := claim(t, "journal-1")
	held, err := lease.Take(dir, mine)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lease.Take(dir, claim(t, "journal-2"))
	wantRefused(t, err, held.Binding.DataDir)
	_, err = lease.Take(dir, mine)
	wantRefused(t, err, "stop the other first")
	if list, err := lease.List(dir); err != nil || len(list) != 1 || !list[0].Held || list[0].Journal != "journal-1" {
		t.Errorf("list %+v, %v", list, err)
	}
	_, err = lease.Release(dir, hex.EncodeToString(key), "by a test")
	wantRefused(t, err, held.Binding.DataDir)
	other := mine
	other.Key, other.Purpose = []byte{1}, "federation"
	second, err := lease.Take(dir, other)
	if err != nil {
		t.Fatalf("another key: %v", err)
	}
	if err := errors.Join(held.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}

	_, err = lease.Take(dir, claim(t, "journal-2"))
	wantRefused(t, err, "is bound to journal journal-1")
	copied := mine
	copied.DataDir = t.TempDir()
	_, err = lease.Take(dir, copied)
	wantRefused(t, err, "a copy does not know")
	again, err := lease.Take(dir, mine)
	if err != nil {
		t.Fatalf("the same journal again: %v", err)
	}
	if again.Binding.Bound != held.Binding.Bound {
		t.Errorf("bound since %s, was %s", again.Binding.Bound, held.Binding.Bound)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := lease.Release(dir, "0x"+hex.EncodeToString(key), "the disk is gone"); err != nil {
		t.Fatal(err)
	}
	taken, err := lease.Take(dir, claim(t, "journal-2"))
	if err != nil {
		t.Fatalf("after a release: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = lease.Take(dir, mine)
	wantRefused(t, err, "is bound to journal journal-2")
}

// A link to the data directory is the data directory.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	mine := claim(t, "journal-1")
	held, err := lease.Take(dir, mine)
	if err == nil {
		err = held.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(mine.DataDir, link); err != nil {
		t.Fatal(err)
	}
	mine.DataDir = link
	if held, err = lease.Take(dir, mine); err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
}

// What cannot be read is not taken for free, and an operator's word replaces it.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	mine := claim(t, "journal-1")
	held, err := lease.Take(dir, mine)
	if err == nil {
		err = held.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	list, err := lease.List(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	path := filepath.Join(dir, list[0].File)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)/2], "zeros": make([]byte, len(good)),
		"later format":  bytes.Replace(good, []byte(`"format": 1`), []byte(`"format": 2`), 1),
		"unknown field": bytes.Replace(good, []byte(`"format": 1`), []byte(`"format": 1, "more": 1`), 1),
		"large":         append(bytes.Clone(good), make([]byte, 1<<17)...),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := lease.Take(dir, mine)
		if !errors.Is(err, lease.ErrRefused) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want a refusal that names %s", name, err, path)
		}
		if list, err := lease.List(dir); err != nil || len(list) != 1 || list[0].Error == "" {
			t.Errorf("%s: list %+v, %v", name, list, err)
		}
	}
	if err := os.WriteFile(path, bytes.Replace(good, []byte("a1b2c3"), []byte("a1b2c4"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = lease.Take(dir, mine)
	wantRefused(t, err, "moved or copied")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Release(dir, hex.EncodeToString(key), "looked at it"); err != nil {
		t.Fatal(err)
	}
	if held, err = lease.Take(dir, mine); err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
}

// A directory that cannot be written is no lease.
func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := lease.Take(filepath.Join(file, "leases"), claim(t, "journal-1"))
	wantRefused(t, err, "lease-dir")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if probe, err := os.Create(filepath.Join(dir, "probe")); err == nil {
		t.Skipf("this user may write everywhere: %v", probe.Close())
	}
	_, err = lease.Take(dir, claim(t, "journal-1"))
	wantRefused(t, err, "lease-dir")
}

// TestMain is also the process that holds a key and is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LEASE_HOLDER"); dir != "" {
		_, err := lease.Take(dir, lease.Claim{Purpose: "authority", Key: key, Journal: "journal-1", DataDir: os.Getenv("LEASE_DATA")})
		if err != nil {
			_, _ = os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("held\n")
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The lock dies with its process, by kill -9 too; the binding does not.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	mine := claim(t, "journal-1")
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), "LEASE_HOLDER="+dir, "LEASE_DATA="+mine.DataDir)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "held\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	_, err = lease.Take(dir, mine)
	wantRefused(t, err, "stop the other first")
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // it was killed
	_, err = lease.Take(dir, claim(t, "journal-2"))
	wantRefused(t, err, "is bound to journal journal-1")
	held, err := lease.Take(dir, mine)
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
}
