package main

import (
	"encoding/hex"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func federationCommand() *cli.Command {
	return &cli.Command{
		Name: "federation", Usage: "make a federation; its members, its deposit address, and this member's key",
		Description: `What follows from the chain specification, without a running node, and a trial of
this member's signer.`,
		Subcommands: []*cli.Command{federationInitCommand(), federationMembersCommand(), federationQuorumCommand(), federationAddressCommand(), federationDryRunCommand()},
	}
}

// federationFlags are the flags of a command that reads a chain specification.
func federationFlags(groups ...config.Group) []cli.Flag {
	return append(config.Flags(append(groups, config.Chain, config.Log)...), jsonFlag)
}

// chainOf reads the chain specification that the settings name.
func chainOf(s *settings) (*spec.Chain, *peg.Federation, error) {
	c := spec.Dev()
	if !s.Dev {
		if s.ChainSpec == "" {
			return nil, nil, usage("give the chain specification with --chain-spec, or --dev")
		}
		data, err := os.ReadFile(s.ChainSpec)
		if err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, err, "chain-spec")
		}
		if c, _, err = spec.Parse(data); err != nil {
			return nil, nil, err
		}
	}
	f, err := peg.NewFederation(c.FederationKeys)
	return c, f, err
}

// federationCommandOf is a command that prints what follows from a specification.
func federationCommandOf(name, short, long string, groups []config.Group, run func(cc *cli.Context, s *settings, c *spec.Chain, f *peg.Federation) error) *cli.Command {
	return &cli.Command{
		Name: name, Usage: short, Description: long, Flags: federationFlags(groups...),
		Action: func(cc *cli.Context) error {
			s, err := readSettings(cc)
			if err != nil {
				return err
			}
			c, f, err := chainOf(s)
			if err != nil {
				return err
			}
			return run(cc, s, c, f)
		},
	}
}

// memberResult is one member in `alys federation members --json`.
type memberResult struct {
	Index     int    `json:"index"`
	Key       string `json:"federation_key"`
	Authority string `json:"authority,omitempty"`
	Fees      string `json:"fees,omitempty"` // account on the sidechain
}

func federationMembersCommand() *cli.Command {
	return federationCommandOf("members", "list the members: federation key, authority, account for fees",
		`The three lists of the chain specification side by side, in its order. The
deposit address depends on the order of the federation keys.

Examples:
  alys federation members --chain-spec chain.json
  alys federation members --chain-spec chain.json --json`, nil,
		func(cc *cli.Context, _ *settings, c *spec.Chain, f *peg.Federation) error {
			list := make([]memberResult, max(len(f.Keys), len(c.Authorities), len(c.Federation)))
			for i := range list {
				list[i].Index = i
				if i < len(f.Keys) {
					list[i].Key = hex.EncodeToString(f.Keys[i][:])
				}
				if i < len(c.Authorities) {
					list[i].Authority = hex.EncodeToString(c.Authorities[i][:])
				}
				if i < len(c.Federation) {
					list[i].Fees = c.Federation[i].Hex()
				}
			}
			return outcome(cc, list, func(w io.Writer) {
				for _, m := range list {
					printf(w, "%-3d %s  authority %.16s…  fees %s\n", m.Index, m.Key, m.Authority, m.Fees)
				}
			})
		})
}

// quorumResult is what `alys federation quorum --json` prints.
type quorumResult struct {
	Members   int    `json:"members"`
	Threshold int    `json:"threshold"`
	MayFail   int    `json:"may_fail"` // members without which payments are signed still
	Script    string `json:"script"`
	Control   string `json:"control_block"`
}

func federationQuorumCommand() *cli.Command {
	return federationCommandOf("quorum", "show how many members a payment needs, and the script that says so",
		`Two thirds of the members, rounded up. The script and the control block are the
last two items of every payment's witness.

Examples:
  alys federation quorum --chain-spec chain.json
  alys federation quorum --dev --json`, nil,
		func(cc *cli.Context, _ *settings, _ *spec.Chain, f *peg.Federation) error {
			r := quorumResult{
				Members: len(f.Keys), Threshold: f.Threshold, MayFail: len(f.Keys) - f.Threshold,
				Script: hex.EncodeToString(f.Script), Control: hex.EncodeToString(f.ControlBlock),
			}
			return outcome(cc, r, func(w io.Writer) {
				printf(w, "%d of %d members sign a payment; %d may be away\nscript        %s\ncontrol block %s\n", r.Threshold, r.Members, r.MayFail, r.Script, r.Control)
			})
		})
}

