package bridge_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/cockroachdb/datadriven"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestPayments plays testdata/payments. Each command prints what concerns payments; every
// turn is handled by a restarted core as well, see member.
//
//	node [members=] [member=] [strict=HEIGHT] [depth=] [without-bitcoin] [peers]
//	deposit NAME AMOUNT                a user's transaction into the mempool
//	mine [N] | leave N                 Bitcoin blocks of the mempool | blocks leave, with what they had
//	spend NAME of=DEPOSIT by=0,1       a transaction of dishonest members into the mempool
//	away | back                        the Bitcoin node
//	block NAME on=PARENT [mint=] [burn=NUMBER:AMOUNT,...] [plan] [pay=PAYMENT] [carry=A..B]
//	follow NAME... [head=] [final=]    blocks are executed, the head moves
//	plan on=PARENT [carry=A..B] | judge NAME | sign A..B
//	hear PAYMENT by=MEMBER
//	hold EDGE | free EDGE | signer refuses|forges|signs [grade=]
//	wake                               timers fire
//	halt-ends                          an operator has the peg go on
//	totals NAME
func TestPayments(t *testing.T) {
	datadriven.Walk(t, "testdata/payments", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "node" {
				s = newScript(t, d)
				return s.take()
			}
			s.tb = t
			command, known := scriptCommands[d.Cmd]
			if !known {
				d.Fatalf(t, "no command %q", d.Cmd)
			}
			command(s, d)
			if out := s.take(); out != "" {
				return out
			}
			return "ok\n"
		})
	})
}

type script struct {
	*member
	deposits map[string]*wire.MsgTx
}

func words(d *datadriven.TestData, key string) []string {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

func word(d *datadriven.TestData, key string) string {
	return strings.Join(words(d, key), ",")
}

func number(d *datadriven.TestData, key string, otherwise uint64) uint64 {
	if word(d, key) == "" {
		return otherwise
	}
	return integer(d, word(d, key))
}

func integer(d *datadriven.TestData, text string) uint64 {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(d.Pos + ": " + err.Error())
	}
	return v
}

// span reads A..B.
func span(text string) (start, end string) {
	start, end, _ = strings.Cut(text, "..")
	return start, end
}

func newScript(t *testing.T, d *datadriven.TestData) *script {
	m := newMember(t, int(number(d, "members", 3)), int(number(d, "member", 0)), func(c *spec.Chain, n *message.NodeConfigured) {
		c.Activations.StrictPegouts = number(d, "strict", 0)
		n.PayoutConfirmations = uint32(number(d, "depth", 3))
		n.Bitcoin, n.Peers = !d.HasArg("without-bitcoin"), d.HasArg("peers")
	})
	return &script{m, map[string]*wire.MsgTx{}}
}

