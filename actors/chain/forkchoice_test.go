package chain_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// choice is C10 written down a second time: the head is the first block to reach
// its quorum above the height of the head.
type choice struct {
	head    string
	height  uint64
	stored  map[string]map[int]bool // approvals of known blocks
	heights map[string]uint64
	quorum  int
}

func (c *choice) approve(name string, by ...int) {
	for _, i := range by {
		c.stored[name][i] = true
	}
	if len(c.stored[name]) >= c.quorum && c.heights[name] > c.height {
		c.head, c.height = name, c.heights[name]
	}
}

// TestForkChoice delivers a random tree and random approvals in random order and
// compares the head with the second implementation after each step.
func TestForkChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const members = 4
		r := newRig(t, members, func(c *spec.Chain, m *message.NodeConfigured) { m.Producing, m.HasAuthority = false, false })
		want := choice{
			head: "genesis", quorum: r.spec.Quorum(), heights: map[string]uint64{},
			stored: map[string]map[int]bool{"genesis": {}},
		}
		parents, signers := map[string]string{}, map[string]int{}
		names := []string{"genesis"}
		for i := range rapid.IntRange(2, 12).Draw(t, "blocks") {
			name := fmt.Sprintf("b%d", i)
			signers[name] = rapid.IntRange(0, members-1).Draw(t, "author")
			parents[name] = rapid.SampledFrom(names).Draw(t, "parent")
			want.heights[name] = want.heights[parents[name]] + 1
			r.make(name, plan{parent: parents[name], seconds: 1 + uint64(i), by: []int{signers[name]}})
			names = append(names, name)
		}
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			name := rapid.SampledFrom(names[1:]).Draw(t, "block")
			switch known, parent := want.stored[name], want.stored[parents[name]]; {
			case rapid.Bool().Draw(t, "deliver"):
				r.receive(chain.Gossip, r.blocks[name])
				if known == nil && parent != nil {
					want.stored[name] = map[int]bool{}
					want.approve(name, signers[name])
				}
			default:
				by := rapid.IntRange(0, members-1).Draw(t, "by")
				root := r.blocks[name].Block.Root()
				r.send(chain.ID, &message.ApprovalReceived{Root: root, Authority: uint8(by), Signature: r.approval(root, by).Signature})
				if known != nil {
					want.approve(name, by)
				}
			}
			if got := r.name(r.state().Head.Root); got != want.head {
				t.Fatalf("head is %s, want %s\n%s", got, want.head, r.take())
			}
			checkInvariants(r)
		}
	})
}
