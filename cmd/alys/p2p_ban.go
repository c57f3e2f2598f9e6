package main

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func p2pBanCommand() *cli.Command {
	return &cli.Command{
		Name: "ban", Usage: "have the running node not talk to a peer or an IP address (kept in the journal)",
		Description: `The connections end at once. A ban holds for members of the federation too: without
them a quorum may be missing. Exit code 4 when the node will not.

Examples:
  alys p2p ban --address 203.0.113.7 --for 24h --reason "floods us"
  alys p2p ban --peer 12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust --reason "its operator asked for it" --json`,
		Flags: append(append(readFlags(), whomFlags()...),
			&cli.DurationFlag{Name: "for", Usage: "`DURATION`, in whole seconds; for ever unless given"},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			jsonFlag),
		Action: p2pBan,
	}
}

func p2pUnbanCommand() *cli.Command {
	return &cli.Command{
		Name: "unban", Usage: "end a ban of a peer or an IP address",
		Description: `What led to a ban by score is forgiven. Exit code 4 when there is no such ban.

Examples:
  alys p2p unban --address 203.0.113.7
  alys p2p unban --peer 12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust --json`,
		Flags:  append(append(readFlags(), whomFlags()...), jsonFlag),
		Action: p2pUnban,
	}
}

// banResult is what `alys p2p ban` and `unban` print with --json.
type banResult struct {
	Peer    string `json:"peer,omitempty"`
	Address string `json:"address,omitempty"`
	Banned  bool   `json:"banned"`
	Seconds uint64 `json:"seconds,omitempty"` // absent for ever
	Reason  string `json:"reason,omitempty"`
}

func whomFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "peer", Usage: "the peer with this `ID`"},
		&cli.StringFlag{Name: "address", Usage: "everybody at this IP `ADDRESS`"},
	}
}

// banned is whom the flags name.
func banned(cc *cli.Context) (r banResult, err error) {
	r.Peer, r.Address, err = node.CheckBan(cc.String("peer"), cc.String("address"))
	return r, err
}

func p2pBan(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	r, err := banned(cc)
	if err != nil {
		return err
	}
	r.Banned, r.Reason = true, cc.String("reason")
	if err := node.CheckReason(r.Reason); err != nil {
		return fmt.Errorf("--reason: %w", err)
	}
	if d := cc.Duration("for"); cc.IsSet("for") {
		if d < time.Second || d%time.Second != 0 {
			return fault.New(fault.Invalid, "--for %s: give whole seconds, one or more", d)
		}
		r.Seconds = uint64(d / time.Second)
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BanPeer(cc.Context, r.Peer, r.Address, r.Seconds, r.Reason); err != nil {
		return err
	}
	return outcome(cc, r, func(w io.Writer) { printf(w, "%s is banned\n", r.Peer+r.Address) })
}

func p2pUnban(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	r, err := banned(cc)
	if err != nil {
		return err
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.UnbanPeer(cc.Context, r.Peer, r.Address); err != nil {
		return err
	}
	return outcome(cc, r, func(w io.Writer) { printf(w, "%s is not banned any more\n", r.Peer+r.Address) })
}
