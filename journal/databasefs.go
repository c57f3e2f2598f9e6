package journal

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// databaseFS is the file system a database works on. It mends some habits of
// Pebble.
//
// A marker file names another new file (the manifest), and Pebble syncs their
// directory only after both are made: a crash may keep the marker's entry and
// lose that of the file it names, and then nothing opens. So the directory is
// made durable before a marker is created.
//
// When the log cannot be rotated Pebble panics at a point where it has given a
// lock away that a deferred call gives away again, and the Go runtime ends the
// process for that before anyone can recover. It also panics on goroutines of
// its own when the directory of the manifest cannot be synced. So what fails
// there does not return: the goroutine is parked, and the journal fails.
type databaseFS struct {
	vfs.FS
	log *databaseLog
}

// Create creates a file as described above.
func (f databaseFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := syncDir(f.FS, f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.Create(name, category)
	return f.opened(name, file, err)
}

// ReuseForWrite recycles a file.
func (f databaseFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.opened(newname, file, err)
}

// OpenDir opens a directory, whose sync is part of a rotation.
func (f databaseFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &rotatingFile{File: file, log: f.log}, nil
}

// Unwrap returns the file system below.
func (f databaseFS) Unwrap() vfs.FS { return f.FS }

func (f databaseFS) opened(name string, file vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return file, err
	}
	if err != nil {
		f.log.failedRotation(err)
		return nil, err
	}
	return &rotatingFile{File: file, log: f.log}, nil
}

// failedRotation does not return when the log is being rotated, or a marker is
// moved where nobody would recover from Pebble's panic.
func (l *databaseLog) failedRotation(err error) {
	switch {
	case onStack(rotateName):
		l.park(&databaseError{text: "the log could not be rotated: " + err.Error(), cause: err})
	case onStack(markerName) && !onStack(guardedName):
		l.park(&databaseError{text: "the manifest could not be changed: " + err.Error(), cause: err})
	}
}

// rotatingFile is a log, or the directory of logs. A failure of another
// goroutine counts for the one that rotates: the log's writes are made by one
// of its own.
type rotatingFile struct {
	vfs.File
	log    *databaseLog
	failed atomic.Pointer[error]
}

func (f *rotatingFile) check(err error) error {
	if err != nil {
		f.failed.CompareAndSwap(nil, &err)
	}
	if p := f.failed.Load(); p != nil {
		f.log.failedRotation(*p)
	}
	return err
}

// Write writes to the file.
func (f *rotatingFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.check(err)
}

// Sync makes the file durable.
func (f *rotatingFile) Sync() error { return f.check(f.File.Sync()) }

// SyncData makes the file's data durable.
func (f *rotatingFile) SyncData() error { return f.check(f.File.SyncData()) }

// SyncTo makes a prefix of the file durable.
func (f *rotatingFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.check(err)
}

// Stat describes the file.
func (f *rotatingFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	return info, f.check(err)
}

// Close closes the file.
func (f *rotatingFile) Close() error { return f.check(f.File.Close()) }
