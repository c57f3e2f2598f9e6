//go:build unix

package migration

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// TestLockedStore has another process hold the lock as legacy's LevelDB does.
func TestLockedStore(t *testing.T) {
	if path := os.Getenv("ALYS_TEST_LOCK"); path != "" {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
		}
		if err != nil {
			os.Exit(3)
		}
		os.Stdout.WriteString("locked\n")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	dir := copyStore(t, chainDB("crashed"))
	holder := exec.Command(os.Args[0], "-test.run=^TestLockedStore$")
	holder.Env = append(os.Environ(), "ALYS_TEST_LOCK="+filepath.Join(dir, "LOCK"))
	in, out := must(holder.StdinPipe())(t), must(holder.StdoutPipe())(t)
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 7)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "locked\n" {
		t.Fatal(string(line), err)
	}
	if _, err := OpenStore(dir); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "stop the legacy node") {
		t.Error(err)
	}
	in.Close()
	if err := holder.Wait(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir)
}
