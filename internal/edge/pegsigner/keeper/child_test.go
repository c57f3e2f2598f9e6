package keeper_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// child serves until it is killed.
func child(path, socket string) int {
	fail := func(err error) int {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var keys [][33]byte
	var own *pegsigner.Secret
	for n := uint32(3); n > 0; n-- {
		secret, err := pegsigner.DevSecret(n)
		if err != nil {
			return fail(err)
		}
		own, keys = secret, append([][33]byte{secret.PublicKey()}, keys...)
	}
	f, err := peg.NewFederation(keys)
	if err != nil {
		return fail(err)
	}
	_, missing := os.Stat(path)
	l, err := keeper.OpenLog(path, own.PublicKey(), missing != nil)
	if err != nil {
		return fail(err)
	}
	k, err := keeper.New(own, keeper.Options{Federation: f, Log: l, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fail(err)
	}
	listener, err := keeper.ListenUnix(context.Background(), socket)
	if err != nil {
		return fail(err)
	}
	return fail(k.Serve(context.Background(), listener, nil))
}

func newKeeper(t testing.TB, l *keeper.Log) *keeper.Keeper {
	t.Helper()
	k, err := keeper.New(secretOf(t, 1), keeper.Options{Federation: federation(t), Log: l, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// contextUntil ends with a channel.
func contextUntil(t *testing.T, ended <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
