package node

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// diskEvery is the time between two looks at the free space.
const diskEvery = 10 * time.Second

// diskWatch stops the node while a clean stop still fits on the disk. A write
// that fails for want of space would end it as well, but as a crash.
type diskWatch struct {
	dir     string
	reserve uint64 // bytes; 0 switches it off
	free    func(dir string) (uint64, error)
	board   *health.Board
}

func newDiskWatch(o *Options) *diskWatch {
	return &diskWatch{dir: o.DataDir, reserve: o.DiskReserve, board: o.Telemetry.Health, free: freeBytes}
}

func freeBytes(dir string) (uint64, error) {
	usage, err := vfs.Default.GetDiskUsage(dir)
	return usage.AvailBytes, err
}

// look raises or clears the problems of the disk. The error says that the node
// has to stop; it is Temporary, for with room made the node goes on.
func (w *diskWatch) look() error {
	free, err := w.free(w.dir)
	if w.reserve == 0 || err != nil { // a file system that does not tell is no reason to stop
		return nil
	}
	text := fmt.Sprintf("%s has %s free, the node keeps %s in reserve (disk-reserve)", w.dir, gib(free), gib(w.reserve))
	switch {
	case free < w.reserve:
		w.board.Raise(health.DiskFull, text)
		return fault.New(fault.Temporary, "disk full: %s: make room and start again, nothing is lost", text)
	case free/2 < w.reserve:
		w.board.Raise(health.DiskLow, text)
	default:
		w.board.Clear(health.DiskLow)
	}
	return nil
}

func gib(n uint64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }

// watchDisk looks until ctx ends, and stops the node when space runs out.
func (n *Node) watchDisk(ctx context.Context) error {
	w := newDiskWatch(&n.opt)
	warned := false
	for ticker := time.NewTicker(diskEvery); ; {
		if err := w.look(); err != nil {
			ticker.Stop()
			n.stop(err)
			return nil
		}
		if low := w.board.Has(health.DiskLow) == 1; low && !warned {
			n.log.Warn("disk space runs low: the node will stop cleanly below its reserve", "dir", w.dir, "reserve", gib(w.reserve))
			warned = true
		} else if !low {
			warned = false
		}
		select {
		case <-ctx.Done():
			ticker.Stop()
			return nil
		case <-ticker.C:
		}
	}
}
