package peers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// book is a journal with the record of its peers.
type book struct {
	t       failer
	disk    vfs.FS
	journal *journal.Journal
	store   *Store
	time    int64
}

func newBook(t failer) *book {
	b := &book{t: t, disk: vfs.NewMem(), time: 1_700_000_000_000}
	var err error
	b.journal, err = journal.Open(journal.Options{FS: b.disk, Dir: "journal", Logger: quiet})
	must(t, err)
	b.open("peers")
	return b
}

func (b *book) open(dir string) {
	b.t.Helper()
	var err error
	b.store, err = Open(b.journal, Options{FS: b.disk, Dir: dir, Gather: -1, BatchBytes: 2048, Logger: quiet})
	must(b.t, err)
}

// tell writes one event of the network actor: its message, if any, and facts. A second passes.
func (b *book) tell(told core.Message, facts ...core.Message) {
	b.t.Helper()
	b.time += 1000
	e := &journal.Event{Sequence: b.journal.Head().Sequence + 1, Time: b.time, Actor: "network", Type: "peer_gone", Schema: 1, Stored: true}
	if told != nil {
		e.Type, e.Schema = told.Type(), told.Schema()
		e.Message, _ = record.Encode(told)
	}
	for _, f := range facts {
		raw, _ := record.Encode(f)
		e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: f.Type(), Schema: f.Schema(), Payload: raw})
	}
	_, err := b.journal.Append(e, nil)
	must(b.t, err)
}

func (b *book) level() {
	b.t.Helper()
	must(b.t, b.journal.WaitDurable(context.Background(), b.journal.Head().Sequence))
	must(b.t, b.store.Advance(context.Background()))
}

func (b *book) close() {
	b.t.Helper()
	must(b.t, b.store.Close())
	must(b.t, b.journal.Close())
}

func (b *book) peers(q Query) *List {
	b.t.Helper()
	b.level()
	q.Now = b.time
	l, err := b.store.Peers(q)
	must(b.t, err)
	return l
}

func dump(t failer, s *Store) (out []string) {
	t.Helper()
	must(t, s.store.View(func(r derived.Reader, _ derived.Position) error {
		return r.Scan([]byte{1}, []byte{0xff}, false, func(k, v []byte) bool {
			out = append(out, fmt.Sprintf("%q=%x", k, v))
			return true
		})
	}))
	return out
}

func block7() *message.BlockID { return &message.BlockID{Number: 7} }

func TestPeers(t *testing.T) {
	b := newBook(t)
	defer b.close()
	b.tell(nil, &message.PeerJoined{Peer: "legacy", Legacy: true, Address: "/ip4/1.1.1.1/tcp/1"})
	b.tell(&message.PeerConnected{Peer: "m1", Protocol: 3, Head: block7()}, &message.PeerJoined{Peer: "m1", HasAuthority: true, Authority: 1, Agent: "alys/1"})
	b.tell(nil, &message.PeerJoined{Peer: "full", Score: 5_000}, &message.PeerJoined{Peer: "gone"})
	b.tell(nil, &message.PeerJoined{Peer: "m1b", HasAuthority: true, Authority: 1})
	b.tell(&message.PeersReported{Peers: []message.PeerReport{{Peer: "full", Head: block7(), RttMs: 12}, {Peer: "nobody", Head: block7()}}},
		&message.PeerScored{Peer: "full", Score: -21_000, Acts: []message.PeerAct{{Kind: message.ActGap, Count: 1, Detail: "height 9"}}})
	b.tell(nil, &message.PeerScored{Peer: "full", Score: -22_000, Acts: []message.PeerAct{{Kind: message.ActGap, Count: 1, Detail: "height 10"}, {Kind: message.ActSpam, Count: 3}}})
	b.tell(nil, &message.PeerLeft{Peer: "gone", Reason: "closed", Score: 1})
	l := b.peers(Query{})
	if l.Connected != 4 || l.Members != 1 || l.Legacy != 1 || l.Known != 1 {
		t.Errorf("%+v", l)
	}
	var order []string
	for _, p := range l.Peers {
		order = append(order, p.Peer)
	}
	if want := []string{"m1b", "m1", "full", "legacy", "gone"}; !slices.Equal(order, want) {
		t.Errorf("%v", order)
	}
	if m := l.Peers[1]; m.Kind != "member" || *m.Authority != 1 || m.Head.Number != 7 || m.Protocol != 3 || m.Agent != "alys/1" {
		t.Errorf("%+v", m)
	}
	if f := l.Peers[2]; f.RttMs != 12 || f.Head == nil || f.Score != "-22.000" || len(f.Acts) != 2 || f.Acts[0].Count != 2 || f.Acts[0].Detail != "height 10" {
		t.Errorf("%+v", f)
	}
	if g := l.Peers[4]; g.Connected || g.Reason != "closed" || g.Left == "" {
		t.Errorf("%+v", g)
	}
	if l := b.peers(Query{Connected: true, Limit: 2}); len(l.Peers) != 2 || l.Connected != 4 {
		t.Errorf("%+v", l)
	}
	if _, err := b.store.Peers(Query{Limit: MaxLimit + 1}); err == nil {
		t.Error("a limit beyond the highest")
	}
}

