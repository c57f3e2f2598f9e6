package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/projections/peers"
)

func p2pCommand() *cli.Command {
	return &cli.Command{
		Name: "p2p", Usage: "the network of nodes: see peers, their scores and bans, ban and unban",
		Description: `Peers are judged by what they do: docs/peer-scores.md has what each act weighs. The
commands that read ask the running node, or read the files of a stopped one.`,
		Subcommands: []*cli.Command{p2pPeersCommand(), p2pBansCommand(), p2pBanCommand(), p2pUnbanCommand()},
	}
}

// peersQuestion is one question that both a running node and the files of a stopped one
// answer.
type peersQuestion[Q, A any] struct {
	name   string // at the control socket
	ask    Q
	stored func(*peers.Store) (A, error)
}

// answer asks the running node, or else the record of the data directory.
func (q peersQuestion[Q, A]) answer(cc *cli.Context, s *settings) (a A, running bool, err error) {
	client, err := admin.Dial(s.dataDir)
	if err == nil {
		defer client.Close()
		return a, true, client.Peers(cc.Context, q.name, q.ask, &a)
	}
	if !errors.Is(err, admin.ErrNotRunning) {
		return a, false, err
	}
	err = withRecord(cc, s, func(r *peers.Store) error {
		a, err = q.stored(r)
		return err
	})
	return a, false, err
}

// withRecord calls f with the record of peers of a stopped node. One that is not level with
// the journal, as after a crash, is built beside it and removed afterwards.
func withRecord(cc *cli.Context, s *settings, f func(*peers.Store) error) (err error) {
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if !src.live {
		stored, err := peers.Open(src.journal, peers.Options{Dir: node.PeersDir(s.dataDir), ReadOnly: true, Logger: s.log})
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
	dir, err := os.MkdirTemp("", "alys-peers-*")
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "directory for the record of peers")
	}
	defer func() {
		err = errors.Join(err, fault.Wrap(fault.Temporary, os.RemoveAll(dir), "removing the record of peers"))
	}()
	job := startJob(cc, s, "record of peers", "events", 0)
	defer job.stop()
	r, err := peers.Open(src.journal, peers.Options{
		Dir: filepath.Join(dir, "peers"), Logger: s.log, BatchBytes: 32 << 20,
		Progress: func(position, durable uint64) { job.set(progress.Update{Done: position, Total: durable}) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.Advance(cc.Context); err != nil {
		return err
	}
	return f(r)
}
