//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// straceEnv switches the lane of injected system calls on. It does not begin as
// the names of settings do: the program refuses what it does not know.
const straceEnv = "JOURNAL_STRACE"

// class is a set of the journal's files whose system calls are made to fail.
type class string

const (
	headFile class = `/journal/HEAD\b`
	walFiles class = `/journal/pebble/\d{6}\.log`
	database class = `/journal/pebble/`
	theIndex class = `/journal/index/`
)

// files are the paths that strace is to watch; a path need not exist yet.
func (c class) files(dataDir string) (paths []string) {
	dir := filepath.Join(dataDir, "journal")
	switch c {
	case headFile:
		return []string{filepath.Join(dir, "HEAD")}
	case theIndex:
		dir = filepath.Join(dir, "index")
	default:
		dir = filepath.Join(dir, "pebble")
	}
	for n := range 60 {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%06d.log", n)))
		if c != walFiles {
			paths = append(paths, filepath.Join(dir, fmt.Sprintf("%06d.sst", n)), filepath.Join(dir, fmt.Sprintf("MANIFEST-%06d", n)))
		}
	}
	return paths
}

// injection is one way in which the operating system fails the program.
type injection struct {
	class  class
	calls  string // as strace wants them
	what   string // error=..., signal=...
	onward bool   // that call and all later ones
	depth  int    // percent of the calls that succeed before
	ends   bool   // the program must not go on
}

const (
	killed = "signal=KILL"
	broken = "error=EIO"
	full   = "error=ENOSPC"
)

// injections of each job. Only what the journal cannot do without must end the
// program: the index is rebuilt, and a table is written again.
var injections = []injection{
	{headFile, "pwrite64", broken, false, 0, true},
	{headFile, "pwrite64", full, true, 50, true},
	{headFile, "pwrite64", killed, false, 30, true},
	{headFile, "fdatasync", broken, false, 60, true},
	{headFile, "fdatasync", killed, false, 60, true},
	{walFiles, "write", broken, false, 0, true},
	{walFiles, "write", broken, false, 50, true},
	{walFiles, "write", full, true, 25, true},
	{walFiles, "write", full, true, 70, true},
	{walFiles, "write", killed, false, 0, true},
	{walFiles, "write", killed, false, 60, true},
	{walFiles, "fdatasync", broken, false, 0, true},
	{walFiles, "fdatasync", broken, false, 60, true},
	{walFiles, "fdatasync", killed, false, 30, true},
	{database, "write,pwrite64", full, true, 40, true},
	{database, "openat", broken, false, 50, false},
	{database, "openat", killed, false, 60, true},
	{theIndex, "write", full, true, 20, false},
	{theIndex, "write", killed, false, 60, true},
}

// workload is a program run that writes a journal.
type workload struct {
	name  string
	args  func(dataDir string) []string
	lasts time.Duration // 0: it ends by itself
	calls map[string]int
}

// straced is one run below strace.
type straced struct {
	stdout, stderr bytes.Buffer
	err            error
	trace          string
}

var threadCall = regexp.MustCompile(`^(\d+) +(\w+)\(`)

// count keeps how often each call came on the thread that made most of them:
// strace counts by thread.
func (j *workload) count(trace string) {
	byThread := make(map[string]int)
	j.calls = make(map[string]int)
	for line := range strings.Lines(trace) {
		m := threadCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, c := range []class{headFile, walFiles, database, theIndex} {
			if !regexp.MustCompile(string(c)).MatchString(line) {
				continue
			}
			key := string(c) + m[2]
			byThread[m[1]+key]++
			j.calls[key] = max(j.calls[key], byThread[m[1]+key])
		}
	}
}

// position is the number of the call to inject at.
func (j *workload) position(in injection) int {
	n := 0
	for c := range strings.SplitSeq(in.calls, ",") {
		n += j.calls[string(in.class)+c]
	}
	return 1 + (max(n, 1)-1)*in.depth/100
}

// runStraced runs the program below strace. One that does not end by itself is
// interrupted after a while.
func runStraced(t *testing.T, dataDir string, j *workload, options ...string) *straced {
	log := filepath.Join(t.TempDir(), "trace")
	alys, err := exec.LookPath("alys")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-f", "-q", "-e", "signal=none", "-o", log}, options...)
	args = append(append(args, "--", alys), j.args(dataDir)...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := &straced{}
	cmd := exec.CommandContext(ctx, "strace", args...)
	cmd.Stdout, cmd.Stderr = &r.stdout, &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if j.lasts > 0 {
		end := time.AfterFunc(j.lasts, func() { interruptChild(cmd.Process.Pid) })
		defer end.Stop()
	}
	r.err = cmd.Wait()
	if ctx.Err() != nil {
		t.Fatalf("it runs still after %s\n%s", patience, r.stderr.String())
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	r.trace = string(data)
	return r
}

// interruptChild interrupts what strace runs; strace itself passes no signal on.
func interruptChild(parent int) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return // it has ended
	}
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, syscall.SIGINT)
		}
	}
}

