// Package faultfs is a file system for tests that asks a hook before every
// operation: to count them, to look at the disk between two of them, and to let
// one fail, without effect or after it.
//
//	fs := faultfs.Wrap(mem, func(op faultfs.Op) faultfs.Fault {
//		if op.Number == 42 {
//			return faultfs.Fault{Err: syscall.ENOSPC, After: true}
//		}
//		return faultfs.Fault{}
//	})
//
// The hook runs on the goroutine of the operation, one at a time.
package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Op is one operation about to be made.
type Op struct {
	Number int    // from 1, in the order in which operations begin
	Name   string // of the method: create, write, sync, rename ...
	Path   string
	Write  bool // it changes the disk, or makes a change durable
}

// String returns the operation in one line, for messages.
func (o Op) String() string { return fmt.Sprintf("operation %d, %s %s", o.Number, o.Name, o.Path) }

// Fault is what an operation comes to. The zero value lets it happen.
type Fault struct {
	Err   error // what it returns instead of its result; nil for its own
	After bool  // it happens all the same
}

// Wrap returns fs with a hook before each operation.
func Wrap(fs vfs.FS, hook func(Op) Fault) vfs.FS {
	return &faultFS{FS: fs, hook: hook}
}

type faultFS struct {
	vfs.FS
	hook func(Op) Fault

	mu sync.Mutex
	n  int
}

// Unwrap returns the file system below.
func (f *faultFS) Unwrap() vfs.FS { return f.FS }

func (f *faultFS) ask(name, path string, write bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return f.hook(Op{Number: f.n, Name: name, Path: path, Write: write})
}

// do makes one operation that returns an error only.
func (f *faultFS) do(name, path string, write bool, operation func() error) error {
	fault := f.ask(name, path, write)
	if fault.Err != nil && !fault.After {
		return fault.Err
	}
	return errors.Join(operation(), fault.Err)
}

// open makes one operation that returns a file.
func (f *faultFS) open(name, path string, write bool, operation func() (vfs.File, error)) (vfs.File, error) {
	fault := f.ask(name, path, write)
	if fault.Err != nil && !fault.After {
		return nil, fault.Err
	}
	file, err := operation()
	if err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, errors.Join(fault.Err, file.Close())
	}
	return &faultFile{File: file, fs: f, path: path}, nil
}

// Create makes or truncates a file.
func (f *faultFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("create", name, true, func() (vfs.File, error) { return f.FS.Create(name, category) })
}

// Open opens a file for reading.
func (f *faultFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open", name, false, func() (vfs.File, error) { return f.FS.Open(name, opts...) })
}

// OpenReadWrite opens a file for both.
func (f *faultFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open-write", name, true, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

// OpenDir opens a directory, to sync it.
func (f *faultFS) OpenDir(name string) (vfs.File, error) {
	return f.open("open-dir", name, false, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

// ReuseForWrite renames a file and opens it for writing.
func (f *faultFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("reuse", name, true, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, category) })
}

// Link makes a hard link.
func (f *faultFS) Link(old, name string) error {
	return f.do("link", name, true, func() error { return f.FS.Link(old, name) })
}

// Remove removes a file.
func (f *faultFS) Remove(name string) error {
	return f.do("remove", name, true, func() error { return f.FS.Remove(name) })
}

// RemoveAll removes a directory and what is in it.
func (f *faultFS) RemoveAll(name string) error {
	return f.do("remove-all", name, true, func() error { return f.FS.RemoveAll(name) })
}

// Rename renames a file.
func (f *faultFS) Rename(old, name string) error {
	return f.do("rename", name, true, func() error { return f.FS.Rename(old, name) })
}

// MkdirAll makes a directory and its parents.
func (f *faultFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.do("mkdir", dir, true, func() error { return f.FS.MkdirAll(dir, perm) })
}

// Lock locks a file.
func (f *faultFS) Lock(name string) (io.Closer, error) {
	fault := f.ask("lock", name, false)
	if fault.Err != nil {
		return nil, fault.Err
	}
	return f.FS.Lock(name)
}

// List lists a directory.
func (f *faultFS) List(dir string) (names []string, err error) {
	err = f.do("list", dir, false, func() (err error) { names, err = f.FS.List(dir); return err })
	return names, err
}

// Stat describes a file.
func (f *faultFS) Stat(name string) (info vfs.FileInfo, err error) {
	err = f.do("stat", name, false, func() (err error) { info, err = f.FS.Stat(name); return err })
	return info, err
}

type faultFile struct {
	vfs.File
	fs   *faultFS
	path string
}

func (f *faultFile) transfer(name string, write bool, operation func() (int, error)) (int, error) {
	fault := f.fs.ask(name, f.path, write)
	if fault.Err != nil && !fault.After {
		return 0, fault.Err
	}
	n, err := operation()
	return n, errors.Join(err, fault.Err)
}

// Read reads what is next. Its errors are passed on as they are: io.EOF is one.
func (f *faultFile) Read(p []byte) (int, error) {
	if fault := f.fs.ask("read", f.path, false); fault.Err != nil {
		return 0, fault.Err
	}
	return f.File.Read(p)
}

// ReadAt reads at an offset.
func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if fault := f.fs.ask("read-at", f.path, false); fault.Err != nil {
		return 0, fault.Err
	}
	return f.File.ReadAt(p, off)
}

// Write appends. With After set, the bytes are written and it fails.
func (f *faultFile) Write(p []byte) (int, error) {
	return f.transfer("write", true, func() (int, error) { return f.File.Write(p) })
}

// WriteAt writes at an offset.
func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	return f.transfer("write-at", true, func() (int, error) { return f.File.WriteAt(p, off) })
}

// Preallocate reserves space.
func (f *faultFile) Preallocate(off, length int64) error {
	return f.fs.do("preallocate", f.path, true, func() error { return f.File.Preallocate(off, length) })
}

// Sync makes data and metadata durable.
func (f *faultFile) Sync() error { return f.fs.do("sync", f.path, true, f.File.Sync) }

// SyncData makes the data durable.
func (f *faultFile) SyncData() error { return f.fs.do("sync-data", f.path, true, f.File.SyncData) }

// SyncTo begins to write out a prefix.
func (f *faultFile) SyncTo(length int64) (full bool, err error) {
	err = f.fs.do("sync-to", f.path, true, func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close closes the file. It always does, whatever the hook says.
func (f *faultFile) Close() error {
	fault := f.fs.ask("close", f.path, false)
	return errors.Join(f.File.Close(), fault.Err)
}
