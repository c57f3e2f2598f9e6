package main

import (
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"
)

// settings is what a command that reads a data directory needs.
type settings struct {
	dataDir string
	log     *slog.Logger
}

func readFlags() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "data-dir", Value: "alys-data", EnvVars: []string{"ALYS_DATA_DIR"}}}
}

func readSettings(cc *cli.Context) (*settings, error) {
	return &settings{
		dataDir: cc.String("data-dir"),
		log:     slog.New(slog.NewTextHandler(cc.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, nil
}

type bar struct{}

func (s *settings) progress(string) *bar { return &bar{} }

func (*bar) set(done, total uint64, bytes int64, height uint64) {}
func (*bar) stop()                                              {}

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
