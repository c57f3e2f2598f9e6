package chain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// explorer makes random things happen to a rig.
type explorer struct {
	*rig
	t     *rapid.T
	made  int
	final uint64
	// follows: a decision was being carried out after the last turn.
	follows bool
}

// TestRandomRuns checks after every turn of random runs what must always hold,
// that every state survives a snapshot, and that a machine restored from one
// goes on with byte-identical events.
func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SampledFrom([]int{1, 3}).Draw(t, "members")
		x := &explorer{t: t, rig: newRig(t, members, func(c *spec.Chain, m *message.NodeConfigured) {
			c.MaxBlocksWithoutPow = 8
			c.Activations.Finality = rapid.SampledFrom([]uint64{0, 1, 4}).Draw(t, "finality")
			m.Judging = rapid.Bool().Draw(t, "judging")
			m.Authority = uint32(rapid.IntRange(0, members-1).Draw(t, "authority"))
		})}
		x.rig.t = t
		x.each = x.check
		actions := map[string]func(*rapid.T){
			"block": x.block, "again": x.again, "approve": x.approve, "mine": x.mine, "wait": x.pause,
			"trouble": x.trouble, "garbage": x.garbage,
			"restart": func(*rapid.T) { x.restart(nil) },
			"backup":  func(*rapid.T) { x.backup = x.restored() },
			"restore": x.goBack,
			"allow": func(*rapid.T) {
				x.send(chain.ID, &message.AllowSigning{Request: 1, Reason: "a test says so"})
			},
			"decide": x.decide,
			"snapshot": func(*rapid.T) {
				if x.twin == nil {
					x.twin = x.restored()
				}
			},
			"": func(*rapid.T) { x.restored() },
		}
		t.Repeat(actions)
		if x.failed > 0 {
			t.Fatalf("%d turns failed:\n%s", x.failed, x.take())
		}
	})
}

// check is called after every turn.
func (x *explorer) check() {
	checkInvariants(x.rig)
	s := x.state()
	if s.Finalized.Number < x.final && !x.follows {
		x.t.Fatalf("the finalised height fell from %d to %d", x.final, s.Finalized.Number)
	}
	x.final = s.Finalized.Number
	x.follows = s.Deciding != nil
}

// decide is an operator who has some block followed, sensible or not.
func (x *explorer) decide(t *rapid.T) {
	x.send(chain.ID, &message.DecideBranch{Request: 9, Root: x.blocks[x.pick(t, "branch")].Block.Root(), Reason: "a test says so", Keep: rapid.Bool().Draw(t, "keep")})
}

// goBack restores the backup. The rig goes on to know every signature, so one slot
// signed twice is found. A wall clock behind those signatures would defeat the
// node; an operator has set it right.
func (x *explorer) goBack(t *rapid.T) {
	if x.backup == nil {
		return
	}
	for slot := range x.signed {
		if start := int64(slot * x.spec.SlotDuration); start > x.wall {
			x.wall = start
		}
	}
	x.final = 0
	x.restore(rapid.SampledFrom([]string{"restore", "repair"}).Draw(t, "kind"), nil)
	// What was being executed in the backup may be a carrier of others, which ends the hold.
	if log := x.log.String(); x.state().Hold == nil && !strings.Contains(log[strings.LastIndex(log, "fact signing held"):], "fact signing released by carrier") {
		t.Fatalf("signing is not held after a restore\n%s", log)
	}
	x.backup = nil
}

func (x *explorer) pick(t *rapid.T, label string) string {
	last := len(x.order) - 1
	return x.order[last-min(rapid.IntRange(0, 9).Draw(t, label), last)]
}

// block makes a few blocks in a row, most of them good, on the head or elsewhere.
func (x *explorer) block(t *rapid.T) {
	parent := x.name(x.state().Head.Root)
	if rapid.IntRange(0, 2).Draw(t, "elsewhere") == 0 {
		parent = x.pick(t, "parent")
	}
	var made []*block.Signed
	for range rapid.IntRange(1, 4).Draw(t, "blocks") {
		x.made++
		name := fmt.Sprintf("b%d", x.made)
		made = append(made, x.make(name, x.plan(t, parent)))
		parent = name
	}
	if rapid.IntRange(0, 4).Draw(t, "late") > 0 {
		x.receive(rapid.SampledFrom([]string{chain.Gossip, chain.Sync, chain.Legacy}).Draw(t, "origin"), made...)
	}
}

