package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

func TestExitCode(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"nothing":        {nil, exitOK},
		"usage":          {usage("no"), exitUsage},
		"ungraded":       {errors.New("no"), exitUsage},
		"fatal":          {fault.New(fault.Fatal, "no"), exitUsage},
		"absent":         {journal.ErrAbsent, exitUsage},
		"temporary":      {fault.New(fault.Temporary, "no"), exitNotReady},
		"cannot judge":   {fault.New(fault.CannotJudge, "no"), exitNotReady},
		"locked":         {fmt.Errorf("open: %w", journal.ErrLocked), exitNotReady},
		"not running":    {fmt.Errorf("dial: %w", admin.ErrNotRunning), exitNotReady},
		"interrupted":    {fmt.Errorf("replay: %w", context.Canceled), exitNotReady},
		"corrupt":        {fmt.Errorf("open: %w", &journal.CorruptError{Sequence: 7}), exitDamaged},
		"divergence":     {fmt.Errorf("recovering: %w", &replay.Divergence{Sequence: 7}), exitDamaged},
		"differs":        {errDiffers, exitDamaged},
		"refused":        {errors.Join(fault.New(fault.Invalid, "no"), node.ErrRefused), exitRefused},
		"refused, close": {errors.Join(errors.Join(fault.New(fault.Invalid, "no"), node.ErrRefused), errors.New("close")), exitRefused},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%s: code %d, want %d", name, got, test.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	if got := describe(errors.Join(errors.New("a"), errors.New("b"))); got != "a; b" {
		t.Errorf("two errors: %q", got)
	}
	d := &replay.Divergence{Sequence: 7, Differences: []replay.Difference{{Field: "note", Stored: "a", Replayed: "b"}}}
	if got := describe(d); strings.Count(got, "\n") < 3 {
		t.Errorf("divergence: %q", got)
	}
}

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"Root": "root", "ChainSpec": "chain_spec", "BuildWaitMs": "build_wait_ms", "ChainID": "chain_id", "AuxPow": "aux_pow", "HTTPAddr": "http_addr", "": "",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A payload is JSON whatever is in it, and holds every byte unless it is clipped.
func TestPayloadIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data")
		m := &message.BlockRefused{
			Root: common.BytesToHash(data), Number: rapid.Uint64().Draw(t, "number"),
			Reason: rapid.String().Draw(t, "reason"), Field: string(data),
		}
		for _, v := range []any{m, &message.Block{Signed: record.NewContent(data), Fees: data}, []any{nil, m}, (*message.BlockID)(nil)} {
			for _, limit := range []int{0, shownBytes} {
				if raw := payloadJSON(v, limit); !json.Valid(raw) {
					t.Fatalf("no JSON: %s", raw)
				}
			}
		}
		var back struct{ Fees string }
		if err := json.Unmarshal(payloadJSON(&message.Block{Fees: data}, 0), &back); err != nil || !bytes.Equal(common.FromHex(back.Fees), data) {
			t.Fatalf("%x came back as %s: %v", data, back.Fees, err)
		}
	})
}