// noCrash fails when the program ended as no program should.
func noCrash(t *testing.T, what, output string) {
	t.Helper()
	for _, crash := range []string{"panic:", "fatal error:", "goroutine ", "DATA RACE"} {
		if strings.Contains(output, crash) {
			t.Fatalf("%s crashed:\n%s", what, output)
		}
	}
}

// alysOutput runs the program and returns stdout, stderr and exit code.
func alysOutput(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "alys", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	noCrash(t, strings.Join(args, " "), errs.String())
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// recordedHead reads the head file as docs/formats/journal.md draws it, without
// the code under test: the sequence that was acknowledged at least, 0 for none.
func recordedHead(t *testing.T, dataDir string) (sequence uint64) {
	file, err := os.ReadFile(filepath.Join(dataDir, "journal", "HEAD"))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 4096} {
		if len(file) < at+72 {
			continue
		}
		slot := file[at : at+72]
		if crc32.Checksum(slot[:68], crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(slot[68:]) {
			sequence = max(sequence, binary.BigEndian.Uint64(slot[28:]))
		}
	}
	return sequence
}

var blockLine = regexp.MustCompile(`(?m)^(?:block|start head) ([1-9]\d*) (0x[0-9a-f]{64})`)

// checkWhole is the oracle: what the interrupted program acknowledged and
// printed is in a journal that verifies.
func checkWhole(t *testing.T, dataDir, printed string) {
	t.Helper()
	acknowledged := recordedHead(t, dataDir)
	plan, stderr, code := alysOutput(t, "journal", "plan", "--json", "--data-dir", dataDir)
	if code != exitOK {
		t.Fatalf("plan ends with %d: %s%s", code, plan, stderr)
	}
	blocks := blockLine.FindAllStringSubmatch(printed, -1)
	if strings.Contains(plan, `"decision": "create"`) {
		if acknowledged > 0 || len(blocks) > 0 {
			t.Fatalf("event %d was acknowledged, and there is no journal: %s", acknowledged, plan)
		}
		return
	}
	out, stderr, code := alysOutput(t, "journal", "verify", "--json", "--data-dir", dataDir)
	var verified struct {
		Head     uint64 `json:"head_sequence"`
		Complete bool   `json:"complete"`
	}
	if code != exitOK || json.Unmarshal([]byte(out), &verified) != nil {
		t.Fatalf("verify ends with %d: %s%s", code, out, stderr)
	}
	if verified.Head < acknowledged {
		t.Fatalf("event %d was acknowledged, the journal ends at %d", acknowledged, verified.Head)
	}
	for _, b := range blocks {
		fact, stderr, code := alysOutput(t, "journal", "cat", "--data-dir", dataDir, "--fact", "block_connected", "--height", b[1])
		if code != exitOK || !strings.Contains(fact, b[2]) {
			t.Fatalf("block %s %s was printed, the journal has %s%s", b[1], b[2], fact, stderr)
		}
	}
}

// checkGoesOn runs the job again on what is left.
func (j *workload) checkGoesOn(t *testing.T, dataDir, expected string) {
	t.Helper()
	if j.lasts == 0 {
		if out, stderr, code := alysOutput(t, j.args(dataDir)...); code != exitOK {
			t.Fatalf("the next run ends with %d: %s%s", code, out, stderr)
		}
		out, stderr, code := alysOutput(t, "migrate", "verify", "--data-dir", dataDir, "--expect", expected)
		if code != exitOK || !strings.Contains(out, " 0 different, ") {
			t.Fatalf("after the next run, verify ends with %d: %s%s", code, out, stderr)
		}
		return
	}
	before := recordedHead(t, dataDir)
	cmd := exec.CommandContext(t.Context(), "alys", j.args(dataDir)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	first, printed := "", ""
	for lines.Scan() {
		printed += lines.Text() + "\n"
		if first == "" {
			first = lines.Text()
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the next run: %v\n%s", err, errs.String())
	}
	if want := "start head "; before > 1 && !strings.HasPrefix(first, want) {
		t.Fatalf("%d events were acknowledged, and the next run begins with %q", before, first)
	}
	checkWhole(t, dataDir, printed)
}

// TestStrace lets the operating system fail the real program: calls on the
// journal's files return errors, the disk is full, the process dies in a call.
func TestStrace(t *testing.T) {
	if os.Getenv(straceEnv) == "" {
		t.Skipf("a slow lane: %s=1 switches it on (make journal-crash)", straceEnv)
	}
	if out, err := exec.Command("strace", "-f", "--seccomp-bpf", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("skipped: strace is absent or may not trace here: %v %s", err, out)
	}
	chains, err := filepath.Abs("../../testdata/legacy/chains/single")
	if err != nil {
		t.Fatal(err)
	}
	jobs := []*workload{
		{name: "import", args: func(d string) []string {
			return []string{"migrate", "import", "--from", chains, "--data-dir", d}
		}},
		{name: "node", lasts: 6 * time.Second, args: func(d string) []string {
			return []string{"node", "--dev", "--engine.http-addr", "", "--data-dir", d}
		}},
	}
	var runs, reached, ended atomic.Int64
	for _, j := range jobs {
		dir := shortDir(t)
		whole := runStraced(t, dir, j, "-y", "--seccomp-bpf", "-e", "trace=write,pwrite64,fdatasync,openat")
		if whole.err != nil {
			t.Fatalf("%s without injections: %v\n%s", j.name, whole.err, whole.stderr.String())
		}
		j.count(whole.trace)
		for i, in := range injections {
			t.Run(fmt.Sprintf("%s/%02d", j.name, i+1), func(t *testing.T) {
				t.Parallel()
				runs.Add(1)
				dir, r, at := j.inject(t, in)
				reached.Add(int64(strings.Count(r.trace, "(INJECTED)")))
				if in.what == killed {
					reached.Add(1)
				}
				output := r.stderr.String()
				noCrash(t, "the program", output)
				if r.err != nil {
					ended.Add(1)
				}
				checkEnd(t, in, r)
				checkWhole(t, dir, r.stdout.String())
				j.checkGoesOn(t, dir, filepath.Join(chains, "expected.json"))
				t.Logf("%s %s at call %d of %s: %v", in.what, in.calls, at, in.class, r.err)
			})
		}
	}
	t.Cleanup(func() {
		t.Logf("%d runs, %d injected calls, %d runs ended by them, %d disks checked", runs.Load(), reached.Load(), ended.Load(), 2*runs.Load())
	})
}

// shortDir is a data directory whose path a socket address has room for.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "alys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "d")
}

// inject runs the job until the injection was reached: threads share the calls
// differently each time, so a position may have to move to the front.
func (j *workload) inject(t *testing.T, in injection) (dataDir string, r *straced, at int) {
	for at = j.position(in); at > 0; at /= 2 {
		dataDir = shortDir(t)
		rule := fmt.Sprintf("inject=%s:%s:when=%d", in.calls, in.what, at)
		if in.onward {
			rule += "+"
		}
		options := []string{"-e", "trace=" + in.calls, "-e", rule}
		if in.what != killed { // a signal is lost at a stop of seccomp's
			options = append(options, "--seccomp-bpf")
		}
		for _, p := range in.class.files(dataDir) {
			options = append(options, "-P", p)
		}
		r = runStraced(t, dataDir, j, options...)
		if strings.Contains(r.trace, "(INJECTED)") || in.what == killed && strings.Contains(r.trace, " = ?") {
			return dataDir, r, at
		}
	}
	t.Fatalf("%s of %s is never reached: %v\n%s\n%s", in.calls, in.class, r.err, r.trace, r.stderr.String())
	return "", nil, 0
}

// checkEnd judges how the program ended.
func checkEnd(t *testing.T, in injection, r *straced) {
	t.Helper()
	var exit *exec.ExitError
	if r.err != nil && !errors.As(r.err, &exit) {
		t.Fatal(r.err)
	}
	switch {
	case r.err == nil && in.ends:
		t.Fatalf("%s of %s: it went on\n%s", in.what, in.class, r.stderr.String())
	case r.err == nil || in.what == killed:
		return
	}
	errs := strings.TrimSpace(r.stderr.String())
	last := errs[strings.LastIndexByte(errs, '\n')+1:]
	code := exit.ExitCode()
	unreadable := code == exitDamaged && in.calls == "openat" // a file that cannot be opened is a damaged one
	if code != exitUsage && code != exitNotReady && !unreadable || !strings.HasPrefix(last, "alys: ") {
		t.Fatalf("%s of %s: it ended with %d: %s", in.what, in.class, code, errs)
	}
	if want := map[string]string{broken: "input/output error", full: "no space left"}[in.what]; !strings.Contains(last, want) {
		t.Fatalf("%s of %s: the error does not say %q: %s", in.what, in.class, want, last)
	}
}
