package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/projections/peers"
)

func p2pPeersCommand() *cli.Command {
	return &cli.Command{
		Name: "peers", Usage: "list peers with their scores, or show one with its history",
		Description: `Connected peers come first, and of them the members of the federation. With --known
also those that were met before. A score is in points, from -100 to 50.

Examples:
  alys p2p peers --data-dir /var/lib/alys
  alys p2p peers --known --limit 500 --json
  alys p2p peers --peer 12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "peer", Usage: "only the peer with this `ID`, with its history"},
			&cli.BoolFlag{Name: "known", Usage: "with those that are not connected"},
			&cli.IntFlag{Name: "limit", Usage: fmt.Sprintf("at most `N`, 1 to %d", peers.MaxLimit), Value: peers.DefaultLimit},
			jsonFlag),
		Action: p2pPeers,
	}
}

func p2pPeers(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	if cc.IsSet("peer") {
		return p2pPeer(cc, s, cc.String("peer"))
	}
	q := peers.Query{Connected: !cc.Bool("known"), Limit: cc.Int("limit")}
	l, running, err := peersQuestion[peers.Query, *peers.List]{"peers", q, func(r *peers.Store) (*peers.List, error) {
		q.Connected = false // nobody is connected to a stopped node
		return r.Peers(q)
	}}.answer(cc, s)
	if err != nil {
		return err
	}
	if !running {
		l.Stopped()
	}
	return outcome(cc, l, func(w io.Writer) { printPeers(w, l, running) })
}

func printPeers(w io.Writer, l *peers.List, running bool) {
	if !running {
		printf(w, "the node is stopped: %d peers are known\n", l.Known)
	} else {
		printf(w, "%d connected: %d members, %d legacy; %d known\n", l.Connected, l.Members, l.Legacy, l.Known)
	}
	if len(l.Peers) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "PEER\tKIND\tSTATE\tSCORE\tHEAD\tRTT\tADDRESS\tAGENT\n")
	for i := range l.Peers {
		p := &l.Peers[i]
		printf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Peer, peerKind(p), peerState(p), p.Score, peerHead(p), peerRTT(p), p.Address, p.Agent)
	}
	_ = t.Flush()
}

func peerKind(p *peers.Peer) string {
	if p.Authority != nil {
		return fmt.Sprintf("member %d", *p.Authority)
	}
	return p.Kind
}

func peerState(p *peers.Peer) string {
	switch {
	case p.Banned != "":
		return "banned"
	case !p.Connected:
		return "away"
	case p.Inbound:
		return "in"
	}
	return "out"
}

func peerHead(p *peers.Peer) string {
	if p.Head == nil {
		return "-"
	}
	return fmt.Sprint(p.Head.Number)
}

func peerRTT(p *peers.Peer) string {
	if p.RttMs == 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms", p.RttMs)
}

func p2pPeer(cc *cli.Context, s *settings, id string) error {
	p, running, err := peersQuestion[string, *peers.Peer]{"peer", id, func(r *peers.Store) (*peers.Peer, error) { return node.PeerOf(r, id) }}.answer(cc, s)
	if err != nil {
		return err
	}
	if !running {
		p.Connected = false
	}
	return outcome(cc, p, func(w io.Writer) { printPeer(w, p) })
}

func printPeer(w io.Writer, p *peers.Peer) {
	printf(w, "peer       %s\nkind       %s\nstate      %s\nscore      %s\n", p.Peer, peerKind(p), peerState(p), p.Score)
	for _, line := range []struct{ name, value string }{
		{"banned", p.Banned}, {"address", p.Address}, {"agent", p.Agent}, {"met", p.Met}, {"since", p.Since}, {"left", p.Left}, {"because", p.Reason},
	} {
		if line.value != "" {
			printf(w, "%-10s %s\n", line.name, line.value)
		}
	}
	if p.Head != nil {
		printf(w, "head       %d %s\n", p.Head.Number, p.Head.Root)
	}
	for _, a := range p.Acts {
		printf(w, "did        %s\n", actText(a))
	}
	for _, c := range p.History {
		text := c.What
		switch c.Until {
		case "":
		case "for ever":
			text += " for ever"
		default:
			text += " until " + c.Until
		}
		if c.Reason != "" {
			text += ": " + c.Reason
		}
		for _, a := range c.Acts {
			text += ", " + actText(a)
		}
		printf(w, "%s  %8s  %s\n", c.Time, c.Score, text)
	}
}

func actText(a peers.Act) string {
	text := fmt.Sprintf("%s ×%d", a.Kind, a.Count)
	if a.Detail != "" {
		text += " (" + strings.ReplaceAll(a.Detail, "\n", " ") + ")"
	}
	return text
}
