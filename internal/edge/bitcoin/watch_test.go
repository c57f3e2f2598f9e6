package bitcoin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// watched is a watch on a clock of the test. Each pause runs the next of events; after the
// last one the context ends.
type watched struct {
	*Watch
	node   *scripted
	log    bytes.Buffer
	pauses []time.Duration
	events []func()
}

func newWatched(events ...func()) *watched {
	x := &watched{node: newScripted(5), events: events}
	at := time.Unix(1_700_000_000, 0)
	x.Watch = NewWatch(NewReader(x.node, deposits(3), "regtest"), slog.New(slog.NewTextHandler(&x.log, nil)))
	x.now = func() time.Time { return at }
	x.sleep = func(_ context.Context, d time.Duration) bool {
		at = at.Add(d)
		x.pauses = append(x.pauses, d)
		if len(x.events) == 0 {
			return false
		}
		x.events[0]()
		x.events = x.events[1:]
		return true
	}
	return x
}

func (x *watched) ask(t *testing.T, m *message.FollowBitcoin) string {
	t.Helper()
	followed, away := x.Follow(t.Context(), m)
	switch {
	case followed != nil && away != nil:
		t.Fatal("two answers")
	case followed != nil:
		return heights(followed)
	case away != nil:
		return fmt.Sprintf("away, %s: %s", fault.Grade(away.Grade), away.Reason)
	}
	return "nothing"
}

// A node that is away is told once, and asked again with longer pauses until it is back.
func TestWatchAway(t *testing.T) {
	x := newWatched()
	fail := func(text string) func() {
		return func() { x.node.err = fault.New(fault.Temporary, "%s", text) }
	}
	fail("not reached")()
	first := &message.FollowBitcoin{From: 4}
	if got := x.ask(t, first); got != "away, temporary: not reached" {
		t.Fatal(got)
	}
	// Other texts of the same kind are news a minute later only.
	for range 9 {
		x.events = append(x.events, fail("warming up 1"), fail("warming up 2"))
	}
	if got := x.ask(t, first); !strings.HasPrefix(got, "away, temporary: warming up") {
		t.Fatal(got)
	}
	var waited time.Duration
	for i, p := range x.pauses {
		waited += p
		if p > longestPause || i > 0 && p < x.pauses[i-1] {
			t.Errorf("pauses %s", x.pauses)
		}
	}
	if waited < tellAgain {
		t.Errorf("told after %s", waited)
	}
	// What an operator must mend is news at once.
	x.events = []func(){func() { x.node.err = fault.New(fault.Invalid, "wrong password") }}
	if got := x.ask(t, first); got != "away, invalid: wrong password" {
		t.Fatal(got)
	}
	if x.Trouble() != "wrong password" {
		t.Error(x.Trouble())
	}
	x.events = []func(){pauses, func() { x.node.err = nil }}
	if got := x.ask(t, first); got != "from none: 4 5 tip 5" || x.Trouble() != "" {
		t.Fatal(got)
	}
	if lines := strings.Count(x.log.String(), "\n"); lines != 4 {
		t.Errorf("%d lines of log:\n%s", lines, x.log.String())
	}
}

func pauses() {}

// Nothing is answered while there is nothing new.
func TestWatchWaits(t *testing.T) {
	x := newWatched()
	tip := x.node.id(5)
	m := &message.FollowBitcoin{Known: []message.BitcoinID{tip}, Tip: &tip}
	x.events = []func(){pauses, pauses, func() { x.node.extend() }}
	if got := x.ask(t, m); got != "from 5: 6 tip 6" {
		t.Error(got)
	}
	if len(x.pauses) != 3 || x.pauses[2] != pollEvery {
		t.Errorf("pauses %s", x.pauses)
	}
	x.events = nil
	top := x.node.id(6)
	if got := x.ask(t, &message.FollowBitcoin{Known: []message.BitcoinID{top, tip}, Tip: &top}); got != "nothing" {
		t.Errorf("after a stop: %s", got)
	}
}

// Fetching goes on while the node is away; what the node does not have is an answer.
func TestWatchFetch(t *testing.T) {
	x := newWatched()
	tx := payment(1, nil, deposits(3).ScriptPubKey)
	block := x.node.extend(tx)
	inside := 0
	enter := func() func() {
		inside++
		return func() { inside-- }
	}
	x.node.err = fault.New(fault.Temporary, "not reached")
	x.events = []func(){pauses, func() {
		if inside != 0 {
			t.Error("a place is held while waiting")
		}
		x.node.err = nil
	}}
	m := &message.FetchTransaction{Txid: tx.TxHash(), Block: block}
	if fetched, missing := x.Fetch(t.Context(), m, enter); fetched == nil || missing != nil || fetched.Height != 6 {
		t.Errorf("%+v %+v", fetched, missing)
	}
	if fetched, missing := x.Fetch(t.Context(), &message.FetchTransaction{Txid: chainhash.Hash{7}, Block: block}, enter); fetched != nil || missing == nil || missing.Reason == "" {
		t.Errorf("%+v %+v", fetched, missing)
	}
	x.node.err = fault.New(fault.Temporary, "not reached")
	if fetched, missing := x.Fetch(t.Context(), m, enter); fetched != nil || missing != nil {
		t.Errorf("after a stop: %+v %+v", fetched, missing)
	}
	if fetched, missing := x.Fetch(t.Context(), m, func() func() { return nil }); fetched != nil || missing != nil || inside != 0 {
		t.Errorf("without a place: %+v %+v", fetched, missing)
	}
}
