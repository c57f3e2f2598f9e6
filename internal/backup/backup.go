package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// Names below a data directory, which a backup has too.
const (
	journalName  = "journal"
	snapshotName = "snapshots"
	genesisName  = "genesis.json"
)

// Source is what a backup is made of.
type Source struct {
	DataDir string // genesis and snapshots are taken from it
	// Journal makes the files of the journal stand still. It is called after the
	// snapshots were copied, so that the journal covers each.
	Journal  func(ctx context.Context) (Still, error)
	Progress Progress
}

// Still is a journal whose files stand still.
type Still struct {
	Dir       string
	ID        journal.ID
	Head      journal.Head
	Elsewhere *Elsewhere // its events that are not below Dir
	Release   func() error
}

// Write makes a backup in dir, which must not exist.
func Write(ctx context.Context, dir string, s Source) (m Manifest, err error) {
	if _, err := os.Lstat(dir); err == nil {
		return m, fault.New(fault.Invalid, "%s exists already: name a directory that does not, for each backup another", dir)
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return m, grade(err, "remove the unfinished backup "+partial)
	}
	if err := os.MkdirAll(partial, 0o750); err != nil {
		return m, grade(err, "create the directory of the backup")
	}
	w := &writer{copier: newCopier(ctx, s.Progress), dir: partial}
	if err := w.all(ctx, s); err != nil {
		return m, grade(errors.Join(err, os.RemoveAll(partial)), "backup to "+dir)
	}
	err = os.Rename(partial, dir)
	if err == nil {
		err = syncDir(filepath.Dir(dir))
	}
	return w.manifest, grade(err, "backup to "+dir)
}

type writer struct {
	*copier
	dir      string
	manifest Manifest
}

