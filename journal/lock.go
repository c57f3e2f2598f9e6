package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// locking is held while a lock is taken and, if that fails, while its holder is
// looked up: that opens and closes the lock file, and closing any descriptor of
// it gives back a lock that another goroutine of this process took meanwhile.
var locking sync.Mutex

// takeLock takes the directory for this process. The error names who has it.
func takeLock(o Options) (unlocker, error) {
	name := o.FS.PathJoin(o.Dir, lockName)
	native := vfs.Root(o.FS) == vfs.Default
	if native {
		// The lock is the process's, and is told apart within it by name only.
		if dir, err := filepath.EvalSymlinks(filepath.Clean(o.Dir)); err == nil {
			if dir, err = filepath.Abs(dir); err == nil {
				name = filepath.Join(dir, lockName)
			}
		}
	}
	locking.Lock()
	defer locking.Unlock()
	lock, err := o.FS.Lock(name)
	if err == nil {
		return lock, nil
	}
	var path *fs.PathError
	ours := strings.Contains(err.Error(), "lock held by current process")
	if !ours && (errors.As(err, &path) || !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES)) {
		return nil, fault.Wrap(fault.Fatal, err, "lock journal "+o.Dir)
	}
	who := "another process"
	if ours {
		who = fmt.Sprintf("this process (%d)", os.Getpid())
	} else if native {
		if pid := lockHolder(name); pid > 0 {
			who = fmt.Sprintf("process %d", pid)
		}
	}
	return nil, fault.New(fault.Invalid, "%s uses journal %s; ask it for a checkpoint and read that: %w", who, o.Dir, ErrLocked)
}
