package scrub

import (
	"context"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/journal/archive"
)

// pacedFS is the operating system's file system, read at a bounded rate.
type pacedFS struct {
	vfs.FS
	rate  int64
	count func(bytes int)

	mu   sync.Mutex
	ctx  context.Context
	free time.Time // when the next read may begin
}

func newPacedFS(rate int64, count func(int)) *pacedFS {
	return &pacedFS{FS: vfs.Default, rate: max(rate, 1), count: count, ctx: context.Background()}
}

// begin sets the context that ends waiting.
func (p *pacedFS) begin(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx = ctx
}

// reserve returns how long a read of n bytes waits when it is asked for at now.
func (p *pacedFS) reserve(now time.Time, n int) (wait time.Duration, ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	wait = p.free.Sub(now)
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return wait, p.ctx
}

// pace waits for the turn of a read. When the context has ended it does not
// wait: a read that failed for that would look like damage.
func (p *pacedFS) pace(n int) {
	wait, ctx := p.reserve(time.Now(), n)
	p.count(n)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Open opens a file for reading from the disk.
func (p *pacedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := p.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	dropPages(f.Fd())
	return &pacedFile{File: f, fs: p}, nil
}

// Unwrap returns the file system below.
func (p *pacedFS) Unwrap() vfs.FS { return p.FS }

type pacedFile struct {
	vfs.File
	fs *pacedFS
}

// Read implements vfs.File.
func (f *pacedFile) Read(b []byte) (int, error) {
	f.fs.pace(len(b))
	return f.File.Read(b)
}

// ReadAt implements vfs.File.
func (f *pacedFile) ReadAt(b []byte, off int64) (int, error) {
	f.fs.pace(len(b))
	return f.File.ReadAt(b, off)
}

// pacedStorage reads archived events within the same rate.
type pacedStorage struct {
	archive.Storage
	fs *pacedFS
}

// ReadAt implements archive.Storage.
func (s pacedStorage) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	s.fs.pace(len(p))
	return s.Storage.ReadAt(ctx, name, p, off)
}
