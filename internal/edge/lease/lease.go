package lease

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ErrRefused marks leases that are refused for safety: the caller exits with code 4.
var ErrRefused = errors.New("the key is not this node's to use")

func refused(format string, args ...any) error {
	return errors.Join(fault.New(fault.Invalid, format, args...), ErrRefused)
}

// Claim is who asks for a key.
type Claim struct {
	Purpose string // "authority" or "federation"
	Key     []byte // public
	Journal string // its identity
	DataDir string
}

// Binding is what the file of a key says. (docs/formats/lease.md)
type Binding struct {
	Format   int       `json:"format"` // 1
	Purpose  string    `json:"purpose"`
	Key      string    `json:"key"` // public, hex
	Journal  string    `json:"journal"`
	DataDir  string    `json:"data_dir"` // absolute, links resolved
	Machine  string    `json:"machine"`  // machine-id; empty where there is none
	Boot     string    `json:"boot"`     // of the machine, when the key was taken
	Process  int       `json:"process"`  // that took it last
	Bound    time.Time `json:"bound"`    // since when it is this journal's
	Taken    time.Time `json:"taken"`    // last
	Released string    `json:"released,omitempty"`
}

const (
	format      = 1
	maxFile     = 64 << 10
	lockSuffix  = ".lock"
	stateSuffix = ".json"
)

// Lease is a key that this process holds.
type Lease struct {
	lock    *os.File
	Binding Binding
}

// Take locks a key for this process and binds it to a journal, or refuses with
// [ErrRefused].
func Take(dir string, c Claim) (*Lease, error) {
	dataDir, err := resolved(c.DataDir)
	if err != nil {
		return nil, refused("lease of the %s key: data directory %s: %v", c.Purpose, c.DataDir, err)
	}
	lock, err := lockKey(dir, c.Purpose, name(c.Key))
	if err != nil {
		return nil, err
	}
	l, err := bind(dir, lock, c, dataDir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

func bind(dir string, lock *os.File, c Claim, dataDir string) (*Lease, error) {
	path := filepath.Join(dir, name(c.Key)+stateSuffix)
	old, err := read(path)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	next := Binding{
		Format: format, Purpose: c.Purpose, Key: hex.EncodeToString(c.Key), Journal: c.Journal, DataDir: dataDir,
		Machine: machine(), Boot: boot(), Process: os.Getpid(), Bound: now, Taken: now,
	}
	if old != nil && old.Released == "" {
		if err := old.admits(&next); err != nil {
			return nil, err
		}
		next.Bound = old.Bound
	}
	if err := write(path, &next); err != nil {
		return nil, refused("lease of the %s key: %v: give a directory that this user can write, with lease-dir", c.Purpose, err)
	}
	return &Lease{lock: lock, Binding: next}, nil
}

// admits is nil when a binding is the claimant's own.
func (b *Binding) admits(next *Binding) error {
	const release = "if nothing can sign there any more, run alys key lease release --key %s and say why"
	switch {
	case b.Key != next.Key:
		return refused("lease file %s is of key %s, not %s: it was moved or copied; remove it only if you know which node uses the key", name(next.key())+stateSuffix, b.Key, next.Key)
	case b.Machine != next.Machine && b.Machine != "" && next.Machine != "":
		return refused("the %s key %s is bound to journal %s on machine %s, this is %s: a lease directory must not be shared between machines; "+release, b.Purpose, short(b.Key), b.Journal, b.Machine, next.Machine, b.Key)
	case b.Journal != next.Journal:
		return refused("the %s key %s is bound to journal %s in %s, this is journal %s in %s: what the key signed is in that journal, and another would sign again; "+release, b.Purpose, short(b.Key), b.Journal, b.DataDir, next.Journal, next.DataDir, b.Key)
	case b.DataDir != next.DataDir:
		return refused("the %s key %s is bound to the journal in %s, this is a copy of it in %s: a copy does not know what was signed since; if the directory was moved and is the newest, "+release, b.Purpose, short(b.Key), b.DataDir, next.DataDir, b.Key)
	}
	return nil
}

func (b *Binding) key() []byte {
	key, _ := hex.DecodeString(b.Key)
	return key
}

func short(key string) string { return key[:min(len(key), 16)] }

// Close ends the lock. The binding stays.
func (l *Lease) Close() error { return l.lock.Close() }

// Release ends the binding of a key to a journal, unless a process holds it. The reason
// stays in the file.
func Release(dir, key, reason string) (*Binding, error) {
	public, err := hex.DecodeString(strings.TrimPrefix(key, "0x"))
	if err != nil || len(public) == 0 {
		return nil, fault.New(fault.Invalid, "key %.80q is no hex: alys key lease status lists the keys", key)
	}
	path := filepath.Join(dir, name(public)+stateSuffix)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "there is no lease of key %s in %s", short(hex.EncodeToString(public)), dir)
	}
	lock, err := lockKey(dir, "", name(public))
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	old, err := read(path)
	if err != nil { // damaged: an operator's word replaces it
		old = &Binding{Format: format, Key: hex.EncodeToString(public)}
	}
	old.Released = time.Now().UTC().Format(time.RFC3339) + " " + reason
	if err := write(path, old); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "lease")
	}
	return old, nil
}

