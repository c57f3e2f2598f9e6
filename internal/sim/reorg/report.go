package reorg

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/snapshot"
)

// WriteReport prints what runs did: counts, depths of reorganisations and how
// often each action was done.
func WriteReport(w io.Writer, s *Stats, elapsed time.Duration) {
	fmt.Fprintf(w, "%d scenarios in %.1f s\n", s.Scenarios, elapsed.Seconds())
	fmt.Fprintf(w, "%d turns, %d blocks made, %d produced and %d approved by nodes, %d finalised ranges, %d starts, %d branches decided, %d conflicts of finality\n",
		s.Turns, s.Blocks, s.Produced, s.Approved, s.Finalised, s.Restarts, s.Decided, s.Conflicts)
	fmt.Fprintf(w, "%d blocks reverted, at most %d at once; reorganisations by depth:\n", s.Reverted, s.Deepest)
	for i, n := range s.Depths {
		if n > 0 {
			fmt.Fprintf(w, "  %5d to %-5d %d\n", 1<<i, 1<<(i+1)-1, n)
		}
	}
	fmt.Fprintln(w, "actions:")
	var verbs []string
	for verb := range s.Actions {
		verbs = append(verbs, verb)
	}
	slices.Sort(verbs)
	for _, verb := range verbs {
		fmt.Fprintf(w, "  %-9s %d\n", verb, s.Actions[verb])
	}
}

// Digest is a hash over every turn of every node.
func (r *Running) Digest() [32]byte {
	h := sha256.New()
	if r.world != nil {
		for _, n := range r.world.nodes {
			for _, e := range n.events {
				h.Write(e.raw)
			}
		}
	}
	return [32]byte(h.Sum(nil))
}

// StateSize is how many bytes the first node's chain actor has in a snapshot.
func (r *Running) StateSize() (size int) {
	if r.world == nil {
		return 0
	}
	for _, s := range r.world.nodes[0].machine.Freeze() {
		if s.Name == string(chain.ID) {
			size += sectionSize(s)
		}
	}
	return size
}

func sectionSize(s snapshot.Section) (size int) {
	_ = s.Walk(func(key, value []byte) error {
		size += len(key) + len(value)
		return nil
	})
	return size
}
