package scrub

import "syscall"

// adviceDontNeed is POSIX_FADV_DONTNEED.
const adviceDontNeed = 4

// dropPages asks the kernel to forget what it holds of a file, so that reading
// it asks the disk. Pages that were not written back stay: they are the newest
// there is.
func dropPages(fd uintptr) {
	_, _, _ = syscall.Syscall6(syscall.SYS_FADVISE64, fd, 0, 0, adviceDontNeed, 0, 0)
}
