package main

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal/index"
)

// filterFlags say which events are wanted.
func filterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Uint64Flag{Name: "from", Usage: "first `SEQUENCE`"},
		&cli.Uint64Flag{Name: "to", Usage: "last `SEQUENCE`"},
		&cli.StringFlag{Name: "since", Usage: "first `TIME`: 2026-11-20T00:00:00Z, or Unix milliseconds"},
		&cli.StringFlag{Name: "until", Usage: "last `TIME`"},
		&cli.StringSliceFlag{Name: "actor", Usage: "only turns of this `ACTOR`"},
		&cli.StringSliceFlag{Name: "type", Usage: "only events whose message, or one of whose outputs, has this `TYPE`"},
		&cli.StringSliceFlag{Name: "fact", Usage: "only events that state a fact of this `TYPE`"},
		&cli.StringSliceFlag{Name: "height", Usage: "only events that tell of a block at this `HEIGHT`"},
		&cli.StringSliceFlag{Name: "block", Usage: "only events that tell of the block with this `HASH`"},
		&cli.StringSliceFlag{Name: "txid", Usage: "only the event that connects the block with the transaction of this `HASH`"},
	}
}

// filters makes a query of the flags.
func filters(cc *cli.Context) (q index.Query, err error) {
	q.From, q.To = cc.Uint64("from"), cc.Uint64("to")
	if q.To != 0 && q.From > q.To {
		return q, usage("--from %d is after --to %d", q.From, q.To)
	}
	if q.Since, err = moment(cc, "since"); err != nil {
		return q, err
	}
	if q.Until, err = moment(cc, "until"); err != nil {
		return q, err
	}
	if q.Until != 0 && q.Since > q.Until {
		return q, usage("--since %s is after --until %s", cc.String("since"), cc.String("until"))
	}
	one := func(t func(string) index.Term) func(string) (index.Any, error) {
		return func(value string) (index.Any, error) { return index.Any{t(value)}, nil }
	}
	for _, f := range []struct {
		name  string
		terms func(string) (index.Any, error)
	}{
		{"actor", one(index.Actor)}, {"fact", one(index.Fact)},
		{"type", func(value string) (index.Any, error) { return index.Type(value), nil }},
		{"height", func(value string) (index.Any, error) {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return nil, usage("--height %q is no height", value)
			}
			return index.Any{node.Height(n)}, nil
		}},
		{"block", hashFlag("block", node.BlockHash)}, {"txid", hashFlag("txid", node.Transaction)},
	} {
		var any index.Any
		for _, value := range cc.StringSlice(f.name) {
			terms, err := f.terms(value)
			if err != nil {
				return q, err
			}
			any = append(any, terms...)
		}
		if any != nil {
			q.All = append(q.All, any)
		}
	}
	return q, nil
}

// hashFlag reads a hash of 64 hexadecimal digits, with or without 0x.
func hashFlag(name string, term func(common.Hash) index.Term) func(string) (index.Any, error) {
	return func(value string) (index.Any, error) {
		b, err := hex.DecodeString(strings.TrimPrefix(value, "0x"))
		if err != nil || len(b) != common.HashLength {
			return nil, usage("--%s %q is no hash of 64 hexadecimal digits", name, value)
		}
		return index.Any{term(common.Hash(b))}, nil
	}
}

// moment reads a time as Unix milliseconds; 0 when the flag is not given.
func moment(cc *cli.Context, name string) (int64, error) {
	value := cc.String(name)
	if value == "" {
		return 0, nil
	}
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil && ms > 0 {
		return ms, nil
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || t.UnixMilli() <= 0 {
		return 0, usage("--%s %q is no time: write 2026-11-20T00:00:00Z, or Unix milliseconds", name, value)
	}
	return t.UnixMilli(), nil
}
