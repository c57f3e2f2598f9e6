package node_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Environment of the child process that is killed.
const (
	childDir   = "ALYS_TEST_CHILD_DIR"
	childCount = "ALYS_TEST_CHILD_BLOCKS"
)

// TestChildImports is the child's part of the kill tests; alone it does nothing.
func TestChildImports(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	count, err := strconv.Atoi(os.Getenv(childCount))
	if err != nil {
		t.Fatal(err)
	}
	importMade(t, dir, count, func() {
		fmt.Println("imported")
		select {} // until it is killed
	})
}

// killAfter runs a node in a process of its own, and kills it with SIGKILL once
// it holds count blocks.
func killAfter(t *testing.T, dir string, count int) {
	t.Helper()
	killAt(t, "imported", "TestChildImports", childDir+"="+dir, fmt.Sprintf("%s=%d", childCount, count))
}

// killAt runs a test in a process of its own, and kills it with SIGKILL once it
// prints a line.
func killAt(t *testing.T, line, test string, env ...string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.timeout=30m")
	child.Env = append(os.Environ(), env...)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var last string
	for lines.Scan() {
		if last = lines.Text(); last == line {
			break
		}
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if last != line {
		t.Fatalf("the child ended early: %s", last)
	}
}

// goOn starts a producing node on what a kill left and returns the height it
// went on from and how long its first block took.
func goOn(t *testing.T, dir string) (from uint64, took time.Duration) {
	t.Helper()
	started := time.Now()
	var produced message.BlockProduced
	o := devOptions(t, dir)
	o.DevMiner = false
	runUntil(t, o, func(f node.Fact) bool {
		if m, ok := f.Message.(*message.BlockProduced); ok && took == 0 {
			produced, took = *m, time.Since(started)
		}
		_, connected := f.Message.(*message.HeadChanged)
		return connected && took > 0
	})
	return produced.Number - 1, took
}

// After kill -9 a node goes on from the same head, whether the execution layer
// kept its state or lost its whole directory, and every turn replays equal.
func TestKill(t *testing.T) {
	count := 250
	if s := os.Getenv("ALYS_TEST_KILL_BLOCKS"); s != "" {
		var err error
		if count, err = strconv.Atoi(strings.TrimSpace(s)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	killAfter(t, dir, count)
	from, took := goOn(t, dir)
	if from != uint64(count) {
		t.Errorf("went on from height %d, killed at %d", from, count)
	}
	t.Logf("killed at height %d; first new block %v after the start", count, took.Round(time.Millisecond))
	if err := os.RemoveAll(filepath.Join(dir, "execution")); err != nil {
		t.Fatal(err)
	}
	from, took = goOn(t, dir)
	if from != uint64(count)+1 {
		t.Errorf("without the execution directory it went on from height %d, want %d", from, count+1)
	}
	t.Logf("execution directory deleted; first new block %v after the start", took.Round(time.Millisecond))
	equalReplay(t, dir)
}
