//go:build unix

package migration

import (
	"os"
	"syscall"
)

// lockHolder returns the process that holds LevelDB's lock on the file, zero
// for none. It asks only: nothing is locked, and the file is opened for reading.
// A lock that this process itself holds is not seen.
func lockHolder(path string) (pid int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: 0}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil {
		return 0, err
	}
	if lock.Type == syscall.F_UNLCK {
		return 0, nil
	}
	return int(lock.Pid), nil
}
