package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func signerCommand() *cli.Command {
	return &cli.Command{
		Name: "signer", Usage: "hold a federation key in a process of its own",
		Description: `A signer signs payments for a node on this or another machine. It sees the whole
payment, computes what it signs by itself, and keeps a log of its own. See
docs/formats/signer.md.`,
		Subcommands: []*cli.Command{signerServeCommand(), signerLogCommand()},
	}
}

func signerServeCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "run the signer",
		Description: `Serves on a socket of this machine, or on an address with TLS, where both sides show
a certificate of your authority. Every payment is in the log, and the log on disk,
before its signature leaves. The log is needed as much as the key: a missing one is
refused unless --new-log says that the key never signed a payment.

Refused are fee rates and amounts beyond the limits; a payment that spends what
another signed payment spends, unless the node says that it replaces that one; a
second payment at one height that could confirm beside the first. The log line
says why; --allow TXID signs such a payment all the same. The node asks again.

Examples:
  alys signer serve --chain-spec chain.json --federation-key-file federation.key --log-file signed.log --socket /run/alys/signer.sock
  alys signer serve --chain-spec chain.json --federation-key-file federation.key --log-file signed.log --new-log \
    --listen 10.0.0.2:9700 --tls-cert signer.crt --tls-key signer.pem --tls-ca ca.crt --max-payment 500000000`,
		Flags: append(config.Flags(config.Chain, config.Federation, config.Log),
			&cli.StringFlag{Name: "socket", Usage: "`PATH` of the socket to serve on"},
			&cli.StringFlag{Name: "listen", Usage: "`HOST:PORT` to serve on with TLS"},
			&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` with the signer's certificate (PEM)"},
			&cli.StringFlag{Name: "tls-key", Usage: "`FILE` with its key (PEM)"},
			&cli.StringFlag{Name: "tls-ca", Usage: "`FILE` with the authority of the node's certificate (PEM)"},
			logFileFlag,
			&cli.BoolFlag{Name: "new-log", Usage: "make the log, for a key that never signed a payment"},
			&cli.Uint64Flag{Name: "min-fee-rate", Value: 1000, Usage: "least fee rate signed, `SATOSHI` for 1000 vbytes"},
			&cli.Uint64Flag{Name: "max-fee-rate", Value: 500_000, Usage: "highest fee rate signed, `SATOSHI` for 1000 vbytes"},
			&cli.Uint64Flag{Name: "max-payment", Usage: "most `SATOSHI` that one payment pays out; 0 for no limit"},
			&cli.Uint64Flag{Name: "max-period", Usage: "most `SATOSHI` that the payments of --period pay out; 0 for no limit"},
			&cli.DurationFlag{Name: "period", Value: 24 * time.Hour, Usage: "`TIME` that --max-period is for"},
			&cli.StringSliceFlag{Name: "allow", Usage: "`TXID` of a payment to sign against the rules about second spends and heights; repeat it for more"}),
		Action: signerServe,
	}
}

var logFileFlag = &cli.StringFlag{Name: "log-file", Usage: "`FILE` with the record of what was signed"}

func signerServe(cc *cli.Context) (err error) {
	s, err := nodeSettings(cc)
	if err != nil {
		return err
	}
	if s.Federation.Signer != "" {
		return usage("a signer holds the key itself: remove federation-signer (%s)", s.Origin("federation-signer"))
	}
	policy, err := signerPolicy(cc)
	if err != nil {
		return err
	}
	_, federation, err := chainOf(s)
	if err != nil {
		return err
	}
	if cc.String("log-file") == "" {
		return usage("name the log with --log-file")
	}
	secret, err := federationSecret(s, cc.App.ErrWriter)
	switch {
	case err != nil:
		return err
	case secret == nil && s.Dev:
		secret, err = pegsigner.DevSecret(1)
	case secret == nil:
		err = usage("the settings name no federation key: give --federation-key-file")
	}
	if err != nil {
		return err
	}
	defer secret.Zero()
	log, err := keeper.OpenLog(cc.String("log-file"), secret.PublicKey(), cc.Bool("new-log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if log.Cut > 0 {
		s.log.Warn("an unfinished last line of the log was cut off: its signature never left", "bytes", log.Cut)
	}
	k, err := keeper.New(secret, keeper.Options{Federation: federation, Policy: policy, Log: log, Software: "alys " + version, Logger: s.log})
	if err != nil {
		return err
	}
	l, secure, err := signerListen(cc)
	if err != nil {
		return err
	}
	printf(cc.App.Writer, "signer of key %x at %s, %d payments signed before\n", secret.PublicKey(), l.Addr(), len(log.Records))
	return k.Serve(cc.Context, l, secure)
}

func signerPolicy(cc *cli.Context) (keeper.Policy, error) {
	p := keeper.Policy{
		MinFeeRate: cc.Uint64("min-fee-rate"), MaxFeeRate: cc.Uint64("max-fee-rate"),
		MaxPayment: cc.Uint64("max-payment"), MaxPeriod: cc.Uint64("max-period"), Period: cc.Duration("period"),
		Allow: make(map[chainhash.Hash]bool),
	}
	switch {
	case p.MaxFeeRate == 0 || p.MinFeeRate > p.MaxFeeRate:
		return p, usage("--min-fee-rate %d and --max-fee-rate %d leave no fee rate", p.MinFeeRate, p.MaxFeeRate)
	case p.Period <= 0:
		return p, usage("--period is a time above zero, such as 24h")
	}
	for _, text := range cc.StringSlice("allow") {
		txid, err := chainhash.NewHashFromStr(text)
		if err != nil || len(text) != 2*chainhash.HashSize {
			return p, usage("--allow %.80q: a txid is 64 hex digits", text)
		}
		p.Allow[*txid] = true
	}
	return p, nil
}

// signerListen opens the one place that the flags name.
func signerListen(cc *cli.Context) (net.Listener, *tls.Config, error) {
	socket, address := cc.String("socket"), cc.String("listen")
	files := []string{cc.String("tls-cert"), cc.String("tls-key"), cc.String("tls-ca")}
	switch {
	case (socket == "") == (address == ""):
		return nil, nil, usage("serve on one of --socket and --listen")
	case socket != "" && (files[0] != "" || files[1] != "" || files[2] != ""):
		return nil, nil, usage("--tls-cert, --tls-key and --tls-ca are for --listen")
	case socket != "":
		l, err := keeper.ListenUnix(cc.Context, socket)
		return l, nil, err
	}
	secure, err := pegsigner.TLS(files[0], files[1], files[2])
	if err != nil {
		return nil, nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(cc.Context), "tcp", address)
	return l, secure, fault.Wrap(fault.Invalid, err, "--listen")
}

// signerLogResult is what `alys signer log --json` prints.
type signerLogResult struct {
	PublicKey string          `json:"public_key"`
	Payments  []keeper.Record `json:"payments"`
	Rest      int             `json:"unfinished_bytes,omitempty"`
}

func signerLogCommand() *cli.Command {
	return &cli.Command{
		Name: "log", Usage: "print what a signer signed",
		Description: `Reads and checks the log of a signer, which may be running.

Examples:
  alys signer log --log-file signed.log
  alys signer log --log-file signed.log --json`,
		Flags: append(config.Flags(config.Log), logFileFlag, jsonFlag),
		Action: func(cc *cli.Context) error {
			if cc.String("log-file") == "" {
				return usage("name the log with --log-file")
			}
			r := signerLogResult{Payments: []keeper.Record{}}
			public, records, rest, err := keeper.ReadLog(cc.String("log-file"))
			if err != nil {
				return err
			}
			r.PublicKey, r.Rest, r.Payments = public, rest, append(r.Payments, records...)
			return outcome(cc, r, func(w io.Writer) {
				printf(w, "key %s, %d payments\n", r.PublicKey, len(r.Payments))
				for i := range r.Payments {
					p := &r.Payments[i]
					printf(w, "%s  height %d  %s  pays %d, fee %d, %d inputs\n", time.UnixMilli(p.Time).UTC().Format(time.RFC3339), p.Number, p.Txid, p.Paid, p.Fee, len(p.Inputs))
				}
			})
		},
	}
}
