//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package journal

import (
	"io"
	"os"
	"syscall"
)

// lockHolder returns the id of the process that has a file locked, 0 when it
// cannot be told, as for one of another machine or container.
func lockHolder(name string) int {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}
