package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// awaySigner fails as it is told.
type awaySigner struct {
	pegsigner.Signer
	err error
}

func (a awaySigner) Sign(context.Context, *pegsigner.Payment) ([][64]byte, error) { return nil, a.err }

func payoutRequest(t *testing.T, f *peg.Federation) *message.SignPayout {
	t.Helper()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{1}}, Sequence: 0xfffffffd})
	tx.AddTxOut(wire.NewTxOut(90_000, []byte{0, 2, 1, 1}))
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	return &message.SignPayout{
		Txid: tx.TxHash(), Number: 4, Raw: record.NewContent(raw.Bytes()),
		Spent: []message.SpentOutput{{Amount: 100_000, Script: f.ScriptPubKey}},
	}
}

// The edge signs what the journal asks for, and answers everything else with a grade
// that the bridge actor can act on.
func TestPegSignerEdge(t *testing.T) {
	f, err := peg.NewFederation(spec.Dev().FederationKeys)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := pegsigner.DevSecret(1)
	if err != nil {
		t.Fatal(err)
	}
	local, err := pegsigner.NewLocal(secret, f)
	if err != nil {
		t.Fatal(err)
	}
	var held bool
	var refuse atomic.Uint64
	var lines bytes.Buffer
	m := payoutRequest(t, f)
	stored := map[[32]byte][]byte{m.Raw.Hash: m.Raw.Data}
	edge := &pegSignerEdge{
		signer: local, federation: f, log: slog.New(slog.NewTextHandler(&lines, nil)), refuseThrough: &refuse, held: func() bool { return held },
		content: func(c record.Content) ([]byte, error) {
			if c.Data != nil {
				return c.Data, nil
			}
			if data, ok := stored[c.Hash]; ok {
				return data, nil
			}
			return nil, errors.New("no such content")
		},
	}
	ask := func(ctx context.Context, m core.Message) (answer core.Message) {
		edge.Execute(ctx, actors.Request{Ref: core.Ref{Sequence: 10}, Message: m, Reply: func(a core.Message) { answer = a }})
		return answer
	}
	signed := func(when string) {
		t.Helper()
		a, ok := ask(t.Context(), m).(*message.PayoutSigned)
		if !ok || a.Txid != m.Txid || len(a.Signatures) != 1 || edge.now() != "" {
			t.Fatalf("%s: %+v, trouble %q", when, a, edge.now())
		}
	}
	refused := func(when string, grade fault.Grade, want string) {
		t.Helper()
		a, ok := ask(t.Context(), m).(*message.PayoutRefused)
		if !ok || a.Txid != m.Txid || fault.Grade(a.Grade) != grade || !strings.Contains(a.Reason, want) || edge.now() == "" {
			t.Fatalf("%s: %+v, trouble %q; want %v with %q", when, a, edge.now(), grade, want)
		}
	}
	signed("whole")
	m.Raw.Data = nil
	signed("after a restart, its content in the journal")
	held = true
	refused("held", fault.CannotJudge, "signing is held")
	held = false
	refuse.Store(10)
	refused("asked for before the hold", fault.CannotJudge, "signing is held")
	refuse.Store(9)
	signed("asked for after the hold")
	edge.signer = awaySigner{local, fault.New(fault.Temporary, "the signer is away")}
	lines.Reset()
	refused("away", fault.Temporary, "away")
	refused("still away", fault.Temporary, "away")
	if n := strings.Count(lines.String(), "payment is not signed"); n != 1 {
		t.Errorf("%d lines for one trouble:\n%s", n, lines.String())
	}
	edge.signer = nil
	refused("no key", fault.CannotJudge, "no federation key")
	edge.signer = local
	m.Spent[0].Script = []byte{0x51}
	refused("a coin of others", fault.Invalid, "no coin of the federation")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	m.Spent[0].Script = f.ScriptPubKey
	if a := ask(stopped, m); a != nil {
		t.Errorf("a node that stops answers %+v: the request must stay pending", a)
	}
	if a := ask(t.Context(), &message.FollowBitcoin{}); a != nil {
		t.Errorf("another effect is answered with %+v", a)
	}
}