// A score decays to the time of the question, and bans that are over are not told.
func TestTimePasses(t *testing.T) {
	b := newBook(t)
	defer b.close()
	b.tell(nil, &message.PeerJoined{Peer: "p"}, &message.PeerScored{Peer: "p", Score: -60_000})
	b.tell(nil, &message.PeerBanned{Peer: "p", Until: b.time + 600_000, Reason: "score"}, &message.PeerBanned{Address: "1.2.3.4", Reason: "no", Operator: true})
	b.level()
	bans, err := b.store.Bans(b.time)
	must(t, err)
	if len(bans.Bans) != 2 || bans.Bans[1].Peer != "p" || bans.Bans[0].Until != "for ever" || !bans.Bans[0].Operator {
		t.Errorf("%+v", bans)
	}
	p, err := b.store.Peer("p", b.time)
	must(t, err)
	if p.Banned == "" || p.Score != points(conduct.AfterBan) {
		t.Errorf("%+v", p)
	}
	if what := fmt.Sprint(p.History[0].What, p.History[1].What, p.History[2].What); what != "bannedscoredjoined" {
		t.Errorf("%s", what)
	}
	later := b.time + conduct.HalfLife
	bans, err = b.store.Bans(later)
	must(t, err)
	if len(bans.Bans) != 1 {
		t.Errorf("%+v", bans)
	}
	p, err = b.store.Peer("p", later)
	must(t, err)
	if p.Banned != "" || !strings.HasPrefix(p.Score, "-12.") {
		t.Errorf("%+v", p)
	}
	b.tell(nil, &message.PeerUnbanned{Address: "1.2.3.4", Operator: true})
	b.level()
	bans, err = b.store.Bans(later)
	must(t, err)
	if len(bans.Bans) != 0 {
		t.Errorf("%+v", bans)
	}
	if p, err := b.store.Peer("nobody", 0); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// The store stays bounded: histories, and peers that are not connected.
func TestBounds(t *testing.T) {
	b := newBook(t)
	defer b.close()
	b.tell(nil, &message.PeerJoined{Peer: "stays"})
	for i := range 3 * MaxHistory {
		b.tell(nil, &message.PeerScored{Peer: "stays", Score: int64(i), Acts: []message.PeerAct{{Kind: message.ActBlock, Count: 1}}})
	}
	const extra = 10
	for i := range (MaxKnown + extra) / 2 {
		id := fmt.Sprintf("%05d", i)
		b.tell(nil, &message.PeerJoined{Peer: "a" + id}, &message.PeerLeft{Peer: "a" + id}, &message.PeerJoined{Peer: "b" + id}, &message.PeerLeft{Peer: "b" + id})
	}
	if l := b.peers(Query{}); l.Known != MaxKnown || l.Connected != 1 {
		t.Errorf("%d known, %d connected", l.Known, l.Connected)
	}
	for id, want := range map[string]bool{"stays": true, "a00000": false, "b00004": false, "a00005": true} {
		p, err := b.store.Peer(id, b.time)
		must(t, err)
		if (p != nil) != want {
			t.Errorf("%s: %+v", id, p)
		}
	}
	p, err := b.store.Peer("stays", b.time)
	must(t, err)
	if len(p.History) != MaxHistory || p.History[0].Score != points(3*MaxHistory-1) || p.Acts[0].Count != 3*MaxHistory {
		t.Errorf("%d changes, the newest %+v, acts %+v", len(p.History), p.History[0], p.Acts)
	}
	for _, line := range dump(t, b.store) {
		if strings.Contains(line, "a00000") {
			t.Errorf("a forgotten peer left %s", line)
		}
	}
}

func someFacts(t *rapid.T) (out []core.Message) {
	for range rapid.IntRange(0, 4).Draw(t, "facts") {
		id := rapid.SampledFrom([]string{"a", "aa", "b", "c"}).Draw(t, "peer")
		score := rapid.Int64Range(conduct.Lowest, conduct.Highest).Draw(t, "score")
		out = append(out, rapid.SampledFrom([]core.Message{
			&message.PeerJoined{Peer: id, Score: score}, &message.PeerLeft{Peer: id, Score: score, Reason: "closed"},
			&message.PeerScored{Peer: id, Score: score, Acts: []message.PeerAct{{Kind: message.ActGap, Count: 1}}},
			&message.PeerBanned{Peer: id, Until: score}, &message.PeerUnbanned{Peer: id}, &message.PeerBanned{Address: id}, &message.PeerUnbanned{Address: id, Operator: true},
		}).Draw(t, "fact"))
	}
	return out
}

// However the journal is cut into batches and whenever the store is built again, it holds the
// same, and what it counts is what is there.
func TestFoldEqualsRebuild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(t)
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			var told core.Message
			if rapid.Bool().Draw(t, "report") {
				told = &message.PeersReported{Peers: []message.PeerReport{{Peer: "a", Head: block7()}, {Peer: "b", RttMs: 3}}}
			}
			b.tell(told, someFacts(t)...)
			if rapid.Bool().Draw(t, "level") {
				b.level()
			}
		}
		b.level()
		parts := dump(t, b.store)
		l := b.peers(Query{})
		must(t, b.store.Close())
		b.open("again")
		b.level()
		if whole := dump(t, b.store); !slices.Equal(parts, whole) {
			t.Fatalf("in parts\n%s\nat once\n%s", strings.Join(parts, "\n"), strings.Join(whole, "\n"))
		}
		left := 0
		for _, line := range parts {
			if strings.HasPrefix(line, `"l`) {
				left++
			}
		}
		if left != l.Known {
			t.Fatalf("%d keys of peers that left, %d peers", left, l.Known)
		}
		b.close()
	})
}
