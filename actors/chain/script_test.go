package chain_test

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestScripts plays testdata/scripts. Each command prints the facts and effects it
// led to, one a line; -rewrite writes what is printed into the files.
//
//	node [members=] [authority=] [follower] [max=] [retarget] [finality=] [peers] [listen=] [bitcoin]   a new node
//	wait MS | clock MS          time passes | the wall clock alone is moved
//	block NAME on=PARENT [by=0,1] [seconds=] [slot=] [extra=] [txs=] [tip=] [carry=A..B] [unpaid] [wrong=WHAT]
//	copy NAME of=BLOCK [by=0,1] [wrong=WHAT]    the same block with other approvals
//	receive NAME... [origin=] [fees=] [from=PEER]   blocks arrive in one message
//	approve NAME by= [key=]     an approval arrives
//	tx N [tip=]                 transactions wait in the execution layer
//	aux | solve [again] | queue A..B [to=]
//	hold EDGE | free EDGE | layer [judges=N] | signer [refuses]
//	legacy-head NAME final=NAME
//	restart [authority=] | state
//	backup | restore KIND [authority=] [ahead=MS]   the state of now is kept | put back, with an incident
//	heads MEMBER=NAME... | bitcoin current|REASON | assume REASON    what the synced rule is made of
//	allow REASON                         an operator ends a hold
//	decide NAME                          an operator has a branch followed
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		var r *rig
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "node" {
				r = scriptNode(t, d)
				return r.take()
			}
			r.t = t
			command, ok := commands[d.Cmd]
			if !ok {
				d.Fatalf(t, "no command %q", d.Cmd)
			}
			command(r, d)
			r.restored()
			checkInvariants(r)
			if out := r.take(); out != "" {
				return out
			}
			return "ok\n"
		})
		if r.failed > 0 && !strings.Contains(path, "failed") {
			t.Errorf("%d turns failed", r.failed)
		}
	})
}

func text(d *datadriven.TestData, key, otherwise string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) > 0 {
			return strings.Join(a.Vals, ",")
		}
	}
	return otherwise
}

func number(d *datadriven.TestData, key string, otherwise uint64) uint64 {
	v, err := strconv.ParseUint(text(d, key, strconv.FormatUint(otherwise, 10)), 10, 64)
	if err != nil {
		panic(d.Pos + ": " + err.Error())
	}
	return v
}

func scriptNode(t *testing.T, d *datadriven.TestData) *rig {
	return newRig(t, int(number(d, "members", 1)), func(c *spec.Chain, m *message.NodeConfigured) {
		c.MaxBlocksWithoutPow = number(d, "max", c.MaxBlocksWithoutPow)
		c.Retarget.NoRetargeting = !d.HasArg("retarget")
		c.Activations.Finality = number(d, "finality", 0)
		m.Authority = uint32(number(d, "authority", 0))
		m.Peers, m.ListenSlots, m.Bitcoin = d.HasArg("peers"), uint32(number(d, "listen", 0)), d.HasArg("bitcoin")
		if d.HasArg("follower") {
			m.Producing, m.HasAuthority, m.Judging = false, false, false
		}
	})
}

