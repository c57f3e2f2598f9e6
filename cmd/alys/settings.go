package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/s3"
	"github.com/AnduroProject/alys-go/internal/logging"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// settings is what a command works with: the configuration and the log.
type settings struct {
	*config.Config
	dataDir string
	archive archive.Storage // of journal.archive; nil for the directory in the journal's
	levels  *logging.Levels
	log     *slog.Logger
}

// readFlags are the flags of a command that only reads a data directory.
func readFlags() []cli.Flag { return config.Flags(config.Data, config.Log) }

// nodeSettings loads the configuration of a command that runs a node.
func nodeSettings(cc *cli.Context) (*settings, error) {
	c, err := config.FromContext(cc, os.Environ())
	if err != nil {
		return nil, err
	}
	s := &settings{Config: c, dataDir: c.DataDir, levels: logging.NewLevels(c.Log.Level)}
	if err := s.levels.SetAll(c.Log.Actors); err != nil {
		return nil, err
	}
	s.log = newLog(cc.App.ErrWriter, s.levels, c.Log.Format)
	s.archive, err = archiveStorage(c)
	return s, err
}

// archiveStorage returns the storage that journal.archive names, nil when it
// names none.
func archiveStorage(c *config.Config) (archive.Storage, error) {
	if c.Journal.Archive == "" {
		return nil, nil
	}
	at, err := s3.Parse(c.Journal.Archive)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("journal.archive (%s)", c.Origin("journal.archive")))
	}
	storage, err := s3.New(at, s3.Options{
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		Scratch: c.DataDir,
	})
	if err != nil {
		return nil, err
	}
	return storage, nil
}

// readSettings loads the configuration of a command that prints a result: its
// log shows warnings unless a level was asked for.
func readSettings(cc *cli.Context) (*settings, error) {
	s, err := nodeSettings(cc)
	if err == nil && s.Origin("log.level").Layer == "default" {
		err = s.levels.Set("", slog.LevelWarn)
	}
	return s, err
}

func newLog(w io.Writer, levels *logging.Levels, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // JSON would show nanoseconds
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}
	if format == config.FormatJSON || format == config.FormatAuto && !progress.IsTerminal(w) {
		return slog.New(logging.New(slog.NewJSONHandler(w, o), levels))
	}
	return slog.New(logging.New(slog.NewTextHandler(w, o), levels))
}

// size writes a number of bytes for people.
func size(bytes int64) string {
	const unit = 1 << 10
	switch {
	case bytes < unit:
		return fmt.Sprintf("%d B", bytes)
	case bytes < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/unit)
	default:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(unit*unit))
	}
}