var scriptCommands = map[string]func(*script, *datadriven.TestData){
	"deposit": func(s *script, d *datadriven.TestData) {
		name := d.CmdArgs[0].Key
		s.deposits[name] = s.deposit(name, int64(integer(d, d.CmdArgs[1].Key)))
		if err := s.bitcoin.accept(s.deposits[name]); err != nil {
			d.Fatalf(s.tb.(*testing.T), "%v", err)
		}
	},
	"mine": func(s *script, d *datadriven.TestData) {
		n := 1
		if len(d.CmdArgs) > 0 {
			n = int(integer(d, d.CmdArgs[0].Key))
		}
		for range n {
			s.bitcoin.mine()
			s.settle()
		}
	},
	"leave": func(s *script, d *datadriven.TestData) { s.bitcoin.leave(int(integer(d, d.CmdArgs[0].Key))) },
	"spend": (*script).spend,
	"away":  func(s *script, _ *datadriven.TestData) { s.bitcoin.away = true; s.settle() },
	"back":  func(s *script, _ *datadriven.TestData) { s.bitcoin.away = false; s.settle() },
	"block": (*script).block,
	"follow": func(s *script, d *datadriven.TestData) {
		var names []string
		for _, a := range d.CmdArgs {
			if len(a.Vals) == 0 {
				names = append(names, a.Key)
			}
		}
		s.follow(word(d, "head"), word(d, "final"), names...)
	},
	"plan": func(s *script, d *datadriven.TestData) {
		start, end := span(word(d, "carry"))
		p := s.plan(word(d, "on"), start, end)
		fmt.Fprintf(&s.out, "%d deposits, %d payouts", len(p.PegIns), len(p.Payouts))
		if len(p.Proposal) > 0 {
			tx := readTx(s.tb, p.Proposal)
			fmt.Fprintf(&s.out, ", %s spends %d pays", s.name(tx.TxHash()), len(tx.TxIn))
			for _, out := range tx.TxOut {
				fmt.Fprintf(&s.out, " %d", out.Value)
			}
		}
		for label, text := range map[string]string{", unsigned": p.Unsigned, ", refused": p.Refused} {
			if text != "" {
				s.out.WriteString(label + ": " + s.renamed(text))
			}
		}
		s.out.WriteString("\n")
	},
	"judge": func(s *script, d *datadriven.TestData) { s.judge(d.CmdArgs[0].Key) },
	"sign": func(s *script, d *datadriven.TestData) {
		start, end := span(d.CmdArgs[0].Key)
		s.sendSign(start, end)
	},
	"hear": func(s *script, d *datadriven.TestData) {
		s.hear(int(number(d, "by", 1)), s.hash(d.CmdArgs[0].Key))
	},
	"hold": func(s *script, d *datadriven.TestData) { s.held[core.Edge(d.CmdArgs[0].Key)] = true },
	"free": func(s *script, d *datadriven.TestData) { s.held[core.Edge(d.CmdArgs[0].Key)] = false; s.settle() },
	"signer": func(s *script, d *datadriven.TestData) {
		s.refuse, s.forge = 0, d.HasArg("forges")
		if d.HasArg("refuses") {
			s.refuse = fault.Grade(number(d, "grade", uint64(fault.Temporary)))
		}
	},
	"wake": func(s *script, _ *datadriven.TestData) { s.wake() },
	"halt-ends": func(s *script, _ *datadriven.TestData) {
		s.handle(core.Ref{}, &message.ResumePeg{Request: 1, Reason: "test"})
	},
	"totals": func(s *script, d *datadriven.TestData) {
		t := s.wallet(d.CmdArgs[0].Key).Totals
		fmt.Fprintf(&s.out, "deposited %d fetched %d coins %d in %d paid %d bitcoin fees %d\nrequested %d user fees %d pending %d ignored %d drift %d\n",
			t.Deposited, t.Fetched, t.Coins, t.CoinCount, t.Paid, t.BitcoinFees, t.Requested, t.UserFees, t.Pending, t.Ignored, t.PoolDrift)
	},
}

func (s *script) block(d *datadriven.TestData) {
	name, on := d.CmdArgs[0].Key, word(d, "on")
	s.next(name, on, func(b *message.PegBlock) {
		var minted []*wire.MsgTx
		for _, n := range words(d, "mint") {
			minted = append(minted, s.deposits[n])
		}
		if len(minted) > 0 {
			s.mint(b, minted...)
		}
		var logs []message.PegLog
		for _, text := range words(d, "burn") {
			n, amount, _ := strings.Cut(text, ":")
			logs = append(logs, burn(uint32(integer(d, n)), integer(d, amount)))
		}
		b.Receipts = receipts(logs...)
		start, end := span(word(d, "carry"))
		if b.Carrier = end != ""; b.Carrier {
			b.RangeStart, b.RangeEnd = s.blocks[start].Root, s.blocks[end].Root
		}
		if d.HasArg("plan") || b.Carrier {
			p := s.plan(on, start, end)
			b.Payouts = p.Payouts
			if d.HasArg("plan") {
				b.Proposal = p.Proposal
			}
		}
		if pay := word(d, "pay"); pay != "" {
			b.Proposal = s.payment(s.hash(pay)).Raw
		}
	})
}

// spend makes dishonest members take the first output of a deposit.
func (s *script) spend(d *datadriven.TestData) {
	from := s.deposits[word(d, "of")]
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: from.TxHash()}})
	tx.AddTxOut(wire.NewTxOut(from.TxOut[0].Value-1000, append([]byte{0, 20}, make([]byte, 20)...)))
	lists := make([][][64]byte, len(s.secrets))
	for _, by := range words(d, "by") {
		for _, sig := range s.signatures(int(integer(d, by)), tx, from.TxOut[:1]) {
			i := int(integer(d, by))
			lists[i] = append(lists[i], sig.Value)
		}
	}
	final, err := s.federation.Finalize(tx, lists)
	if err == nil {
		err = s.bitcoin.accept(final)
	}
	if err != nil {
		d.Fatalf(s.tb.(*testing.T), "%v", err)
	}
	s.names[tx.TxHash()] = d.CmdArgs[0].Key
}
