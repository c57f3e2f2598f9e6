package journal

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// childDir is the journal that a child process of these tests writes.
const childDir = "ALYS_JOURNAL_TEST_CHILD"

// TestMain makes this binary the child when it is told to.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child appends for ever and prints each sequence that became durable.
func child(dir string) error {
	out := bufio.NewWriter(os.Stdout)
	j, err := Open(Options{Dir: dir, Logger: quiet, OnDurable: func(h Head) {
		fmt.Fprintln(out, h.Sequence)
		out.Flush()
	}})
	if err != nil {
		return err
	}
	for s := j.Head().Sequence + 1; ; s++ {
		e, c := event(9, s)
		if _, err := j.Append(e, c); err != nil {
			return err
		}
	}
}

// TestKilledProcess kills a writing process again and again. While it lives its
// journal is locked; after each kill everything it announced is there.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir() + "/journal"
	var acked uint64
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, start := bufio.NewScanner(out), acked
		for lines.Scan() {
			if acked, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if acked > start+uint64(500+700*round) {
				break
			}
		}
		if _, err := Open(Options{Dir: dir, Logger: quiet}); !errors.Is(err, ErrLocked) || !fault.Is(err, fault.Invalid) ||
			runtime.GOOS != "windows" && !strings.Contains(err.Error(), fmt.Sprintf("process %d uses", cmd.Process.Pid)) {
			t.Errorf("open beside the writer: %v", err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
				acked = n
			}
		}
		_ = cmd.Wait()
		j := mustOpen(t, Options{Dir: dir})
		if h := j.Head().Sequence; h < acked {
			t.Fatalf("head %d, the killed process had announced %d", h, acked)
		}
		acked = j.Head().Sequence
		if round == 3 {
			checkEvents(t, j, 9, acked)
		} else if r, err := j.Verify(t.Context(), 0, 0, nil); err != nil || r.Events != acked || r.Orphans != 0 {
			t.Fatal(r, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d events survived four kills", acked)
}

// TestLockedByThisProcess opens a directory twice, the second time by another
// name.
func TestLockedByThisProcess(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, Options{Dir: dir + "/journal"})
	defer j.Close()
	if err := os.Symlink(dir, dir+"/other"); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{dir + "/journal", dir + "/other/journal", dir + "/other/../journal/"} {
		if _, err := Open(Options{Dir: name, Logger: quiet}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("this process (%d)", os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
