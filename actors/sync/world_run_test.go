package sync_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

var seeds = flag.Int("seeds", 60, "how many worlds TestAmongAnyPeers makes")

type answerer = func(*world, *peer, *message.FetchRange) ([]made, string, int64)

// wicked are the peers that do wrong, and what each may be blamed for.
var wicked = []struct {
	name   string
	answer answerer
	blame  []string // none: there is nothing to blame it for
}{
	{"silent", silent, []string{message.ActTimeout}},
	{"drip", drip, []string{message.ActSlow}},
	{"forged", forged, []string{message.ActForged}},
	{"grafted", grafted, []string{message.ActForged}},
	{"gappy", gappy, []string{message.ActGap}},
	{"disordered", disordered, []string{message.ActOrder, message.ActGap}},
	{"generous", generous, []string{message.ActUnwanted}},
	{"liar", honest, []string{message.ActStaleHead}},
	{"lossy", lossy, []string{message.ActReset}},
}

// Among any peers one honest one is enough: the head is reached in bounded time, no block is
// handed on before its parent, the window holds, and the honest are never blamed.
func TestAmongAnyPeers(t *testing.T) {
	for seed := range uint64(*seeds) {
		w, goodNames, target := randomWorld(seed)
		reached := w.run(20*60_000, func() bool { return w.chain.head == target || len(w.broken) > 0 })
		if !reached || len(w.broken) > 0 {
			t.Fatalf("seed %d: head %d of %d after %d ms with %v\n%s\n%s", seed, w.chain.head.Number, target.Number, w.now, names(w), strings.Join(w.broken, "\n"), tail(w.log.String()))
		}
		for _, name := range goodNames {
			if bad := slices.DeleteFunc(w.blamed[name], func(k string) bool { return k == message.ActRange }); len(bad) > 0 {
				t.Errorf("seed %d: honest %s is blamed for %v\n%s", seed, name, bad, tail(w.log.String()))
			}
		}
		for name, kinds := range w.blamed {
			for _, k := range wicked {
				if !strings.HasPrefix(name, k.name) {
					continue
				}
				for _, kind := range kinds {
					if kind != message.ActRange && !slices.Contains(k.blame, kind) {
						t.Errorf("seed %d: %s is blamed for %s", seed, name, kind)
					}
				}
			}
		}
	}
}

func randomWorld(seed uint64) (w *world, good []string, target message.BlockID) {
	r := rand.New(rand.NewPCG(seed, 2))
	height := 100 + r.Uint64N(6000)
	ours := grow('A', nil, 0, height, true)
	start, final := r.Uint64N(height/2), uint64(0)
	final = r.Uint64N(start + 1)
	w = newWorld(seed, ours.id(start), ours.id(final), ours)
	if r.IntN(4) == 0 { // our head is on a branch that the others left
		stale := grow('S', ours, final, start+r.Uint64N(20), true)
		w = newWorld(seed, stale.head(), ours.id(final), stale)
	}
	w.chain.perBlock = r.Int64N(4)
	w.start()
	for i := range 1 + r.IntN(3) {
		p := &peer{name: fmt.Sprintf("honest%d", i), has: ours, answer: honest, member: i + 1}
		if r.IntN(3) == 0 {
			p.most = 1 + r.IntN(50)
		}
		w.add(p)
		good = append(good, p.name)
	}
	for i := range r.IntN(6) {
		k := wicked[r.IntN(len(wicked))]
		p := &peer{name: fmt.Sprintf("%s%d", k.name, i), has: ours, answer: k.answer}
		if k.name == "liar" {
			p.tells = height * 1000
		}
		w.add(p)
	}
	if r.IntN(3) == 0 {
		w.add(&peer{name: "legacy", legacy: true, has: ours, answer: single})
		good = append(good, "legacy")
	}
	if r.IntN(3) == 0 {
		w.add(&peer{name: "flapping", flaps: true, has: ours, answer: honest})
	}
	if r.IntN(3) == 0 {
		w.add(&peer{name: "behind", has: grow('A', nil, 0, height/3, true), answer: honest})
		good = append(good, "behind")
	}
	for range r.IntN(3) {
		w.after(r.Int64N(20_000), w.restart)
	}
	return w, good, ours.head()
}

func names(w *world) (list []string) {
	for _, p := range w.order() {
		list = append(list, p.name)
	}
	return list
}

func tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// What the core itself takes of a processor for each block of a download.
func BenchmarkDownload(b *testing.B) {
	const height = 20_000
	ours := grow('A', nil, 0, height, true)
	b.ReportAllocs()
	for b.Loop() {
		w := newWorld(1, ours.id(0), ours.id(0), ours)
		w.chain.perBlock = 0
		w.start()
		for i := range 4 {
			w.add(&peer{name: fmt.Sprint("p", i), has: ours, answer: plain})
		}
		if !w.run(10*60_000, func() bool { return w.chain.head.Number == height }) {
			b.Fatal("the head is not reached")
		}
	}
	b.ReportMetric(float64(height*b.N)/b.Elapsed().Seconds(), "blocks/s")
}
