package progress

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vbauerster/mpb/v8"
)

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// TestLog runs a job of 20 s on the test's clock: a line every 8 s, also while
// the job stalls, and one at the end.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		j := Start("replay", Options{Writer: &out, Logger: textLogger(&out), Unit: "seq", From: 1000})
		time.Sleep(50 * time.Millisecond) // no update falls on a line
		for i := range 100 {
			time.Sleep(100 * time.Millisecond)
			j.Set(Update{Done: 1000 + uint64(i+1)*50, Total: 7000, Bytes: int64(i+1) * 4096, Height: 77})
		}
		time.Sleep(9950*time.Millisecond + time.Millisecond)
		j.Stop()
		j.Stop()
		time.Sleep(time.Minute)
		want := `level=INFO msg=replay seq=4950 total=7000 percent=70.7 height=77 bytes=323584 rate=494 window_seconds=8 left_seconds=4
level=INFO msg=replay seq=6000 total=7000 percent=85.7 height=77 bytes=409600 rate=312 window_seconds=16 left_seconds=3
level=INFO msg=replay seq=6000 total=7000 percent=85.7 height=77 bytes=409600 rate=250 window_seconds=20 result=stopped seconds=20
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNothingToWriteTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := Start("x", Options{Every: time.Second})
		time.Sleep(time.Minute)
		j.Set(Update{Done: 1})
		if n, err := j.Write([]byte("text\n")); n != 5 || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		j.Stop()
	})
}

// TestBar draws on a buffer of 100 columns.
func TestBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, drawn safeBuffer
		j := Start("verify", Options{
			Writer: &out, Unit: "seq",
			screen: []mpb.ContainerOption{mpb.WithOutput(&drawn), mpb.WithAutoRefresh(), mpb.WithWidth(100), mpb.WithRefreshRate(time.Second)},
		})
		j.Set(Update{Done: 500, Total: 1000})
		time.Sleep(1500 * time.Millisecond)
		if _, err := j.Write([]byte("a log line\n")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		j.Set(Update{Done: 1000, Total: 1000})
		j.Stop()
		screen := drawn.String()
		for _, want := range []string{"[=========>----------]", "a log line\n", "verify seq=500/1,000 50.0% rate=250/s window=2s left≈2s"} {
			if !strings.Contains(screen, want) {
				t.Errorf("the terminal lacks %q:\n%q", want, screen)
			}
		}
		if got, want := out.String(), "verify done: seq=1,000/1,000 100.0% in 2.5s rate=400/s\n"; got != want {
			t.Errorf("summary %q, want %q", got, want)
		}
		if n, err := j.Write([]byte("later\n")); n != 6 || err != nil || !strings.HasSuffix(out.String(), "later\n") {
			t.Errorf("Write after Stop: %d, %v", n, err)
		}
	})
}

// sizeless is a terminal that does not know its size.
type sizeless struct{ safeBuffer }

func (*sizeless) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
func (*sizeless) IsTerminal() bool                    { return true }
func (*sizeless) GetTermSize() (w, h int, err error)  { return 0, 0, nil }
func (*sizeless) Flush(int) error                     { return nil }

func TestTerminalWithoutSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		j := Start("x", Options{
			Writer: io.Discard, Logger: textLogger(&out),
			screen: []mpb.ContainerOption{mpb.WithConsoleWriter(&sizeless{})},
		})
		time.Sleep(9 * time.Second)
		j.Stop()
		if got, want := out.String(), "level=INFO msg=x done=0 rate=0 window_seconds=8\n"; got != want {
			t.Errorf("log %q, want %q", got, want)
		}
	})
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestConcurrent uses every method from many goroutines, for the race detector.
func TestConcurrent(t *testing.T) {
	var drawn safeBuffer
	j := Start("x", Options{
		Writer: &drawn,
		screen: []mpb.ContainerOption{mpb.WithOutput(&drawn), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond)},
	})
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for i := range 1000 {
				j.Set(Update{Done: uint64(i), Total: 1000})
				if i%100 == 0 {
					_, _ = j.Write([]byte("line\n"))
				}
			}
			j.Stop()
		})
	}
	users.Wait()
	if !strings.Contains(drawn.String(), "x stopped: done=") {
		t.Errorf("no summary:\n%s", drawn.String())
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, w := range []io.Writer{nil, (*os.File)(nil), new(bytes.Buffer), null, file} {
		if IsTerminal(w) {
			t.Errorf("%v is no terminal", w)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	j := Start("x", Options{})
	defer j.Stop()
	b.ReportAllocs()
	var u Update
	for b.Loop() {
		u.Done++
		j.Set(u)
	}
}

func ExampleStart() {
	job := Start("verify", Options{Writer: os.Stderr, Logger: slog.New(slog.DiscardHandler), Unit: "seq"})
	defer job.Stop()
	for seq := range uint64(1000) {
		job.Set(Update{Done: seq + 1, Total: 1000})
	}
}
