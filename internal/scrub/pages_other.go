//go:build !linux

package scrub

// dropPages does nothing where the kernel takes no such advice.
func dropPages(uintptr) {}
