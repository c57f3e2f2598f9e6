//go:build !unix

package migration

// lockHolder returns zero: only Unix tells who holds a lock.
func lockHolder(string) (pid int, err error) { return 0, nil }
