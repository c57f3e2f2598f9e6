package regtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// childDirVariable makes the test binary mine in that directory until it is killed.
const childDirVariable = "ALYS_REGTEST_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirVariable); dir != "" {
		if err := mineForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// reorganising is what the child says before it leaves the last blocks it told of.
const reorganising = "reorganising"

// mineForever prints height and hash of every block that it was told of, and reorganises
// now and then.
func mineForever(dir string) error {
	ctx := context.Background()
	c, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	for i := 1; ; i++ {
		if _, err := c.Deposit(ctx, federation, 100_000, account); err != nil {
			return err
		}
		if i%5 == 0 {
			fmt.Println(reorganising)
			_, err = c.Reorg(ctx, 2)
		} else {
			_, err = c.Mine(ctx, 1)
		}
		if err != nil {
			return err
		}
		info, err := c.Info(ctx)
		if err != nil {
			return err
		}
		fmt.Println(info.Height, info.Tip)
	}
}

// A chain that was killed knows every block that it told of, on the same best chain.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for _, lines := range []int{1, 6, 13, 30} {
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
		var told []string // it may tell of more before it dies
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			if told = append(told, scan.Text()); len(told) == lines {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		checkTold(t, dir, told)
	}
}

// checkTold opens a chain and looks for the last block that the child told of.
func checkTold(t *testing.T, dir string, told []string) {
	t.Helper()
	leaving := told[len(told)-1] == reorganising
	if leaving {
		told = told[:len(told)-1]
	}
	if len(told) == 0 {
		return
	}
	var height uint64
	var tip string
	if _, err := fmt.Sscan(told[len(told)-1], &height, &tip); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed at height %d, reorganising %v", height, leaving)
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := chainhash.NewHashFromStr(tip)
	if err != nil {
		t.Fatal(err)
	}
	header, err := c.Header(t.Context(), *hash)
	if err != nil {
		t.Fatalf("the last block told of is gone: %v", err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	replaced := leaving && header.Confirmations == -1 && info.Height == height+1
	if header.Height != height || header.Confirmations < 1 && !replaced {
		t.Fatalf("block %d %s came back as height %d with %d confirmations, tip %d", height, tip, header.Height, header.Confirmations, info.Height)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
