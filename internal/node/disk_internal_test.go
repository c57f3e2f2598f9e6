package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Twice the reserve warns, the reserve stops, more room clears the warning, and a
// file system that does not tell stops nothing.
func TestDiskWatch(t *testing.T) {
	var free uint64
	var failing error
	w := &diskWatch{dir: "d", reserve: 1 << 30, board: health.NewBoard(), free: func(string) (uint64, error) { return free, failing }}
	for _, c := range []struct {
		free      uint64
		low, full float64
	}{{2 << 30, 0, 0}, {2<<30 - 2, 1, 0}, {1 << 30, 1, 0}, {5 << 30, 0, 0}, {1<<30 - 1, 0, 1}, {0, 0, 1}} {
		w.board.Clear(health.DiskFull)
		free = c.free
		err := w.look()
		if stops := c.full == 1; stops != (err != nil) || stops && (!fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "disk-reserve")) {
			t.Errorf("%d free: %v", c.free, err)
		}
		if low, full := w.board.Has(health.DiskLow), w.board.Has(health.DiskFull); low != c.low || full != c.full {
			t.Errorf("%d free: low %v, full %v", c.free, low, full)
		}
	}
	free, failing = 0, errors.New("no such call")
	if err := w.look(); err != nil {
		t.Error(err)
	}
	w.reserve, failing = 0, nil
	if err := w.look(); err != nil {
		t.Error(err)
	}
}

// The real file system tells.
func TestFreeBytes(t *testing.T) {
	if n, err := freeBytes(t.TempDir()); err != nil || n == 0 {
		t.Errorf("%d %v", n, err)
	}
}
