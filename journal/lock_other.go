//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package journal

// lockHolder cannot tell here.
func lockHolder(string) int { return 0 }
