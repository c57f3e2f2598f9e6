package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// few are the behaviours of the fast suite: gossip that is no message, a signature that is
// none, and connections that are of no use. ALYS_BYZANTINE=all runs every one.
var few = []string{"junk", "forged-approval", "handshakes"}

// TestBehaviours lets hostile peers loose on nodes: what they do is counted, costs
// bounded memory and goroutines, and nobody else is served worse for it.
func TestBehaviours(t *testing.T) {
	w, err := newWorld(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	list := " " + strings.Join(few, " ") + " "
	for _, b := range behaviours() {
		if os.Getenv("ALYS_BYZANTINE") != "all" && !strings.Contains(list, " "+b.name+" ") {
			continue
		}
		o, err := run(t.Context(), w, b)
		if err != nil {
			t.Fatal(err)
		}
		if o.Failure != "" {
			t.Error(o)
		}
		t.Log(o)
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range behaviours() {
		if seen[b.name] {
			t.Errorf("two behaviours are called %s", b.name)
		}
		seen[b.name] = true
	}
	if len(seen) < 20 {
		t.Errorf("%d behaviours are too few", len(seen))
	}
}
