package chain_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// choice is C10 written down a second time, over everything that was learnt: the
// head is the first block to reach its quorum above the height of the head. A block
// counts once its ancestors are here, an approval whenever it came.
type choice struct {
	head      string
	height    uint64
	parents   map[string]string
	heights   map[string]uint64
	delivered map[string]bool
	approved  map[string]map[int]bool
	quorum    int
}

func (c *choice) here(name string) bool {
	for ; name != "genesis"; name = c.parents[name] {
		if !c.delivered[name] {
			return false
		}
	}
	return true
}

// heads returns the blocks that may be the head now: more than one only when
// several of the greatest height became complete at once.
func (c *choice) heads() []string {
	best, heads := c.height, []string{c.head}
	for name, height := range c.heights {
		if height < best || height == c.height || len(c.approved[name]) < c.quorum || !c.here(name) {
			continue
		}
		if height > best {
			best, heads = height, nil
		}
		heads = append(heads, name)
	}
	return heads
}

// TestForkChoice delivers a random tree and random approvals in random order, both
// before each other, and compares the head with the second implementation after
// each step.
func TestForkChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const members = 4
		r := newRig(t, members, func(c *spec.Chain, m *message.NodeConfigured) { m.Producing, m.HasAuthority = false, false })
		want := choice{
			head: "genesis", quorum: r.spec.Quorum(), parents: map[string]string{}, heights: map[string]uint64{},
			delivered: map[string]bool{}, approved: map[string]map[int]bool{},
		}
		signers := map[string]int{}
		names := []string{"genesis"}
		for i := range rapid.IntRange(2, 12).Draw(t, "blocks") {
			name := fmt.Sprintf("b%d", i)
			signers[name] = rapid.IntRange(0, members-1).Draw(t, "author")
			want.parents[name] = rapid.SampledFrom(names).Draw(t, "parent")
			want.heights[name] = want.heights[want.parents[name]] + 1
			want.approved[name] = map[int]bool{}
			r.make(name, plan{parent: want.parents[name], seconds: 1 + uint64(i), by: []int{signers[name]}})
			names = append(names, name)
		}
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			name := rapid.SampledFrom(names[1:]).Draw(t, "block")
			if rapid.Bool().Draw(t, "deliver") {
				want.delivered[name] = true
				want.approved[name][signers[name]] = true
				r.receive(chain.Gossip, r.blocks[name])
			} else {
				by := rapid.IntRange(0, members-1).Draw(t, "by")
				want.approved[name][by] = true
				root := r.blocks[name].Block.Root()
				r.send(chain.ID, &message.ApprovalReceived{Root: root, Authority: uint8(by), Signature: r.approval(root, by).Signature})
			}
			got, heads := r.name(r.state().Head.Root), want.heads()
			if !slices.Contains(heads, got) {
				t.Fatalf("head is %s, want one of %s\n%s", got, heads, r.take())
			}
			want.head, want.height = got, r.state().Head.Number
			checkInvariants(r)
		}
	})
}
