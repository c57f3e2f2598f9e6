package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/logging"
	"github.com/AnduroProject/alys-go/internal/progress"
)

// progressAfter is how long a job runs before its progress is shown: one that
// takes a moment needs none.
const progressAfter = time.Second

// job shows the progress of one long job on stderr.
type job struct {
	name, unit string
	from       uint64
	w          io.Writer
	log        *slog.Logger
	begun      time.Time
	shown      *progress.Job
}

// startJob returns a job that counts unit from a position on. Its lines appear
// at every log level: they are not the log.
func startJob(cc *cli.Context, s *settings, name, unit string, from uint64) *job {
	return &job{
		name: name, unit: unit, from: from, begun: time.Now(),
		w: cc.App.ErrWriter, log: newLog(cc.App.ErrWriter, logging.NewLevels(slog.LevelInfo), s.Log.Format),
	}
}

// set tells the state; it is for one goroutine.
func (j *job) set(u progress.Update) {
	if j.shown == nil {
		if time.Since(j.begun) < progressAfter {
			return
		}
		j.shown = progress.Start(j.name, progress.Options{Writer: j.w, Logger: j.log, Unit: j.unit, From: j.from})
	}
	j.shown.Set(u)
}

// stop ends the display; it may be called twice.
func (j *job) stop() {
	if j.shown != nil {
		j.shown.Stop()
	}
}