// addressResult is what `alys federation address --json` prints.
type addressResult struct {
	Address string `json:"address"`
	Network string `json:"network"`
	Script  string `json:"script_pubkey"`
}

func federationAddressCommand() *cli.Command {
	return federationCommandOf("address", "show the deposit address that a chain specification gives",
		`Computed from the keys alone: it says nothing of whether the chain runs. Users get
the address from a node that is synced. The form is that of bitcoin.network.

Examples:
  alys federation address --chain-spec chain.json --bitcoin.network mainnet
  alys federation address --dev --json`, []config.Group{config.Bitcoin},
		func(cc *cli.Context, s *settings, _ *spec.Chain, f *peg.Federation) error {
			r, err := addressOf(s, f)
			if err != nil {
				return err
			}
			return outcome(cc, r, func(w io.Writer) { printf(w, "%s\n%s, script %s\n", r.Address, r.Network, r.Script) })
		})
}

func addressOf(s *settings, f *peg.Federation) (addressResult, error) {
	address, err := f.Address(bitcoinNetwork(s.Bitcoin.Network))
	return addressResult{Address: address, Network: s.Bitcoin.Network, Script: hex.EncodeToString(f.ScriptPubKey)}, err
}

// dryRunResult is what `alys federation dry-run --json` prints.
type dryRunResult struct {
	PublicKey string `json:"public_key"`
	Member    int    `json:"member"`
	Members   int    `json:"members"`
	Threshold int    `json:"threshold"`
	Source    string `json:"source"`
	Address   string `json:"address"`
	Network   string `json:"network"`
}

func federationDryRunCommand() *cli.Command {
	return federationCommandOf("dry-run", "have this member's signer sign something that can be no payment, and discard it",
		`Signs a random challenge under a tag that no transaction has, verifies the
signature with the member's key and throws it away. Uses the key or the signer
process of the settings, as alys node does: run it beside the node, or before.

Examples:
  alys federation dry-run --chain-spec chain.json --federation-key-file federation.key
  alys federation dry-run --config alys.toml --json`, []config.Group{config.Federation, config.Bitcoin},
		func(cc *cli.Context, s *settings, _ *spec.Chain, f *peg.Federation) error {
			r, err := dryRun(cc, s, f)
			if err != nil {
				return err
			}
			return outcome(cc, r, func(w io.Writer) {
				printf(w, "signed and discarded by %s\nkey       %s\nmember    %d of %d, %d sign a payment\naddress   %s (%s)\n",
					r.Source, r.PublicKey, r.Member, r.Members, r.Threshold, r.Address, r.Network)
			})
		})
}

func dryRun(cc *cli.Context, s *settings, f *peg.Federation) (r dryRunResult, err error) {
	makeIt, err := federationSigner(s, cc.App.ErrWriter)
	if s.Dev {
		makeIt, err = developmentSigner()
	}
	switch {
	case err != nil:
		return r, err
	case makeIt == nil:
		return r, usage("the settings name no federation key: give --federation-key-file or --federation-signer")
	}
	signer, err := makeIt(f)
	if err != nil {
		return r, err
	}
	defer func() { _ = signer.Close() }()
	member, err := pegsigner.Member(f, signer.PublicKey())
	if err != nil {
		return r, err
	}
	if err := pegsigner.DryRun(cc.Context, signer); err != nil {
		return r, err
	}
	at, err := addressOf(s, f)
	public := signer.PublicKey()
	return dryRunResult{
		PublicKey: hex.EncodeToString(public[:]), Member: member, Members: len(f.Keys), Threshold: f.Threshold,
		Source: sourceOf(s), Address: at.Address, Network: at.Network,
	}, err
}

// sourceOf says where the key is.
func sourceOf(s *settings) string {
	switch {
	case s.Dev:
		return "the development key"
	case s.Federation.Signer != "":
		return "the signer at " + s.Federation.Signer
	case s.Federation.KeyFile != "":
		return "the key of " + s.Federation.KeyFile
	default:
		return "the key of " + s.Origin("federation-key").String()
	}
}