func (x *explorer) plan(t *rapid.T, parent string) plan {
	p := plan{parent: parent, seconds: rapid.Uint64Range(1, 3).Draw(t, "seconds")}
	for i := range x.spec.Authorities {
		if rapid.IntRange(0, 5).Draw(t, "signs") > 0 {
			p.by = append(p.by, i)
		}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "txs") {
		p.txs = append(p.txs, transfer(uint64(i), 3))
	}
	switch rapid.IntRange(0, 15).Draw(t, "kind") {
	case 0:
		p.extra = "bad"
	case 1, 2, 3:
		p.carry = x.proof(p.parent)
	case 4:
		p.change = breakers[rapid.SampledFrom([]string{"number", "hash", "state", "payload", "pegouts"}).Draw(t, "wrong")]
	}
	return p
}

// proof is one for the open blocks of a branch, or nil when there are none.
func (x *explorer) proof(tip string) *block.AuxPowHeader {
	final := x.blocks["genesis"].Block.Root()
	for b := x.blocks[tip]; b != nil && b.Block.Slot > 0; b = x.blocks[x.name(b.Block.ParentHash)] {
		if b.Block.AuxPowHeader != nil {
			final = b.Block.AuxPowHeader.RangeEnd
			break
		}
	}
	for b := x.blocks[tip]; b != nil && b.Block.Slot > 0; b = x.blocks[x.name(b.Block.ParentHash)] {
		if b.Block.ParentHash == final {
			return x.header(x.name(b.Block.Root()), tip, common.Address{0xa1})
		}
	}
	return nil
}

// again sends some blocks once more, late ones for the first time.
func (x *explorer) again(t *rapid.T) {
	var list []*block.Signed
	for range rapid.IntRange(1, 4).Draw(t, "count") {
		if name := x.pick(t, "block"); name != "genesis" {
			list = append(list, x.blocks[name])
		}
	}
	slices.SortStableFunc(list, func(a, b *block.Signed) int {
		return int(a.Block.Payload.BlockNumber) - int(b.Block.Payload.BlockNumber)
	})
	if len(list) > 0 {
		x.receive(chain.Gossip, list...)
	}
}

func (x *explorer) approve(t *rapid.T) {
	by := rapid.IntRange(0, len(x.spec.Authorities)).Draw(t, "by")
	key := by
	if rapid.IntRange(0, 5).Draw(t, "honest") == 0 {
		key++
	}
	root := x.blocks[x.pick(t, "block")].Block.Root()
	x.send(chain.ID, &message.ApprovalReceived{Root: root, Authority: uint8(by), Signature: x.approval(root, key).Signature})
}

func (x *explorer) mine(t *rapid.T) {
	x.aux = nil
	x.send(miner.ID, &message.CreateAuxBlock{Request: 1, FeeRecipient: common.Address{2}})
	if x.aux == nil {
		return
	}
	work := x.aux
	if rapid.Bool().Draw(t, "slow") {
		x.wait(int64(rapid.IntRange(0, 3000).Draw(t, "mining")))
	}
	x.send(miner.ID, &message.SubmitAuxBlock{Request: 2, Hash: work.Hash, AuxPow: x.solve(work.Hash, work.Bits).Namecoin()})
}

func (x *explorer) pause(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "clock") == 0 {
		x.wall += int64(rapid.IntRange(-20_000, 20_000).Draw(t, "step"))
	}
	x.wait(int64(rapid.IntRange(0, 4000).Draw(t, "ms")))
}

func (x *explorer) trouble(t *rapid.T) {
	x.layer.limit = rapid.IntRange(-1, 2).Draw(t, "judges")
	for _, edge := range []core.Edge{"engine", "signer"} {
		x.held[edge] = rapid.IntRange(0, 2).Draw(t, string(edge)) == 0
	}
	x.run()
}

// garbage sends real content with a few bytes changed.
func (x *explorer) garbage(t *rapid.T) {
	spoil := func(data []byte) []byte {
		data = slices.Clone(data)
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		return data[:rapid.IntRange(0, len(data)).Draw(t, "length")]
	}
	signed := x.blocks[x.pick(t, "block")]
	content := message.Block{Signed: record.NewContent(spoil(signed.Encode()))}
	x.send(chain.ID, &message.BlocksReceived{Origin: chain.Gossip, Blocks: []message.Block{content}})
	if h := x.proof(x.pick(t, "tip")); h != nil {
		x.send(chain.ID, &message.QueueWork{Header: spoil(h.Encode())})
		x.send(miner.ID, &message.SubmitAuxBlock{Hash: [32]byte{1}, AuxPow: spoil(h.AuxPow.Namecoin())})
	}
}
