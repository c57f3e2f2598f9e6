package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// serverEnv names the program of a real server, versitygw, as make test-s3 sets it.
const serverEnv = "ALYS_S3_SERVER"

const (
	testAccess = "test-access"
	testSecret = "test-secret-that-no-error-may-show"
	testBucket = "segments"
)

var quiet = slog.New(slog.DiscardHandler)

// server is a real one on loopback, over a directory that tests may damage.
type server struct {
	t       *testing.T
	program string
	root    string
	address string
	process *exec.Cmd
}

func startServer(t *testing.T) *server {
	t.Helper()
	program := os.Getenv(serverEnv)
	if program == "" {
		t.Skipf("a slow lane with a real server: make test-s3 installs one and sets %s", serverEnv)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, program: program, root: t.TempDir(), address: free.Addr().String()}
	if err := errors.Join(free.Close(), os.Mkdir(filepath.Join(s.root, testBucket), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	s.start()
	return s
}

// start returns when the server accepts connections.
func (s *server) start() {
	s.t.Helper()
	s.process = exec.Command(s.program, "--port", s.address, "--quiet", "posix", s.root)
	s.process.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+testAccess, "ROOT_SECRET_KEY="+testSecret)
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 600 {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("%s does not listen on %s", s.program, s.address)
}

// stop kills the server as a crash would.
func (s *server) stop() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *server) at(bucket string) Address {
	a, err := Parse(fmt.Sprintf("s3://%s/alys/node-1?endpoint=%s&insecure=true", bucket, s.address))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *server) storage(bucket, access, secret string) *Storage {
	s.t.Helper()
	storage, err := New(s.at(bucket), Options{AccessKey: access, SecretKey: secret, Scratch: s.t.TempDir(), Timeout: 5 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	return storage
}

// file returns the file of an object on the server's disk.
func (s *server) file(name string) string {
	return filepath.Join(s.root, testBucket, "alys", "node-1", name)
}

// refused checks grade and text of an error, and that it shows no secret.
func refused(t *testing.T, err error, grade fault.Grade, texts ...string) {
	t.Helper()
	if !fault.Is(err, grade) {
		t.Fatalf("grade %s, want %s: %v", fault.Of(err), grade, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Fatalf("no %q in: %v", text, err)
		}
	}
	if strings.Contains(err.Error(), testSecret) {
		t.Fatalf("the secret is in: %v", err)
	}
}

func mustOpen(t *testing.T, dir string, s *Storage, readOnly bool) *journal.Journal {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: dir, Archive: s, ReadOnly: readOnly, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// fill appends events, each with a content of its own.
func fill(t *testing.T, j *journal.Journal, to uint64) {
	t.Helper()
	for s := j.Head().Sequence + 1; s <= to; s++ {
		var data []byte
		for i := range 60 {
			sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", s, i))
			data = append(data, sum[:]...)
		}
		h := journal.SumContent(data)
		e := &journal.Event{Sequence: s, Time: int64(s), Actor: "test", Type: "test", Stored: true, Message: data[:64], Contents: []journal.Hash{h}}
		if _, err := j.Append(e, []journal.Content{{Hash: h, Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), to); err != nil {
		t.Fatal(err)
	}
}

// readAll walks over all events and their contents.
func readAll(j *journal.Journal, backward bool) (events int, err error) {
	from := uint64(1)
	if backward {
		from = j.Durable().Sequence
	}
	it := j.Iterate(from, backward)
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return events, err
		}
		for _, h := range e.Contents {
			if _, err := j.Content(h); err != nil {
				return events, err
			}
		}
		events++
	}
	return events, it.Err()
}

var segments = journal.ArchiveOptions{SegmentBytes: 128 << 10}

// TestServerArchive archives to a real server and reads everything back.
func TestServerArchive(t *testing.T) {
	s := startServer(t)
	dir := filepath.Join(t.TempDir(), "journal")
	j := mustOpen(t, dir, s.storage(testBucket, testAccess, testSecret), false)
	fill(t, j, 600)
	plain, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.Archive(t.Context(), 500, segments)
	if err != nil || len(r.Segments) < 3 || r.Events != 499 {
		t.Fatalf("%d segments, %d events: %v", len(r.Segments), r.Events, err)
	}
	fill(t, j, 650)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	storage := s.storage(testBucket, testAccess, testSecret)
	j = mustOpen(t, dir, storage, true)
	defer j.Close()
	for _, backward := range []bool{false, true} {
		if n, err := readAll(j, backward); err != nil || n != 650 {
			t.Fatalf("backward %t: %d events: %v", backward, n, err)
		}
	}
	if again, err := j.Verify(t.Context(), 0, 600, nil); err != nil || again.Head != plain.Head {
		t.Fatalf("verified to %v, was %v: %v", again.Head, plain.Head, err)
	}
	names, err := storage.List(t.Context())
	if err != nil || len(names) != len(r.Segments) || names[0] != r.Segments[0].Name {
		t.Fatalf("%d objects, %d segments: %v", len(names), len(r.Segments), err)
	}
}

// TestServerAway kills the server: the rest of the journal stays readable, and
// all of it is when the server is back.
func TestServerAway(t *testing.T) {
	s := startServer(t)
	dir := filepath.Join(t.TempDir(), "journal")
	storage := s.storage(testBucket, testAccess, testSecret)
	j := mustOpen(t, dir, storage, false)
	fill(t, j, 400)
	if _, err := j.Archive(t.Context(), 200, segments); err != nil {
		t.Fatal(err)
	}
	s.stop()
	_, _, err := j.Event(100)
	refused(t, err, fault.Temporary, "archived event", s.address)
	_, err = j.Verify(t.Context(), 0, 0, nil)
	refused(t, err, fault.Temporary)
	_, err = j.Archive(t.Context(), 300, segments)
	refused(t, err, fault.Temporary, "archive")
	if e, _, err := j.Event(200); err != nil || e.Sequence != 200 {
		t.Fatal(err)
	}
	fill(t, j, 450)
	if _, err := j.Verify(t.Context(), 200, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir, storage, false) // a node starts without its archive
	defer j.Close()
	s.start()
	if _, err := j.Archive(t.Context(), 300, segments); err != nil {
		t.Fatal(err)
	}
	if n, err := readAll(j, false); err != nil || n != 450 {
		t.Fatalf("%d events: %v", n, err)
	}
}

// TestServerDamage flips a bit of an object on the server's disk, then removes it.
func TestServerDamage(t *testing.T) {
	s := startServer(t)
	j := mustOpen(t, filepath.Join(t.TempDir(), "journal"), s.storage(testBucket, testAccess, testSecret), false)
	defer j.Close()
	fill(t, j, 400)
	r, err := j.Archive(t.Context(), 300, segments)
	if err != nil {
		t.Fatal(err)
	}
	hit := r.Segments[1]
	file, err := os.OpenFile(s.file(hit.Name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := make([]byte, 1)
	if _, err := file.ReadAt(b, 200); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := file.WriteAt(b, 200); err != nil {
		t.Fatal(err)
	}
	damage := func(wantSequence uint64) {
		t.Helper()
		_, err := j.Verify(t.Context(), 0, 0, nil)
		refused(t, err, fault.Corrupt, hit.Name)
		var found *journal.CorruptError
		if !errors.As(err, &found) || found.Sequence != wantSequence || found.Key != hit.Name {
			t.Fatalf("want event %d of %s: %v", wantSequence, hit.Name, err)
		}
	}
	damage(hit.First)
	if _, err := j.Verify(t.Context(), 300, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.file(hit.Name)); err != nil {
		t.Fatal(err)
	}
	damage(hit.First)
}

// TestServerRefuses goes with keys and a bucket that are wrong.
func TestServerRefuses(t *testing.T) {
	s := startServer(t)
	dir := filepath.Join(t.TempDir(), "journal")
	good := s.storage(testBucket, testAccess, testSecret)
	j := mustOpen(t, dir, good, false)
	fill(t, j, 100)
	if _, err := j.Archive(t.Context(), 50, segments); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		storage *Storage
		text    string
	}{
		"secret": {s.storage(testBucket, testAccess, "wrong"), accessVariable},
		"access": {s.storage(testBucket, "nobody", testSecret), accessVariable},
		"bucket": {s.storage("not-there", testAccess, testSecret), "the bucket does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			j := mustOpen(t, dir, c.storage, false)
			defer j.Close()
			_, _, err := j.Event(10)
			refused(t, err, fault.Invalid, c.text)
			_, err = j.Verify(t.Context(), 0, 0, nil)
			refused(t, err, fault.Invalid, c.text)
			_, err = j.Archive(t.Context(), 70, segments)
			refused(t, err, fault.Invalid, c.text)
			_, err = c.storage.List(t.Context())
			refused(t, err, fault.Invalid, c.text)
			if _, _, err := j.Event(60); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestServerObjects exercises the storage itself: an object stays what it was.
func TestServerObjects(t *testing.T) {
	s := startServer(t)
	storage := s.storage(testBucket, testAccess, testSecret)
	put := func(text string) error {
		return storage.Put(t.Context(), "a.segment", func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
	}
	_, err := storage.Size(t.Context(), "a.segment")
	refused(t, err, fault.Corrupt, "alys/node-1/a.segment", "missing")
	refused(t, storage.ReadAt(t.Context(), "a.segment", make([]byte, 1), 0), fault.Corrupt, "missing")
	if err := errors.Join(put("0123456789"), put("0123456789")); err != nil {
		t.Fatal(err)
	}
	refused(t, put("0123456789a"), fault.Invalid, "a.segment", "bytes")
	refused(t, put("0123456788"), fault.Invalid, "a.segment", "SHA-256")
	broken := errors.New("broken")
	err = storage.Put(t.Context(), "b.segment", func(w io.Writer) error {
		_, _ = io.WriteString(w, "x")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	p := make([]byte, 4)
	if err := storage.ReadAt(t.Context(), "a.segment", p, 3); err != nil || string(p) != "3456" {
		t.Fatalf("%q: %v", p, err)
	}
	refused(t, storage.ReadAt(t.Context(), "a.segment", p, 8), fault.Corrupt, "shorter")
	refused(t, storage.ReadAt(t.Context(), "a.segment", p, 80), fault.Corrupt, "shorter")
	if size, err := storage.Size(t.Context(), "a.segment"); err != nil || size != 10 {
		t.Fatal(size, err)
	}
	if names, err := storage.List(t.Context()); err != nil || len(names) != 1 || names[0] != "a.segment" {
		t.Fatal(names, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refused(t, storage.ReadAt(ctx, "a.segment", p, 0), fault.Temporary)
	// Two that race: the loser learns that the winner's object is its own.
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("0123456788"); err != nil {
		t.Fatal(err)
	}
	if err := storage.send(t.Context(), "a.segment", f, 10); answer(err).StatusCode != 412 {
		t.Fatalf("a second put without a look: %v", err)
	}
}
