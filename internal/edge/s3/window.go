package s3

import (
	"slices"
	"sync"
)

// Bytes fetched ahead, per object that is read in order, and how many such
// objects are remembered.
const (
	ahead   = 4 << 20
	readers = 4
)

// window is where a read of an object ended, and what was fetched beyond.
type window struct {
	name string
	next int64
	data []byte
}

// windows remembers sequential reads. What it gives away it forgets.
type windows struct {
	mu   sync.Mutex
	open []window // last used first
}

// take removes and returns the window that a read at off of an object continues.
func (w *windows) take(name string, off int64) (found window, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.open, func(x window) bool { return x.name == name && x.next == off })
	if i < 0 {
		return window{}, false
	}
	found = w.open[i]
	w.open = slices.Delete(w.open, i, i+1)
	return found, true
}

// forget drops what was fetched ahead of an object.
func (w *windows) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = slices.DeleteFunc(w.open, func(x window) bool { return x.name == name })
}

// put remembers where a read ended.
func (w *windows) put(x window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = slices.Insert(w.open, 0, x)
	if len(w.open) > readers {
		w.open = slices.Delete(w.open, readers, len(w.open))
	}
}
