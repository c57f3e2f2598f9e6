package peg

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// someFacts draws the facts of one event: few txids, so that lives grow long and
// requests change their payments.
func someFacts(t *rapid.T) (out []core.Message) {
	small := rapid.Uint64Range(0, 30)
	for range rapid.IntRange(0, 4).Draw(t, "facts") {
		n := byte(rapid.IntRange(1, 6).Draw(t, "which"))
		state := func(k Kind) uint8 { return uint8(rapid.IntRange(1, len(States(k))).Draw(t, "state")) }
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0, 1:
			out = append(out, &message.PegInChanged{
				Txid: txid(n), State: state(Deposits), Amount: small.Draw(t, "amount"), Account: common.Address{byte(small.Draw(t, "account") / 8)}, Number: small.Draw(t, "number"),
				BitcoinHeight: small.Draw(t, "height"),
			})
		case 2, 3:
			m := &message.PegOutChanged{Transaction: common.Hash{n}, Log: uint32(small.Draw(t, "log") / 10), State: state(Requests), Amount: small.Draw(t, "amount"), Account: common.Address{n / 3}}
			if p := byte(rapid.IntRange(0, 3).Draw(t, "payment")); p > 0 {
				m.Payment, m.Output = txid(p), uint32(small.Draw(t, "output")/15)
			}
			out = append(out, m)
		case 4:
			out = append(out, &message.PaymentChanged{Txid: txid(n), State: state(Payments), Members: small.Draw(t, "members"), Fee: small.Draw(t, "fee")})
		case 5:
			out = append(out, &message.WalletChanged{Root: root(n), Number: small.Draw(t, "number"), Totals: &message.PegTotals{Coins: small.Draw(t, "coins")}})
		case 6:
			out = append(out, &message.BitcoinTipChanged{Height: small.Draw(t, "tip"), Hash: txid(n), NodeHeight: 30, Reverted: small.Draw(t, "left") / 10})
		case 7:
			out = append(out, &message.BlockConnected{Number: small.Draw(t, "number"), Timestamp: small.Draw(t, "time"), Carrier: n == 1}, &message.HeadChanged{Number: uint64(n)})
		case 8:
			out = append(out, &message.BlockReverted{Number: small.Draw(t, "number")})
		default:
			out = append(out, rapid.SampledFrom([]core.Message{
				&message.BitcoinLost{Reason: "away"}, &message.PegHalted{Reason: "deep"}, &message.PegResumed{}, &message.PegAlarm{Rule: "r", Txid: txid(n)}, &message.BlockFinalized{Number: uint64(n)},
			}).Draw(t, "other"))
		}
	}
	return out
}

// crashed cuts the power of the ledger: what was not synced is lost in part.
func (b *book) crashed(fs *vfs.MemFS, seed uint64) *vfs.MemFS {
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 7))})
	_ = b.ledger.Close() // of the machine that is gone; the clone was made before
	b.fs = clone
	b.openLedger()
	return clone
}

// Wherever the ledger was stopped, crashed, deleted or built again, it equals one that
// is folded from the journal at once; lists, counts and pages agree with the entries.
func TestFoldEqualsRebuild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		b := newBook(t, fs)
		b.tell(configured(t))
		must(t, b.journal.WaitDurable(ctx(), 1))
		past := map[uint64]memory{}
		t.Repeat(map[string]func(*rapid.T){
			"tell": func(t *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(t, "events") {
					b.tell(nil, someFacts(t)...)
				}
				must(t, b.journal.WaitDurable(ctx(), b.journal.Head().Sequence))
			},
			"fold": func(t *rapid.T) {
				_, err := b.ledger.store.Step(ctx())
				must(t, err)
			},
			"level": func(t *rapid.T) {
				b.level()
				past[b.journal.Durable().Sequence] = remember(t, b)
			},
			"crash": func(t *rapid.T) { fs = b.crashed(fs, rapid.Uint64().Draw(t, "seed")) },
			"reopen": func(t *rapid.T) {
				must(t, b.ledger.Close())
				b.openLedger()
			},
			"delete": func(t *rapid.T) {
				must(t, b.ledger.Close())
				must(t, b.fs.RemoveAll("peg"))
				b.openLedger()
			},
			"": func(*rapid.T) {},
		})
		b.level()
		fresh, err := Open(b.journal, Options{FS: vfs.NewMem(), Dir: "fresh", Logger: quiet})
		must(t, err)
		must(t, fresh.Advance(ctx()))
		if got, want := dump(t, b.ledger), dump(t, fresh); !slices.Equal(got, want) {
			t.Fatalf("the ledger has %d entries, one folded at once %d", len(got), len(want))
		}
		must(t, fresh.Close())
		agree(t, b)
		for then, m := range past {
			asThen(t, b, then, m)
		}
		b.close()
	})
}

