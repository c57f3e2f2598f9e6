package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal"
)

// codeCommand runs a program and compares its exit code:
//
//	code 3 alys journal verify --data-dir $D
func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// sameCommand compares what a pattern's group captures in two outputs of files:
//
//	same 'head (\S+)' file1 file2
func sameCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: same PATTERN FILE FILE")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	var found [2]string
	for i, file := range args[1:] {
		m := pattern.FindStringSubmatch(ts.ReadFile(file))
		if len(m) < 2 {
			ts.Fatalf("%s: %s is not found", file, args[0])
		}
		found[i] = m[1]
	}
	if (found[0] == found[1]) == neg {
		ts.Fatalf("%q and %q", found[0], found[1])
	}
}

// replaceCommand replaces what a pattern matches in a file, once at least:
//
//	replace FILE PATTERN TEXT
func replaceCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE PATTERN TEXT")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	before := ts.ReadFile(args[0])
	after := pattern.ReplaceAllString(before, args[2])
	if before == after {
		ts.Fatalf("%s: nothing matches %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o600))
}

// copytreeCommand copies a directory.
func copytreeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copytree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// lockCommand holds the journal of a data directory open until unlock, or until
// the script ends.
func lockCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock DIR")
	}
	held := held(ts)
	*held = append(*held, openJournal(ts, args[0], false))
	ts.Defer(func() { unlockCommand(ts, false, nil) })
}

// unlockCommand closes what lock opened.
func unlockCommand(ts *testscript.TestScript, _ bool, _ []string) {
	held := held(ts)
	for _, j := range *held {
		ts.Check(j.Close())
	}
	*held = nil
}

func held(ts *testscript.TestScript) *[]*journal.Journal {
	return ts.Value(heldKey{}).(*[]*journal.Journal)
}

type heldKey struct{}

func openJournal(ts *testscript.TestScript, dataDir string, readOnly bool) *journal.Journal {
	j, err := journal.Open(journal.Options{
		Dir: node.JournalDir(ts.MkAbs(dataDir)), ReadOnly: readOnly, Logger: slog.New(slog.DiscardHandler),
	})
	ts.Check(err)
	return j
}

// damageCommand changes a closed data directory behind the program's back:
//
//	damage flip D GLOB N       flips N bytes, spread over the journal's files that match
//	damage missing D SEQ       deletes an event
//	damage value D SEQ         flips a byte of an event
//	damage content D           flips a byte of a content
//	damage rewrite D SEQ TYPE  changes an output of that type, and chains all events anew
func damageCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: damage KIND DIR [args...]")
	}
	dir := ts.MkAbs(args[1])
	database := filepath.Join(node.JournalDir(dir), "pebble")
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(args[i], 10, 64)
		ts.Check(err)
		return n
	}
	switch args[0] {
	case "flip":
		flipFiles(ts, node.JournalDir(dir), args[2], int(number(3)))
	case "missing":
		edit(ts, database, func(db *pebble.DB) error { return db.Delete(eventKey(number(2)), pebble.Sync) })
	case "value":
		edit(ts, database, func(db *pebble.DB) error { return flipValue(db, eventKey(number(2))) })
	case "content":
		edit(ts, database, func(db *pebble.DB) error {
			it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("c"), UpperBound: []byte("d")})
			if err != nil {
				return err
			}
			it.First()
			key := bytes.Clone(it.Key())
			return errors.Join(it.Close(), flipValue(db, key))
		})
	case "rewrite":
		rewrite(ts, dir, number(2), args[3])
	default:
		ts.Fatalf("damage %s is not known", args[0])
	}
}

func eventKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64([]byte("e"), sequence) }

func edit(ts *testscript.TestScript, database string, change func(*pebble.DB) error) {
	db, err := pebble.Open(database, &pebble.Options{
		FormatMajorVersion: pebble.FormatValueSeparation, ErrorIfNotExists: true, Logger: quiet{},
	})
	ts.Check(err)
	ts.Check(errors.Join(change(db), db.Flush(), db.Close()))
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, _ ...any) {
	panic(f)
}

func flipValue(db *pebble.DB, key []byte) error {
	value, closer, err := db.Get(key)
	if err != nil {
		return err
	}
	value = bytes.Clone(value)
	value[len(value)/3] ^= 0x10
	return errors.Join(closer.Close(), db.Set(key, value, pebble.Sync))
}

// flipFiles flips n bytes at even distances in each file that matches.
func flipFiles(ts *testscript.TestScript, dir, glob string, n int) {
	changed := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ok, err := filepath.Match(glob, d.Name()); err != nil || !ok {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return err
		}
		for i := range n {
			data[(2*i+1)*len(data)/(2*n)] ^= 0x04
		}
		changed++
		return os.WriteFile(path, data, 0o600)
	})
	ts.Check(err)
	if changed == 0 {
		ts.Fatalf("no file matches %s", glob)
	}
}

// rewrite replaces the journal by one with another history whose hashes are all
// right: only running the turns again can tell.
func rewrite(ts *testscript.TestScript, dir string, sequence uint64, typ string) {
	from := openJournal(ts, dir, true)
	other := dir + ".rewritten"
	to := openJournal(ts, other, false)
	changed := false
	it := from.Iterate(1, false)
	for it.Next() {
		stored, err := it.Event()
		ts.Check(err)
		e := *stored
		var contents []journal.Content
		for _, h := range e.Contents {
			data, err := from.Content(h)
			ts.Check(err)
			contents = append(contents, journal.Content{Hash: h, Data: data})
		}
		if e.Sequence == sequence {
			for i := range e.Outputs {
				if o := &e.Outputs[i]; o.Type == typ && !changed {
					o.Payload = bytes.Clone(o.Payload)
					o.Payload[len(o.Payload)-1] ^= 1
					changed = true
				}
			}
			if e.Type == typ && !changed {
				e.Message = bytes.Clone(e.Message)
				e.Message[len(e.Message)-1] ^= 1
				changed = true
			}
		}
		_, err = to.Append(&e, contents)
		ts.Check(err)
	}
	ts.Check(errors.Join(it.Close(), from.Close(), to.Close()))
	if !changed {
		ts.Fatalf("event %d has nothing of type %s", sequence, typ)
	}
	ts.Check(os.RemoveAll(node.JournalDir(dir)))
	ts.Check(os.Rename(node.JournalDir(other), node.JournalDir(dir)))
	ts.Check(os.RemoveAll(strings.TrimSuffix(other, "/")))
}
