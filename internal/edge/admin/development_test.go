package admin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Every call reaches its function with what was asked for, and its error comes back.
func TestDevelopment(t *testing.T) {
	type made struct {
		What string `json:"what"`
		To   string `json:"to"`
		N    uint64 `json:"n"`
	}
	refuse := errors.Join(fault.New(fault.Invalid, "nobody pays this out"), ErrRefused)
	client, _ := serve(t, shortDir(t), Handlers{Development: Development{
		Faucet:     func(context.Context) (any, error) { return made{What: "faucet"}, nil },
		Mine:       func(_ context.Context, n int) (any, error) { return made{"mine", "", uint64(n)}, nil },
		Reorganise: func(_ context.Context, n int) (any, error) { return made{"reorg", "", uint64(n)}, nil },
		Deposit: func(_ context.Context, to string, n uint64) (any, error) {
			return made{"deposit", to, n}, nil
		},
		PegOut: func(_ context.Context, to string, n uint64) (any, error) {
			if n == 0 {
				return nil, refuse
			}
			return made{"out", to, n}, nil
		},
	}})
	ctx := t.Context()
	var got made
	for name, test := range map[string]struct {
		call func() error
		want made
	}{
		"faucet":  {func() error { return client.Faucet(ctx, &got) }, made{What: "faucet"}},
		"mine":    {func() error { return client.Mine(ctx, 6, &got) }, made{"mine", "", 6}},
		"reorg":   {func() error { return client.Reorganise(ctx, -3, &got) }, made{"reorg", "", 1<<64 - 3}},
		"deposit": {func() error { return client.Deposit(ctx, "0xab", 1<<63, &got) }, made{"deposit", "0xab", 1 << 63}},
		"peg-out": {func() error { return client.PegOut(ctx, "bcrt1", 7, &got) }, made{"out", "bcrt1", 7}},
	} {
		got = made{}
		if err := test.call(); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if err := client.PegOut(ctx, "bcrt1", 0, &got); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "nobody pays") {
		t.Errorf("refused: %v", err)
	}
}

// A node with a real Bitcoin node offers none of it.
func TestDevelopmentIsNotOffered(t *testing.T) {
	client, _ := serve(t, shortDir(t), Handlers{})
	ctx := t.Context()
	for name, err := range map[string]error{
		"faucet": client.Faucet(ctx, nil), "mine": client.Mine(ctx, 1, nil), "reorg": client.Reorganise(ctx, 1, nil),
		"deposit": client.Deposit(ctx, "0x", 1, nil), "peg-out": client.PegOut(ctx, "x", 1, nil),
	} {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "not offered") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
