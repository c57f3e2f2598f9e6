package devnet

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ErrRunning is a network that runs already.
var ErrRunning = errors.New("the network runs: alys devnet status, alys devnet down")

// Run is what runs, as run.json has it.
type Run struct {
	Supervisor Running   `json:"supervisor"`
	Processes  []Running `json:"processes"`
}

// Running is a process of a run.
type Running struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, 0 where the system does not say
	Exit  *int   `json:"exit,omitempty"`
}

func runningOf(name string, pid int) Running {
	return Running{Name: name, PID: pid, Start: startTime(pid)}
}

// alive tells whether it is still the same process. Where the system does not say when
// processes start, none is taken for ours.
func (r Running) alive() bool {
	return r.PID > 1 && r.Exit == nil && r.Start != 0 && startTime(r.PID) == r.Start && syscall.Kill(r.PID, 0) == nil
}

func (r Running) signal(s syscall.Signal) {
	if r.alive() {
		_ = syscall.Kill(r.PID, s)
	}
}

// readRun returns what run.json says, nil when there is none.
func readRun(dir string) (*Run, error) {
	data, err := os.ReadFile(filepath.Join(dir, runName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, runName)
	}
	r := new(Run)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, filepath.Join(dir, runName)+" is damaged: end the processes by hand and remove it")
	}
	return r, nil
}

// writeRun replaces run.json.
func writeRun(dir string, r *Run) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Fatal, err, runName)
	}
	path := filepath.Join(dir, runName)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fault.Wrap(fault.Fatal, err, runName)
	}
	return fault.Wrap(fault.Fatal, os.Rename(path+".new", path), runName)
}

// lock takes the directory for one supervisor. The lock ends with the process.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "lock of the network")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Temporary, "%s: %w", dir, ErrRunning)
		}
		return nil, fault.Wrap(fault.Fatal, err, "lock of the network")
	}
	return func() { _ = f.Close() }, nil
}

// locked tells whether a supervisor has the directory.
func locked(dir string) bool {
	unlock, err := lock(dir)
	if err == nil {
		unlock()
	}
	return errors.Is(err, ErrRunning)
}