var commands = map[string]func(*rig, *datadriven.TestData){
	"wait": func(r *rig, d *datadriven.TestData) { r.wait(int64(argNumber(d))) },
	"clock": func(r *rig, d *datadriven.TestData) {
		r.wall += int64(argNumber(d))
	},
	"block":   scriptBlock,
	"copy":    scriptCopy,
	"receive": scriptReceive,
	"approve": func(r *rig, d *datadriven.TestData) {
		by := int(number(d, "by", 0))
		root := r.blocks[d.CmdArgs[0].Key].Block.Root()
		a := r.approval(root, int(number(d, "key", uint64(by))))
		r.send(chain.ID, &message.ApprovalReceived{Root: root, Authority: uint8(by), Signature: a.Signature})
	},
	"tx": func(r *rig, d *datadriven.TestData) {
		for i := range argNumber(d) {
			r.layer.pending = append(r.layer.pending, transfer(uint64(i), int64(number(d, "tip", 1))))
		}
	},
	"aux": func(r *rig, _ *datadriven.TestData) {
		r.send(miner.ID, &message.CreateAuxBlock{Request: 1, FeeRecipient: common.Address{0xa1}})
	},
	"solve": func(r *rig, d *datadriven.TestData) {
		r.send(miner.ID, &message.SubmitAuxBlock{Request: 2, Hash: r.aux.Hash, AuxPow: r.solve(r.aux.Hash, r.aux.Bits).Namecoin()})
	},
	"queue": func(r *rig, d *datadriven.TestData) {
		start, end, _ := strings.Cut(d.CmdArgs[0].Key, "..")
		h := r.header(start, end, common.Address{byte(number(d, "to", 1))})
		r.send(chain.ID, &message.QueueWork{Header: h.Encode()})
	},
	"hold": func(r *rig, d *datadriven.TestData) { r.held[core.Edge(d.CmdArgs[0].Key)] = true },
	"free": func(r *rig, d *datadriven.TestData) {
		delete(r.held, core.Edge(d.CmdArgs[0].Key))
		r.run()
	},
	"signer": func(r *rig, d *datadriven.TestData) { r.refusing = d.HasArg("refuses") },
	"layer": func(r *rig, d *datadriven.TestData) {
		r.layer.limit = -1
		if d.HasArg("judges") {
			r.layer.limit = int(number(d, "judges", 0))
		}
	},
	"restart": func(r *rig, d *datadriven.TestData) {
		r.restart(func(m *message.NodeConfigured) { m.Authority = uint32(number(d, "authority", uint64(m.Authority))) })
	},
	"backup": func(r *rig, _ *datadriven.TestData) { r.backup = r.restored() },
	"restore": func(r *rig, d *datadriven.TestData) {
		r.ahead = int64(number(d, "ahead", 0))
		r.restore(d.CmdArgs[0].Key, func(m *message.NodeConfigured) { m.Authority = uint32(number(d, "authority", uint64(m.Authority))) })
	},
	"allow": func(r *rig, d *datadriven.TestData) {
		r.send(chain.ID, &message.AllowSigning{Request: 1, Reason: d.CmdArgs[0].Key})
	},
	"keep": func(r *rig, d *datadriven.TestData) {
		r.send(chain.ID, &message.DecideBranch{Request: 4, Root: r.blocks[d.CmdArgs[0].Key].Block.Root(), Reason: text(d, "reason", "by a test"), Keep: true})
	},
	"decide": func(r *rig, d *datadriven.TestData) {
		r.send(chain.ID, &message.DecideBranch{Request: 3, Root: r.blocks[d.CmdArgs[0].Key].Block.Root(), Reason: text(d, "reason", "by a test")})
	},
	"heads": func(r *rig, d *datadriven.TestData) {
		m := &message.MemberHeads{}
		for _, a := range d.CmdArgs {
			i, err := strconv.ParseUint(a.Key, 10, 32)
			if err != nil {
				panic(d.Pos + ": " + err.Error())
			}
			b := r.blocks[a.Vals[0]].Block
			m.Heads = append(m.Heads, message.MemberHead{Authority: uint32(i), Head: &message.BlockID{Root: b.Root(), Number: b.Payload.BlockNumber}})
		}
		r.send(chain.ID, m)
	},
	"bitcoin": func(r *rig, d *datadriven.TestData) {
		m := &message.BitcoinCurrent{Current: d.CmdArgs[0].Key == "current"}
		if !m.Current {
			m.Reason = d.CmdArgs[0].Key
		}
		r.send(chain.ID, m)
	},
	"assume": func(r *rig, d *datadriven.TestData) {
		r.send(chain.ID, &message.AssumeSynced{Request: 5, Reason: d.CmdArgs[0].Key})
	},
	"state":       func(r *rig, _ *datadriven.TestData) { r.log.WriteString(describeState(r)) },
	"legacy-head": scriptLegacyHead,
}

func argNumber(d *datadriven.TestData) int {
	v, err := strconv.Atoi(d.CmdArgs[0].Key)
	if err != nil {
		panic(err)
	}
	return v
}