func (w *writer) all(ctx context.Context, s Source) error {
	if err := w.snapshots(filepath.Join(s.DataDir, snapshotName)); err != nil {
		return err
	}
	still, err := s.Journal(ctx)
	if err != nil {
		return err
	}
	w.manifest.Journal, w.manifest.Head, w.manifest.Elsewhere = still.ID, still.Head, still.Elsewhere
	files, err := tree(still.Dir)
	for i := 0; err == nil && i < len(files); i++ {
		if !volatile(files[i]) {
			err = w.add(filepath.Join(still.Dir, files[i]), journalName+"/"+files[i])
		}
	}
	if err = errors.Join(err, still.Release()); err != nil {
		return err
	}
	err = w.add(filepath.Join(s.DataDir, genesisName), genesisName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.manifest.Time = time.Now().UnixMilli()
	slices.SortFunc(w.manifest.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	path := filepath.Join(w.dir, ManifestName)
	if err := os.WriteFile(path, w.manifest.encode(), 0o640); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncTree(w.dir))
}

func (w *writer) add(from, path string) error {
	f, err := w.copy(from, filepath.Join(w.dir, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	f.Path = path
	w.manifest.Files = append(w.manifest.Files, f)
	return nil
}

// snapshots copies those that stand when all chunks are copied. A running node
// removes a manifest before the chunks that only it names, so a manifest that is
// still there has all of them.
func (w *writer) snapshots(dir string) error {
	files, err := tree(dir)
	if err != nil {
		return err
	}
	var manifests []string
	for _, f := range files {
		if volatile(f) {
			continue
		}
		if strings.HasSuffix(f, ".manifest") {
			manifests = append(manifests, f)
			continue
		}
		if err := w.add(filepath.Join(dir, f), snapshotName+"/"+f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range manifests {
		if err := w.add(filepath.Join(dir, f), snapshotName+"/"+f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Read returns the manifest of a backup.
func Read(dir string) (Manifest, error) {
	path := filepath.Join(dir, ManifestName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fault.New(fault.Invalid, "%s is no backup: it has no %s", dir, ManifestName)
	}
	if err != nil {
		return Manifest{}, grade(err, "backup "+dir)
	}
	if info.Size() > maxManifest {
		return Manifest{}, fault.New(fault.Corrupt, "%s has %d bytes, more than a manifest can", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Manifest{}, grade(err, "backup "+dir)
	}
	m, err := decodeManifest(data)
	return m, fault.Wrap(fault.Of(err), err, path)
}

// Check reads every byte of a backup and compares it with the manifest. The
// first file that differs is a Corrupt error.
func Check(ctx context.Context, dir string, p Progress) (Manifest, error) {
	m, err := Read(dir)
	if err != nil {
		return m, err
	}
	if err := strangers(dir, &m); err != nil {
		return m, err
	}
	c := newCopier(ctx, p)
	for _, want := range m.Files {
		got, err := c.read(filepath.Join(dir, filepath.FromSlash(want.Path)))
		if err := compare(dir, want, got, err); err != nil {
			return m, err
		}
	}
	return m, nil
}

// compare says how a file differs from the manifest.
func compare(dir string, want, got File, err error) error {
	path := filepath.Join(dir, filepath.FromSlash(want.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Corrupt, "backup file %s is missing", path)
	case err != nil:
		return grade(err, "backup file "+path)
	case got.Size != want.Size:
		return fault.New(fault.Corrupt, "backup file %s has %d bytes, written were %d", path, got.Size, want.Size)
	case !bytes.Equal(got.Sum[:], want.Sum[:]):
		return fault.New(fault.Corrupt, "backup file %s has the SHA-256 %x, written was %x", path, got.Sum, want.Sum)
	}
	return nil
}

// strangers refuses files that the manifest does not name; what reading a
// journal in place leaves is none.
func strangers(dir string, m *Manifest) error {
	files, err := tree(dir)
	if err != nil {
		return grade(err, "backup "+dir)
	}
	for _, f := range files {
		_, named := slices.BinarySearchFunc(m.Files, f, func(x File, path string) int { return strings.Compare(x.Path, path) })
		if !named && f != ManifestName && f != journalName+"/LOCK" && f != journalName+"/pebble/LOCK" {
			return fault.New(fault.Corrupt, "the backup %s holds the file %s, which its manifest does not name", dir, f)
		}
	}
	return nil
}

// Restore makes a data directory of a backup. It checks every byte, and writes an
// incident into the journal, so that the node signs nothing until somebody
// decides that it may: what the original signed after the backup is not known
// here. dataDir must not exist, or be empty. storage has the archived events; nil
// means the directory in the backup.
func Restore(ctx context.Context, dir, dataDir string, storage archive.Storage, p Progress) (m Manifest, err error) {
	if m, err = Read(dir); err != nil {
		return m, err
	}
	if err := strangers(dir, &m); err != nil {
		return m, err
	}
	switch entries, err := os.ReadDir(dataDir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return m, fault.Wrap(fault.Invalid, err, "data directory")
	case len(entries) > 0:
		return m, fault.New(fault.Invalid, "data directory %s is not empty: restore into another, or move it away", dataDir)
	}
	partial := dataDir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return m, grade(err, "remove the unfinished restore "+partial)
	}
	if err := restoreInto(ctx, dir, partial, storage, &m, p); err != nil {
		return m, grade(errors.Join(err, os.RemoveAll(partial)), "restore "+dir)
	}
	_ = os.Remove(dataDir) // empty, or absent; the rename says if neither
	err = os.Rename(partial, dataDir)
	if err == nil {
		err = syncDir(filepath.Dir(dataDir))
	}
	return m, grade(err, "restore "+dir)
}

func restoreInto(ctx context.Context, dir, into string, storage archive.Storage, m *Manifest, p Progress) error {
	if err := os.MkdirAll(into, 0o700); err != nil {
		return err
	}
	c := newCopier(ctx, p)
	for _, want := range m.Files {
		path := filepath.FromSlash(want.Path)
		got, err := c.copy(filepath.Join(dir, path), filepath.Join(into, path))
		if err := compare(dir, want, got, err); err != nil {
			return err
		}
	}
	if err := syncTree(into); err != nil {
		return err
	}
	where := journal.Options{Dir: filepath.Join(into, journalName), Archive: storage}
	plan, err := journal.Inspect(where)
	switch {
	case err != nil:
		return err
	case plan.Refusal != nil:
		return plan.Refusal
	case plan.ID != m.Journal || plan.Last.Sequence < m.Head.Sequence:
		return fault.New(fault.Corrupt, "the backup holds journal %s up to %s, its manifest says %s up to %s", plan.ID, plan.Last, m.Journal, m.Head)
	}
	_, err = journal.AddIncident(where, journal.Incident{
		Kind: journal.IncidentRestore, Before: plan.Last, Time: time.Now().UnixMilli(),
		Text: fmt.Sprintf("restored from a backup finished at %s; what the original did after event %d is not known here",
			time.UnixMilli(m.Time).UTC().Format(time.RFC3339), plan.Last.Sequence),
	})
	return err
}
