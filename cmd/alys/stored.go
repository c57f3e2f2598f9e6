package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// storedModel is a read model that is folded from a journal and kept on disk.
type storedModel interface {
	Position() uint64
	Advance(ctx context.Context) error
	Close() error
}

// openModel says how a stored read model is opened. With build it is folded anew, and
// progress is told; else it is read only.
type openModel[M storedModel] struct {
	name string // for people
	dir  func(dataDir string) string
	open func(s *settings, j *journal.Journal, dir string, build func(position, durable uint64)) (M, error)
}

// ask puts a question to the running node, or else to the read model of the data
// directory.
func ask[M storedModel, A any](cc *cli.Context, s *settings, model openModel[M], live func(*admin.Client, *A) error, stored func(M) (A, error)) (a A, running bool, err error) {
	client, err := admin.Dial(s.dataDir)
	if err == nil {
		defer client.Close()
		return a, true, live(client, &a)
	}
	if !errors.Is(err, admin.ErrNotRunning) {
		return a, false, err
	}
	err = model.with(cc, s, func(m M) error {
		a, err = stored(m)
		return err
	})
	return a, false, err
}

// with calls f with the read model of a stopped node. One that is not level with the
// journal, as after a crash, is built beside it and removed afterwards.
func (o openModel[M]) with(cc *cli.Context, s *settings, f func(M) error) (err error) {
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if !src.live {
		stored, err := o.open(s, src.journal, o.dir(s.dataDir), nil)
		switch {
		case err == nil && stored.Position() == src.journal.Durable().Sequence:
			return errors.Join(f(stored), stored.Close())
		case err == nil:
			err = stored.Close()
		case fault.Is(err, fault.CannotJudge) || fault.Is(err, fault.Corrupt):
			err = nil // there is none of use
		}
		if err != nil {
			return err
		}
	}
	return o.built(cc, s, src, f)
}

func (o openModel[M]) built(cc *cli.Context, s *settings, src *source, f func(M) error) (err error) {
	dir, err := os.MkdirTemp("", "alys-model-*")
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "directory for the "+o.name)
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Temporary, os.RemoveAll(dir), "removing the "+o.name)) }()
	job := startJob(cc, s, o.name, "events", 0)
	defer job.stop()
	m, err := o.open(s, src.journal, filepath.Join(dir, "model"), func(position, durable uint64) {
		job.set(progress.Update{Done: position, Total: durable})
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := m.Advance(cc.Context); err != nil {
		return err
	}
	return f(m)
}
