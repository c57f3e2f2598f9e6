package snapshot_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/snapshot"
)

// A power cut at any file operation leaves the snapshots before it loadable,
// and the new one whole or absent.
func TestPowerCut(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		for cut := 0; ; cut++ {
			mem := vfs.NewCrashableMem()
			var mu sync.Mutex
			var clone *vfs.MemFS
			count, armed := 0, false
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if !armed || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
					return nil
				}
				if count == cut {
					clone = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(cut), 1))})
				}
				count++
				return nil
			}))
			s, _ := open(t, fs, 2)
			states := map[uint64]state{1: numbered("chain", 300), 2: numbered("chain", 310), 3: numbered("chain", 320)}
			write(t, s, 1, states[1])
			write(t, s, 2, states[2])
			armed = true
			write(t, s, 3, states[3])
			if clone == nil {
				break
			}
			checkAfterCut(t, clone, states, fmt.Sprintf("%d%% unsynced, cut at operation %d", percent, cut))
		}
	}
}

func checkAfterCut(t *testing.T, fs vfs.FS, states map[uint64]state, when string) {
	t.Helper()
	s, log := open(t, fs, 2)
	list, err := s.List()
	if err != nil || len(list) < 2 || list[len(list)-1].Sequence > 2 {
		t.Fatalf("%s: list %v %v\n%s", when, list, err, log)
	}
	for _, m := range list {
		if got, err := load(s, m); err != nil || !equal(got, states[m.Sequence]) {
			t.Fatalf("%s: snapshot %d: %v", when, m.Sequence, err)
		}
	}
	st := numbered("chain", 330)
	write(t, s, 4, st)
	names, _ := fs.List("snapshots")
	more, _ := fs.List("snapshots/chunks")
	for _, name := range append(names, more...) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s: leftover %s", when, name)
		}
	}
	if got, err := load(s, write(t, s, 5, st)); err != nil || !equal(got, st) {
		t.Fatalf("%s: after the next write: %v", when, err)
	}
}

// Every file operation of a write fails once: the error is graded, older
// snapshots stay loadable, and the next write succeeds.
func TestDiskFull(t *testing.T) {
	for failing := 0; ; failing++ {
		var mu sync.Mutex
		count, armed := 0, false
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if !armed {
				return nil
			}
			count++
			// Once the disk is full it stays so.
			switch op.Kind {
			case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpRename:
				if count > failing {
					return syscall.ENOSPC
				}
			}
			return nil
		}))
		s, log := open(t, fs, 2)
		old := numbered("chain", 300)
		write(t, s, 1, old)
		armed = true
		next := numbered("chain", 310)
		next["other"] = map[string]string{"a": "b"}
		_, err := s.Write(at(2), next.sections())
		armed = false
		if err != nil && (!fault.Is(err, fault.Temporary) || !errors.Is(err, syscall.ENOSPC)) {
			t.Fatalf("operation %d: %v", failing, err)
		}
		list, listErr := s.List()
		if listErr != nil || len(list) == 0 || list[len(list)-1].Sequence != 1 {
			t.Fatalf("operation %d: %v %v\n%s", failing, list, listErr, log)
		}
		if got, err := load(s, list[len(list)-1]); err != nil || !equal(got, old) {
			t.Fatalf("operation %d: old snapshot: %v", failing, err)
		}
		if got, err := load(s, write(t, s, 3, next)); err != nil || !equal(got, next) {
			t.Fatalf("operation %d: next snapshot: %v", failing, err)
		}
		if err == nil {
			break
		}
	}
}

// One bit flipped in any file is found, and the next older snapshot is used.
func TestBitFlip(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := open(t, mem, 3)
	states := map[uint64]state{1: numbered("chain", 80), 2: {"chain": {"one": "1", "two": "2"}, "empty": {}}}
	write(t, s, 1, states[1])
	m := write(t, s, 2, states[2])
	files := []string{"snapshots/" + m.File}
	for _, name := range snapshot.ChunkNames(m) {
		files = append(files, "snapshots/chunks/"+name)
	}
	for _, file := range files {
		data, err := mem.UnsafeGetFileDataBuffer(file)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(data) * 8 {
			data[bit/8] ^= 1 << (bit % 8)
			fresh, log := open(t, mem, 3)
			var got state
			found, ok, err := fresh.Newest(func(m snapshot.Manifest) error {
				var err error
				got, err = load(fresh, m)
				return err
			})
			if err != nil || !ok || found.Sequence != 1 || !equal(got, states[1]) {
				t.Fatalf("%s bit %d: found %d %v %v", file, bit, found.Sequence, ok, err)
			}
			if !strings.Contains(log.String(), fresh.Base(file)) {
				t.Fatalf("%s bit %d: the log does not name the file: %s", file, bit, log)
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
	}
}
