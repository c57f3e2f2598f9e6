package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Progress is told the bytes done, now and then.
type Progress func(bytes int64)

// copier copies or reads files and sums them.
type copier struct {
	ctx      context.Context
	progress Progress
	bytes    int64
	buf      []byte
}

func newCopier(ctx context.Context, p Progress) *copier {
	return &copier{ctx: ctx, progress: p, buf: make([]byte, 1<<20)}
}

// pump moves the bytes of r to w and the hash.
func (c *copier) pump(r io.Reader, w io.Writer, sum hash.Hash) (n int64, err error) {
	for {
		if err := c.ctx.Err(); err != nil {
			return n, fault.Wrap(fault.Temporary, err, "interrupted")
		}
		k, err := r.Read(c.buf)
		sum.Write(c.buf[:k])
		n += int64(k)
		c.bytes += int64(k)
		if c.progress != nil {
			c.progress(c.bytes)
		}
		if w != nil {
			if _, err := w.Write(c.buf[:k]); err != nil {
				return n, err
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// read sums a file.
func (c *copier) read(path string) (f File, err error) {
	in, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer in.Close()
	sum := sha256.New()
	f.Size, err = c.pump(in, nil, sum)
	f.Sum = [32]byte(sum.Sum(nil))
	return f, err
}

// copy copies a file to a new one, syncs it and sums what was read.
func (c *copier) copy(from, to string) (f File, err error) {
	in, err := os.Open(from)
	if err != nil {
		return f, err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return f, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return f, err
	}
	sum := sha256.New()
	f.Size, err = c.pump(in, out, sum)
	f.Sum = [32]byte(sum.Sum(nil))
	if err == nil {
		err = out.Sync()
	}
	return f, errors.Join(err, out.Close())
}

// syncTree syncs every directory below and including dir.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// tree lists the files below dir, as paths with slashes relative to it, sorted.
// A directory that does not exist has none.
func tree(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		files = append(files, filepath.ToSlash(relative))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) && len(files) == 0 {
		err = nil
	}
	slices.Sort(files)
	return files, err
}

// volatile reports files that are no part of a journal's history: its lock, the
// index that can be built again, what a repair put aside, unfinished files.
func volatile(file string) bool {
	first, _, _ := strings.Cut(file, "/")
	return first == "LOCK" || first == "index" || first == "pebble.new" || strings.Contains(first, "damaged") || strings.HasSuffix(file, ".tmp")
}

// grade gives the errors of the disk a grade: a full disk and a file that cannot
// be read for the moment are worth another try.
func grade(err error, what string) error {
	if err == nil {
		return nil
	}
	var graded *fault.Error
	if errors.As(err, &graded) {
		return fault.Wrap(graded.Grade(), err, what)
	}
	return fault.Wrap(fault.Temporary, err, what)
}