// agree compares lists by state, counts and pages with the list of everything.
func agree(t *rapid.T, b *book) {
	s, err := b.ledger.Summary(0)
	must(t, err)
	for k := Deposits; k <= Payments; k++ {
		all := pages(t, b.ledger, Query{Kind: k.String(), Limit: MaxLimit})
		if got := pages(t, b.ledger, Query{Kind: k.String(), Limit: 1 + len(all)/3}); !slices.Equal(got, all) {
			t.Fatalf("pages give %v, at once %v", got, all)
		}
		forward := pages(t, b.ledger, Query{Kind: k.String(), Limit: 2, Forward: true})
		slices.Reverse(forward)
		if !slices.Equal(forward, all) {
			t.Fatalf("oldest first gives %v, newest first %v", forward, all)
		}
		for _, state := range States(k) {
			var want []string
			for _, p := range all {
				if strings.HasSuffix(p, " "+state) {
					want = append(want, p)
				}
			}
			if got := pages(t, b.ledger, Query{Kind: k.String(), State: state, Limit: 2}); !slices.Equal(got, want) {
				t.Fatalf("%s %s: %v, want %v", k, state, got, want)
			}
			if got := s.Counts[k.String()][state].Entries; got != uint64(len(want)) {
				t.Fatalf("%s %s: counted %d, want %d", k, state, got, len(want))
			}
		}
	}
}

// memory is what lists and sums were after an event.
type memory struct {
	lists   map[Kind][]string
	summary *Summary
}

// remember asks a ledger that is level.
func remember(t *rapid.T, b *book) memory {
	m := memory{lists: map[Kind][]string{}}
	for k := Deposits; k <= Payments; k++ {
		m.lists[k] = pages(t, b.ledger, Query{Kind: k.String(), Limit: MaxLimit})
	}
	var err error
	m.summary, err = b.ledger.Summary(0)
	must(t, err)
	return m
}

// asThen compares answers as of an event with what they were.
func asThen(t *rapid.T, b *book, then uint64, m memory) {
	for k := Deposits; k <= Payments; k++ {
		if got := pages(t, b.ledger, Query{Kind: k.String(), Limit: MaxLimit, AsOf: then}); !slices.Equal(got, m.lists[k]) {
			t.Fatalf("as of %d: %v, then it was %v", then, got, m.lists[k])
		}
	}
	s, err := b.ledger.Summary(then)
	must(t, err)
	if s.Wallet != m.summary.Wallet || s.Bitcoin.Height != m.summary.Bitcoin.Height || s.Bitcoin.Lost != m.summary.Bitcoin.Lost {
		t.Fatalf("as of %d: %+v, then it was %+v", then, s, m.summary)
	}
}

// pages reads a list to its end.
func pages(t failer, l *Ledger, q Query) (out []string) {
	t.Helper()
	for {
		page, err := l.List(q)
		must(t, err)
		for i := range page.Pegs {
			p := &page.Pegs[i]
			id := p.Txid
			if p.Log != nil {
				id = p.Transaction + "/" + string(rune('0'+*p.Log))
			}
			out = append(out, id[:6]+id[len(id)-2:]+" "+p.Changed+" "+p.Payment+" "+p.State)
		}
		if page.Cursor == "" {
			return out
		}
		q.Cursor = page.Cursor
	}
}

// The sums at a height of the head's branch, through a reorganisation.
func TestWalletAtHeight(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	at := func(n uint64, coins uint64) *message.WalletChanged {
		return &message.WalletChanged{Root: root(byte(n)), Number: n, Totals: &message.PegTotals{Coins: coins, Deposited: coins}}
	}
	b.tell(nil, at(3, 30))
	b.tell(nil, at(5, 50), at(7, 70))
	b.tell(nil, &message.BlockReverted{Number: 7}, &message.BlockReverted{Number: 6}, &message.BlockReverted{Number: 5}, at(5, 55))
	b.level()
	for height, want := range map[uint64]uint64{0: 0, 2: 0, 3: 30, 4: 30, 5: 55, 6: 55, 7: 55, 1 << 40: 55, ^uint64(0): 55} {
		w, _, err := b.ledger.WalletAt(height)
		if err != nil || w.Totals.Locked != want || want > 0 && !w.Totals.Exact() {
			t.Errorf("at %d: %d, want %d (%v)", height, w.Totals.Locked, want, err)
		}
	}
}

// A value that no Fold wrote has the ledger built again, not a wrong answer.
func TestDamagedValue(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	b.tell(nil, &message.PegInChanged{Txid: txid(1), State: message.PegInSeen})
	b.level()
	must(t, b.ledger.Close())
	d, err := derived.OpenDatabase(derived.DatabaseOptions{FS: b.fs, Dir: "peg/2-1", CacheBytes: 1 << 20, Name: "test", Logger: quiet})
	must(t, err)
	id := txid(1)
	must(t, d.DB().Set(keyID(Deposits, id[:]), []byte{1, 2, 3}, pebble.NoSync))
	must(t, d.Flush())
	must(t, d.Close())
	b.ledger, err = Open(b.journal, Options{FS: b.fs, Dir: "peg", Gather: -1, Logger: quiet})
	must(t, err)
	if _, err := b.ledger.Get(Question{ID: txid(1).String()}); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("%v", err)
	}
	running, cancel := context.WithCancel(ctx())
	done := make(chan error, 1)
	go func() { done <- b.ledger.Run(running) }()
	for deadline := time.Now().Add(time.Minute); b.ledger.Rebuilt() == 0 || b.ledger.Position() < b.journal.Durable().Sequence; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not built again")
		}
	}
	if p := b.get(txid(1).String()); p.State != "seen" {
		t.Errorf("built again: %+v", p)
	}
	cancel()
	must(t, <-done)
}
