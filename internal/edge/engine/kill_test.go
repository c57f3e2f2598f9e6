package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

// childDirVariable makes the test binary build blocks in that directory until
// it is killed.
const childDirVariable = "ALYS_ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirVariable); dir != "" {
		if err := buildForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// buildForever prints the height of every block it has imported.
func buildForever(dir string) error {
	var tb testing.T
	e, err := OpenEmbedded(EmbeddedOptions{Dir: dir, Genesis: DevGenesis(testChainID), Logger: testLogger(&tb)})
	if err != nil {
		return err
	}
	fmt.Println("open")
	c := newTestChain(&tb, e)
	// Finalised blocks are moved to the freezer when the client opens.
	finalized := c.head().Hash()
	for {
		c.send(2)
		p := c.build(c.head().Hash(), 1, 2*time.Millisecond)
		if _, err := c.x.Import(context.Background(), []*block.Payload{p}, finalized, finalized); err != nil {
			return err
		}
		if p.BlockNumber%10 == 0 {
			finalized = p.ParentHash
		}
		fmt.Println(p.BlockNumber)
	}
}

// runAndKill runs a child and sends it SIGKILL once it has printed blocks
// heights, or d after its start if blocks is zero. It returns the last height
// printed.
func runAndKill(t *testing.T, dir string, blocks int, d time.Duration) (last uint64) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDirVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if blocks == 0 {
		time.AfterFunc(d, func() { child.Process.Kill() })
	}
	lines, seen := bufio.NewScanner(out), 0
	for lines.Scan() {
		height, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			continue
		}
		last = height
		if seen++; seen == blocks {
			child.Process.Kill()
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return last
}

func TestKill(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	for round, blocks := range []int{300, 1, 120} {
		last := runAndKill(t, dir, blocks, 0)

		start := time.Now()
		e, err := OpenEmbedded(EmbeddedOptions{Dir: dir, Genesis: DevGenesis(testChainID), Logger: testLogger(t)})
		if err != nil {
			t.Fatal(err)
		}
		opening := time.Since(start)
		c := newTestChain(t, e)
		head := c.head()
		t.Logf("round %d: killed after block %d, opened in %v at block %d", round, last, opening.Round(time.Millisecond), head.Number)
		if head.Number.Uint64() < last {
			t.Fatalf("head fell back to %d", head.Number)
		}
		for number := head.Number.Uint64(); number > 0 && number+200 > head.Number.Uint64(); number-- {
			header := e.backend.BlockChain().GetHeaderByNumber(number)
			if header == nil {
				t.Fatalf("block %d is gone", number)
			}
			if has, err := e.HasState(ctx, header.Hash()); err != nil || !has {
				t.Fatalf("block %d has no state", number)
			}
		}
		if e.UnfinishedOpening() {
			t.Fatal("the opening before the kill was finished")
		}
		c.extend(head.Hash(), 10, 1)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Kills at moments spread over opening and the first blocks.
func TestKillWhileOpening(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for d := 10 * time.Millisecond; d <= 220*time.Millisecond; d += 15 * time.Millisecond {
		if height := runAndKill(t, dir, 0, d); height > 0 {
			last = height
		}
	}
	unfinished := UnfinishedOpening(dir)
	e := openTest(t, dir, DevGenesis(testChainID))
	if e.UnfinishedOpening() != unfinished || UnfinishedOpening(dir) {
		t.Fatal("the opening marker is wrong")
	}
	c := newTestChain(t, e)
	t.Logf("last block printed %d, head %d", last, c.head().Number)
	if c.head().Number.Uint64() < last {
		t.Fatalf("head fell back to %d from %d", c.head().Number, last)
	}
	c.extend(c.head().Hash(), 3, 1)
}
