package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	protocol "github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/projections/peg"
)

const (
	// lifeEvery is how often the node is asked how far a peg is.
	lifeEvery = 200 * time.Millisecond
	// mineAgain is how long a payment that Bitcoin has waits for the node to see its
	// blocks, before one more is mined.
	mineAgain = 5 * time.Second
)

func devPegInCommand() *cli.Command {
	return &cli.Command{
		Name: "peg-in", Usage: "send a deposit of the faucet and follow it until it is minted",
		Description: `Mines the blocks that the deposit needs, and prints every state of its life.

Examples:
  alys dev peg-in --amount 0.5
  alys dev peg-in --amount 0.5 --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --until finalised
  alys dev peg-in --amount 0.5 --mine=false --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "amount", Usage: "`BTC` to deposit", Value: "1"},
			&cli.StringFlag{Name: "to", Usage: "`ACCOUNT` that is credited; the development account unless given"},
			&cli.StringFlag{Name: "until", Usage: "`STATE` to wait for: sent, seen, confirmed, minted or finalised", Value: "minted"},
			&cli.BoolFlag{Name: "mine", Usage: "mine the Bitcoin blocks that it takes", Value: true},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to wait", Value: 2 * time.Minute},
			jsonFlag),
		Action: devPegIn,
	}
}

func devPegOutCommand() *cli.Command {
	return &cli.Command{
		Name: "peg-out", Usage: "have the development account peg out and follow it until it is paid",
		Description: `Sends the transaction to the bridge contract, mines Bitcoin blocks once the payment
is broadcast, and prints every state of the request and of its payment.

Examples:
  alys dev peg-out --amount 0.05
  alys dev peg-out --amount 0.05 --to bcrt1q... --until requested
  alys dev peg-out --amount 0.05 --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "amount", Usage: "`BTC` to peg out", Value: "0.1"},
			&cli.StringFlag{Name: "to", Aliases: []string{"to-address"}, Usage: "Bitcoin `ADDRESS` that is paid; the faucet's unless given"},
			&cli.StringFlag{Name: "until", Usage: "`STATE` to wait for: sent, requested, proposed, finalised or confirmed", Value: "confirmed"},
			&cli.BoolFlag{Name: "mine", Usage: "mine the Bitcoin blocks that it takes", Value: true},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to wait", Value: 2 * time.Minute},
			jsonFlag),
		Action: devPegOut,
	}
}

// devPegResult is what both commands print with --json.
type devPegResult struct {
	Deposit *node.Deposit       `json:"deposit,omitempty"`
	Request *node.PegOutRequest `json:"request,omitempty"`
	Peg     *peg.Peg            `json:"peg,omitempty"`     // the deposit or request, with its history
	Payment *peg.Peg            `json:"payment,omitempty"` // of a request
}

// stages are the states in the order of a life, by the command that waits for one.
var (
	depositStages = []string{"sent", "seen", "confirmed", "queued", "proposed", "minted", "finalised"}
	requestStages = []string{"sent", "requested", "carried", "proposed", "finalised", "confirmed"}
)

// reached tells whether a state is the one waited for, or a later one.
func reached(stages []string, state, until string) bool {
	at, want := -1, -1
	for i, s := range stages {
		if s == state {
			at = i
		}
		if s == until {
			want = i
		}
	}
	return at >= want
}

// life follows deposits, requests and payments of a running node.
type life struct {
	client *admin.Client
	out    io.Writer // nil for --json
	told   map[string]int
	mine   bool
}

// followLife opens what both commands need.
func followLife(cc *cli.Context, stages []string) (*life, context.Context, context.CancelFunc, error) {
	known := false
	for _, s := range stages {
		known = known || s == cc.String("until")
	}
	if !known {
		return nil, nil, nil, usage("--until %q is none of %v", cc.String("until"), stages)
	}
	client, err := dialDevelopment(cc)
	if err != nil {
		return nil, nil, nil, err
	}
	l := &life{client: client, told: map[string]int{}, mine: cc.Bool("mine")}
	if !cc.Bool(jsonFlag.Name) {
		l.out = cc.App.Writer
	}
	ctx, cancel := context.WithTimeout(cc.Context, cc.Duration("timeout"))
	return l, ctx, func() { cancel(); client.Close() }, nil
}

func (l *life) say(format string, args ...any) {
	if l.out != nil {
		printf(l.out, format+"\n", args...)
	}
}

// look asks for one deposit, request or payment, and tells of what is new in its life. It
// is nil when the node has not seen it.
func (l *life) look(ctx context.Context, id string) (*peg.Peg, error) {
	var found peg.Found
	if err := l.client.Peg(ctx, "get", peg.Question{ID: id}, &found); err != nil {
		return nil, err
	}
	if len(found.Pegs) == 0 {
		return nil, nil
	}
	p := &found.Pegs[0]
	for _, c := range p.History[min(l.told[id], len(p.History)):] {
		bitcoin := ""
		if c.BitcoinTip > 0 {
			bitcoin = fmt.Sprintf(", bitcoin %d", c.BitcoinTip)
		}
		reason := ""
		if c.Reason != "" {
			reason = ": " + c.Reason
		}
		l.say("%-8s %-10s block %d%s%s", p.Kind, c.State, c.Height, bitcoin, reason)
	}
	l.told[id] = len(p.History)
	return p, nil
}

