package progress

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Options say where and how a job is shown.
type Options struct {
	// Writer is where a terminal would be, usually os.Stderr; nil for none.
	Writer io.Writer
	// Logger takes the lines when Writer is no terminal or one without a size;
	// nil for none. Lines have level info.
	Logger *slog.Logger
	// Unit names what is counted; empty means "done".
	Unit string
	// From is what Done counts from, such as the sequence a replay begins
	// after: the rate of a resumed job starts there.
	From uint64
	// Every is the time between log lines; 0 means 8 s.
	Every time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// screen replaces the terminal in tests.
	screen []mpb.ContainerOption
}

// Job is one long job being shown. Create it with [Start]; all methods are safe
// for use by many goroutines.
type Job struct {
	name string
	opt  Options

	mu      sync.Mutex
	meter   *meter
	stopped bool

	blind     atomic.Bool   // the terminal has no size, so no bar can be seen
	container *mpb.Progress // nil without a terminal
	bar       *mpb.Bar
	quit      chan struct{}
	ended     sync.WaitGroup
}

// Start shows a job until [Job.Stop]. On a terminal it draws at once, in a log
// the first line comes after Options.Every.
func Start(name string, o Options) *Job {
	if o.Unit == "" {
		o.Unit = "done"
	}
	if o.Every <= 0 {
		o.Every = 8 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	j := &Job{name: name, opt: o, quit: make(chan struct{})}
	j.meter = newMeter(o.Now(), o.From)
	if o.screen == nil && IsTerminal(o.Writer) {
		j.opt.screen = []mpb.ContainerOption{mpb.WithOutput(o.Writer), mpb.WithRefreshRate(250 * time.Millisecond)}
	}
	if j.opt.screen != nil {
		j.draw()
	}
	j.ended.Go(j.run)
	return j
}

// Set tells the state of the job.
func (j *Job) Set(u Update) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if u.Done < j.meter.last.Done {
		j.meter.set(u, j.opt.Now())
		return
	}
	j.meter.last = u
}

// Stop ends the display with a summary: "done", or "stopped" when a known total
// was not reached. Further calls do nothing.
func (j *Job) Stop() {
	j.mu.Lock()
	if j.stopped {
		j.mu.Unlock()
		return
	}
	j.stopped = true
	s, begun := j.meter.whole(j.opt.Now()), j.meter.begun.done
	j.mu.Unlock()

	close(j.quit)
	j.ended.Wait()
	switch {
	case j.container != nil:
		j.bar.Abort(true)
		j.container.Wait()
		_, _ = io.WriteString(j.opt.Writer, s.summary(j.name, j.opt.Unit, begun)+"\n")
	case j.opt.Logger != nil:
		result := "done"
		if s.Total > 0 && s.Done < s.Total {
			result = "stopped"
		}
		s.left = -1
		j.log(s, slog.String("result", result), slog.Float64("seconds", significant(s.span.Seconds())))
	}
}

// Write puts text, whole lines, above the bar, so that a log on the same
// terminal and the bar do not mix. Without a bar it goes to Options.Writer.
func (j *Job) Write(p []byte) (int, error) {
	if j.container != nil {
		if n, err := j.container.Write(p); err == nil {
			return n, nil
		}
	}
	if j.opt.Writer == nil {
		return len(p), nil
	}
	return j.opt.Writer.Write(p)
}

// run samples, and writes the log lines.
func (j *Job) run() {
	samples := time.NewTicker(sampling)
	defer samples.Stop()
	lines := time.NewTicker(j.opt.Every)
	defer lines.Stop()
	for {
		select {
		case <-j.quit:
			return
		case <-samples.C:
			j.mu.Lock()
			j.meter.tick(j.opt.Now())
			j.mu.Unlock()
		case <-lines.C:
			if (j.container == nil || j.blind.Load()) && j.opt.Logger != nil {
				j.log(j.state())
			}
		}
	}
}

func (j *Job) state() state {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.meter.state(j.opt.Now())
}

func (j *Job) log(s state, more ...slog.Attr) {
	j.opt.Logger.LogAttrs(context.Background(), slog.LevelInfo, j.name, append(s.attrs(j.opt.Unit), more...)...)
}

// draw puts the bar on the terminal. The bar asks for the state whenever it is
// drawn, so that Set need not talk to it.
func (j *Job) draw() {
	shape := mpb.BarStyle().Build()
	filler := mpb.BarFillerFunc(func(w io.Writer, stat decor.Statistics) error {
		s := j.state()
		if s.Total == 0 || stat.AvailableWidth < 10 {
			return nil
		}
		// A bar of 1000 steps: the counters are unsigned and may not fit.
		stat.Current, stat.Total = int64(s.percent*10), 1000
		return shape.Fill(w, stat)
	})
	text := decor.Any(func(stat decor.Statistics) string {
		j.blind.Store(stat.AvailableWidth <= 0) // pseudo-terminals of build services
		return j.state().line(j.name, j.opt.Unit)
	})
	container := mpb.New(j.opt.screen...)
	bar, err := container.Add(0, filler, mpb.BarWidth(22), mpb.AppendDecorators(text))
	if err != nil {
		return // only a container that has ended refuses; the job goes on unseen
	}
	j.container, j.bar = container, bar
}

// IsTerminal tells whether w is a terminal that can draw a bar.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || f == nil || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(info, null)
}
