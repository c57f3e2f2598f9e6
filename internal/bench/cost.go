package main

import (
	"runtime"
	"syscall"
	"time"
)

// cost is what a measurement took beside time on the clock: figures that other programs
// on the machine do not change, or little.
type cost struct {
	processor time.Duration // of all threads
	bytes     uint64        // allocated
	objects   uint64
}

// costs reads what the process took so far.
func costs() (c cost) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		c.processor = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.bytes, c.objects = m.TotalAlloc, m.Mallocs
	return c
}

// rowSince prints what was taken since c, for each block.
func (c cost) rowSince(what string, blocks int) {
	now := costs()
	n := uint64(blocks)
	row(what, "%.2f ms of processor, %d kB and %d objects allocated, a block",
		float64((now.processor-c.processor).Microseconds())/float64(1000*blocks), (now.bytes-c.bytes)/n/1000, (now.objects-c.objects)/n)
}
