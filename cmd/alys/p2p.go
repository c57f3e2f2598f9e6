package main

import (
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal"
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
	return ask(cc, s, peersRecord, func(c *admin.Client, a *A) error { return c.Peers(cc.Context, q.name, q.ask, a) }, q.stored)
}

// peersRecord is the record of peers of the data directory.
var peersRecord = openModel[*peers.Store]{
	name: "record of peers", dir: node.PeersDir,
	open: func(s *settings, j *journal.Journal, dir string, build func(position, durable uint64)) (*peers.Store, error) {
		if build == nil {
			return peers.Open(j, peers.Options{Dir: dir, ReadOnly: true, Logger: s.log})
		}
		return peers.Open(j, peers.Options{Dir: dir, Logger: s.log, BatchBytes: 32 << 20, Progress: build})
	},
}