// Listed is one lease of a directory.
type Listed struct {
	Binding
	File  string `json:"file"`
	Held  bool   `json:"held"`            // by a running process
	Error string `json:"error,omitempty"` // why the file cannot be read
}

// List returns the leases of a directory, by file name.
func List(dir string) ([]Listed, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "lease directory")
	}
	var list []Listed
	for _, f := range files {
		id, ok := strings.CutSuffix(f.Name(), stateSuffix)
		if !ok {
			continue
		}
		l := Listed{File: f.Name(), Held: isLocked(filepath.Join(dir, id+lockSuffix))}
		b, err := read(filepath.Join(dir, f.Name()))
		if err != nil {
			l.Error = err.Error()
		} else if b != nil {
			l.Binding = *b
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Listed) int { return strings.Compare(a.File, b.File) })
	return list, nil
}

// name is the file name of a key without its ending: the key itself is in the file.
func name(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:16])
}

// lockKey locks a key for this process.
func lockKey(dir, purpose, id string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, refused("lease directory: %v: give one that this user can write, with lease-dir", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, id+lockSuffix), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, refused("lease of the %s key: %v: give a directory that this user can write, with lease-dir", purpose, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		who := "another process"
		if b, readErr := read(filepath.Join(dir, id+stateSuffix)); readErr == nil && b != nil {
			who = fmt.Sprintf("process %d with data directory %s", b.Process, b.DataDir)
		}
		return nil, errors.Join(refused("the key is used by %s (%v): two processes with one key sign two blocks of one slot; stop the other first", who, err), f.Close())
	}
	return f, nil
}

func isLocked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// read returns the binding in a file, nil when there is none.
func read(path string) (*Binding, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%d bytes", len(data))
	}
	b := new(Binding)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		err = d.Decode(b)
	}
	if err == nil && (b.Format != format || b.Key == "") {
		err = fmt.Errorf("format %d of key %q", b.Format, b.Key)
	}
	if err != nil {
		return nil, refused("lease file %s cannot be read (%v), so it is not known which journal may use the key; find out, then run alys key lease release with the key", path, err)
	}
	return b, nil
}

// write replaces a file by one that is whole or as before after a crash.
func write(path string, b *Binding) error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func resolved(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// machineFiles have the machine's id, which survives a change of its name.
var machineFiles = []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}

// machine names this machine, or is empty: a host's name is none. A container has another one
// each time it is made, as an upgrade does, and its key would be refused then.
func machine() string {
	for _, path := range machineFiles {
		if data, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(data)) > 0 {
			return string(bytes.TrimSpace(data))
		}
	}
	return ""
}

// boot names the run of the operating system, where it says so.
func boot() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(data))
}