// wait calls done until it says so.
func (l *life) wait(ctx context.Context, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(lifeEvery)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fault.New(fault.Temporary, "%s: not there in time; alys peg show --id says how far it is", what)
		}
	}
}

func (l *life) mined(ctx context.Context, blocks uint64) error {
	if !l.mine || blocks == 0 {
		return nil
	}
	var mined node.RegtestBlocks
	if err := l.client.Mine(ctx, int(blocks), &mined); err != nil {
		return err
	}
	l.say("bitcoin  %-10s %d blocks, tip %d", "mined", blocks, mined.Height)
	return nil
}

func devPegIn(cc *cli.Context) error {
	l, ctx, cancel, err := followLife(cc, depositStages)
	if err != nil {
		return err
	}
	defer cancel()
	amount, err := protocol.ParseAmount(cc.String("amount"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--amount")
	}
	var faucet node.Faucet
	if err := l.client.Faucet(ctx, &faucet); err != nil {
		return err
	}
	to := cc.String("to")
	if to == "" {
		to = faucet.Account
	}
	var r devPegResult
	if err := l.client.Deposit(ctx, to, amount, &r.Deposit); err != nil {
		return err
	}
	l.say("deposit  %-10s %s: %s BTC for %s", "sent", r.Deposit.Txid, protocol.FormatAmount(amount), r.Deposit.Account)
	if err := l.mined(ctx, faucet.Confirmations); err != nil {
		return err
	}
	until := cc.String("until")
	if until != "sent" {
		err = l.wait(ctx, "deposit "+r.Deposit.Txid, func() (bool, error) {
			var err error
			if r.Peg, err = l.look(ctx, r.Deposit.Txid); err != nil || r.Peg == nil {
				return false, err
			}
			return reached(depositStages, r.Peg.State, until), l.dead(r.Peg, depositStages)
		})
		if err != nil {
			return err
		}
	}
	return outcome(cc, r, func(io.Writer) {})
}

// dead is an error for a peg whose life ended otherwise than asked for.
func (l *life) dead(p *peg.Peg, stages []string) error {
	if p.Done && !reached(stages, p.State, stages[0]) {
		return fault.New(fault.Invalid, "the %s is %s: %s", p.Kind, p.State, p.Reason)
	}
	return nil
}

func devPegOut(cc *cli.Context) error {
	l, ctx, cancel, err := followLife(cc, requestStages)
	if err != nil {
		return err
	}
	defer cancel()
	amount, err := protocol.ParseAmount(cc.String("amount"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--amount")
	}
	var faucet node.Faucet
	if err := l.client.Faucet(ctx, &faucet); err != nil {
		return err
	}
	to := cc.String("to")
	if to == "" {
		to = faucet.Faucet
	}
	var r devPegResult
	if err := l.client.PegOut(ctx, to, amount, &r.Request); err != nil {
		return err
	}
	l.say("request  %-10s %s: %s BTC to %s", "sent", r.Request.Transaction, protocol.FormatAmount(amount), to)
	if until := cc.String("until"); until != "sent" {
		if err := l.followRequest(ctx, &r, until, faucet.Payout); err != nil {
			return err
		}
	}
	return outcome(cc, r, func(w io.Writer) {
		if r.Peg != nil && r.Peg.State == "confirmed" {
			printf(w, "paid     %s BTC by %s, fee %s BTC\n", protocol.FormatAmount(r.Peg.Paid), r.Peg.Payment, protocol.FormatAmount(r.Peg.Amount-r.Peg.Paid))
		}
	})
}

// followRequest follows a request and its payment, and mines what the payment needs.
func (l *life) followRequest(ctx context.Context, r *devPegResult, until string, confirmations uint64) error {
	var again time.Time
	need := confirmations
	return l.wait(ctx, "request "+r.Request.Transaction, func() (bool, error) {
		var err error
		if r.Peg, err = l.look(ctx, r.Request.Transaction); err != nil || r.Peg == nil {
			return false, err
		}
		if r.Peg.Payment != "" {
			if r.Payment, err = l.look(ctx, r.Peg.Payment); err != nil {
				return false, err
			}
		}
		if p := r.Payment; p != nil && (p.State == "broadcast" || p.State == "mined") && time.Now().After(again) {
			if err := l.mined(ctx, need); err != nil {
				return false, err
			}
			again, need = time.Now().Add(mineAgain), 1
		}
		return reached(requestStages, r.Peg.State, until), l.dead(r.Peg, requestStages)
	})
}