func scriptBlock(r *rig, d *datadriven.TestData) {
	p := plan{parent: text(d, "on", "genesis"), seconds: number(d, "seconds", 1), unpaid: d.HasArg("unpaid"), slot: number(d, "slot", 0), extra: text(d, "extra", "")}
	for _, by := range strings.Split(text(d, "by", "0"), ",") {
		if i, err := strconv.Atoi(by); err == nil {
			p.by = append(p.by, i)
		}
	}
	for i := range number(d, "txs", 0) {
		p.txs = append(p.txs, transfer(i, int64(number(d, "tip", 1))))
	}
	if d.HasArg("carry") {
		start, end, _ := strings.Cut(text(d, "carry", ""), "..")
		p.carry = r.header(start, end, common.Address{0xa1})
	}
	if wrong := text(d, "wrong", ""); wrong != "" {
		p.change, p.after = breakers[wrong], afterwards[wrong]
		if p.change == nil && p.after == nil {
			panic(fmt.Sprintf("%s: nothing called %q can be wrong", d.Pos, wrong))
		}
	}
	r.make(d.CmdArgs[0].Key, p)
}

func scriptCopy(r *rig, d *datadriven.TestData) {
	s := &block.Signed{Block: r.blocks[text(d, "of", "")].Block, Approvals: aura.None()}
	root := s.Block.Root()
	for _, by := range strings.Split(text(d, "by", "0"), ",") {
		i, err := strconv.Atoi(by)
		if err != nil {
			panic(d.Pos + ": " + err.Error())
		}
		if err := s.Approvals.Add(r.approval(root, i)); err != nil {
			panic(d.Pos + ": " + err.Error())
		}
	}
	if wrong := text(d, "wrong", ""); wrong != "" {
		afterwards[wrong](s)
	}
	r.blocks[d.CmdArgs[0].Key] = s
}

func scriptReceive(r *rig, d *datadriven.TestData) {
	var list []*block.Signed
	r.from = text(d, "from", "")
	for _, a := range d.CmdArgs {
		if a.Key == "junk" {
			r.send(chain.ID, &message.BlocksReceived{Origin: chain.Gossip, Blocks: []message.Block{{Signed: record.NewContent([]byte("junk"))}}})
		} else if a.Key != "origin" && a.Key != "fees" && a.Key != "from" {
			list = append(list, r.blocks[a.Key])
		}
	}
	if d.HasArg("fees") {
		m := message.Block{Signed: record.NewContent(list[0].Encode()), HasFees: true, Fees: new(big.Int).SetUint64(number(d, "fees", 0)).Bytes()}
		r.send(chain.ID, &message.BlocksReceived{Origin: chain.Legacy, Blocks: []message.Block{m}})
	} else if len(list) > 0 {
		r.receive(text(d, "origin", chain.Gossip), list...)
	}
}

func scriptLegacyHead(r *rig, d *datadriven.TestData) {
	id := func(name string) *message.BlockID {
		b := r.blocks[name].Block
		return &message.BlockID{Root: b.Root(), Number: b.Payload.BlockNumber}
	}
	head := id(d.CmdArgs[0].Key)
	r.send(chain.ID, &message.LegacyHead{Head: head, LatestPow: id(text(d, "pow", "genesis")), Blocks: head.Number + 1})
}

// describeState shows pointers and entries by height.
func describeState(r *rig) string {
	var b strings.Builder
	s := r.state()
	stored, _ := s.Waiting()
	fmt.Fprintf(&b, "head %s, final %s, pow %s, last slot %d, queue %d, sent %d, stored %d\n",
		r.name(s.Head.Root), r.name(s.Finalized.Root), r.name(s.LatestPow.Root), s.LastSlot, len(s.Executing), s.Sent, stored)
	if s.Orphans() > 0 || s.EarlyApprovals() > 0 {
		fmt.Fprintf(&b, "orphans %d, early approvals %d\n", s.Orphans(), s.EarlyApprovals())
	}
	if s.Hold != nil {
		fmt.Fprintf(&b, "signing held since turn %d\n", s.Hold.Sequence)
	}
	if s.Building != nil {
		fmt.Fprintf(&b, "building slot %d root %s\n", s.Building.Slot, r.name(s.Building.Root))
	}
	for _, e := range entries(r, s) {
		status := [...]string{"", "stored", "in flight", "executed", "connected", "invalid"}[e.Status]
		if e.Excluded {
			status += " excluded"
		}
		fmt.Fprintf(&b, "  #%d %s %s approvals=%d\n", e.Number, r.name(e.Root), status, e.Approvals.Count())
	}
	return b.String()
}
