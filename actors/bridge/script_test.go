package bridge

import (
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/cockroachdb/datadriven"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestScripts plays testdata/wallet. Each command prints the facts and effects it led to,
// one a line; -rewrite writes what is printed into the files. After each command the state
// goes through a snapshot and all wallets are audited.
//
//	node [nobitcoin] [peers] [confirmations=] [strict=]     a new bridge, genesis followed
//	tx NAME pays=AMOUNTS [to=HEX] [form=raw|text|none] [version=]   a Bitcoin transaction
//	mine NAME... [on=HEIGHT] [tx=TX...]        Bitcoin blocks; the last has the transactions
//	forged WHAT                 it is answered with something spoiled
//	bitcoin [most=N] [until-idle]              the waiting request is answered
//	away [grade=] REASON | network NAME | wake | expire | resume | fetched TX | missing
//	block NAME on=PARENT [pegins=TX@BLOCK...] [unbacked=] [short=]   with the withdrawals it should have
//	follow [NAME...] [head=] [final=]          the chain actor tells
//	shorten HEIGHT | other      the node knows less | has another chain
//	raise keep=N                what is below N blocks under the finalised one is dropped
//	judge NAME | plan on=PARENT [room=] [shares=ACCOUNTS]
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/wallet", func(t *testing.T, path string) {
		var g *ground
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "node" {
				g = newGround(t, func(c *spec.Chain, m *message.NodeConfigured) {
					m.Bitcoin, m.Peers = !d.HasArg("nobitcoin"), d.HasArg("peers")
					c.Confirmations = uint32(number(d, "confirmations", 3))
					c.Activations.StrictPegins = number(d, "strict", 0)
				})
				return g.take()
			}
			g.t = t
			command, ok := commands[d.Cmd]
			if !ok {
				d.Fatalf(t, "no command %q", d.Cmd)
			}
			command(g, d)
			if out := g.take(); out != "" {
				return out
			}
			return "ok\n"
		})
	})
}

func listOf(d *datadriven.TestData, key string) []string {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

func text(d *datadriven.TestData, key, otherwise string) string {
	if v := listOf(d, key); len(v) > 0 {
		return strings.Join(v, ",")
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

// plain are the arguments without a value.
func plain(d *datadriven.TestData) (list []string) {
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			list = append(list, a.Key)
		}
	}
	return list
}

// recipient is the account whose last byte is given in hex.
func recipient(to string) common.Address {
	return common.HexToAddress("0xff000000000000000000000000000000000000" + to)
}

var commands = map[string]func(*ground, *datadriven.TestData){
	"tx": func(g *ground, d *datadriven.TestData) {
		var amounts []int64
		for _, v := range listOf(d, "pays") {
			n, _ := strconv.ParseInt(v, 10, 64)
			amounts = append(amounts, n)
		}
		version := byte(number(d, "version", 1))
		if version > 0 {
			version += txscript.OP_1 - 1
		}
		g.btc.txs[plain(d)[0]] = g.btc.deposit(recipient(text(d, "to", "aa")), text(d, "form", "raw"), version, amounts...)
	},
	"mine": func(g *ground, d *datadriven.TestData) {
		names := plain(d)
		on := int(number(d, "on", g.btc.tip().height))
		for i, name := range names {
			var txs []*wire.MsgTx
			for _, tx := range listOf(d, "tx") {
				if i == len(names)-1 {
					txs = append(txs, g.btc.txs[tx])
				}
			}
			g.btc.mine(name, on+i, txs...)
		}
	},
	"bitcoin": func(g *ground, d *datadriven.TestData) {
		for g.bitcoin(int(number(d, "most", 100))) && d.HasArg("until-idle") {
		}
	},
	"away": func(g *ground, d *datadriven.TestData) {
		grade := fault.Temporary
		if d.HasArg("invalid") {
			grade = fault.Invalid
		}
		_, ref, _ := pending[*message.FollowBitcoin](g)
		g.send(ref, &message.BitcoinAway{Grade: uint8(grade), Reason: "a script says so"})
	},
	"network": func(g *ground, d *datadriven.TestData) { g.btc.network = plain(d)[0] },
	"forged": func(g *ground, d *datadriven.TestData) {
		r, ref, _ := pending[*message.FollowBitcoin](g)
		m, _ := g.btc.answer(r, 100)
		forge(m, plain(d)[0])
		g.send(ref, m)
	},
	"shorten": func(g *ground, d *datadriven.TestData) {
		height, _ := strconv.Atoi(plain(d)[0])
		g.btc.best = g.btc.best[:height+1]
	},
	"other": func(g *ground, _ *datadriven.TestData) { g.btc.mine("o0", -1) },
	"wake":  func(g *ground, d *datadriven.TestData) { g.wake() },
	"expire": func(g *ground, d *datadriven.TestData) {
		_, ref, _ := pending[*message.FollowBitcoin](g)
		g.send(ref, &core.Expired{Reason: "restart"})
	},
	"restart": func(g *ground, d *datadriven.TestData) {
		m := *g.config
		m.Bitcoin = !d.HasArg("nobitcoin")
		g.send(core.Ref{}, &m)
	},
	"resume": func(g *ground, d *datadriven.TestData) {
		g.send(core.Ref{}, &message.ResumePeg{Request: 7, Reason: "a script says so"})
	},
	"fetched": func(g *ground, d *datadriven.TestData) {
		r, ref, _ := pending[*message.FetchTransaction](g)
		tx := g.btc.txs[plain(d)[0]]
		g.offered[tx.TxHash()] = tx
		g.send(ref, &message.TransactionFetched{Txid: r.Txid, Block: r.Block, Height: 1, Raw: content(tx)})
	},
	"missing": func(g *ground, d *datadriven.TestData) {
		r, ref, _ := pending[*message.FetchTransaction](g)
		g.send(ref, &message.TransactionMissing{Txid: r.Txid, Block: r.Block, Reason: "pruned"})
	},
	"block": func(g *ground, d *datadriven.TestData) { g.scripted(d) },
	"follow": func(g *ground, d *datadriven.TestData) {
		var blocks []*message.PegBlock
		for _, name := range plain(d) {
			blocks = append(blocks, g.roots[name])
		}
		g.follow(text(d, "head", ""), text(d, "final", ""), blocks...)
	},
	"raise": func(g *ground, d *datadriven.TestData) { g.raise(number(d, "keep", 0)) },
	"judge": func(g *ground, d *datadriven.TestData) {
		g.send(core.Ref{}, &message.JudgePeg{Block: g.roots[plain(d)[0]]})
	},
	"plan": func(g *ground, d *datadriven.TestData) {
		m := &message.PlanPeg{Slot: 9, Parent: g.roots[text(d, "on", "")].Root, Room: uint32(number(d, "room", 16))}
		for _, to := range listOf(d, "shares") {
			m.RangeEnd = m.Parent
			m.FeeShares = append(m.FeeShares, message.Withdrawal{Address: recipient(to), Amount: 1})
		}
		g.send(core.Ref{}, m)
	},
}

// scripted makes a block that mints deposits, with the withdrawals that it should have.
func (g *ground) scripted(d *datadriven.TestData) {
	g.block(plain(d)[0], text(d, "on", ""), func(b *message.PegBlock) {
		for _, v := range listOf(d, "pegins") {
			name, at, _ := strings.Cut(v, "@")
			tx := g.btc.txs[name]
			id := message.DepositID{Txid: tx.TxHash()}
			if in := g.btc.names[at]; in != nil {
				id.Block = in.header.BlockHash()
			}
			b.PegIns = append(b.PegIns, id)
			in, ok := g.btc.federation.PegIn(tx)
			if strict, is := g.btc.federation.StrictPegIn(tx); is && g.state.strictPegIns(b.Number) {
				in, ok = strict, true
			}
			if ok {
				g.credit(b, in)
			}
		}
		if n := number(d, "unbacked", 0); n > 0 {
			g.credit(b, peg.PegIn{Account: common.Address{0xbb}, Amount: n})
		}
		if d.HasArg("short") {
			b.Withdrawals = b.Withdrawals[1:]
		}
	})
}

// forge spoils an answer of Bitcoin.
func forge(m *message.BitcoinFollowed, what string) {
	switch what {
	case "syncing":
		m.Syncing = true
	case "gap":
		m.Blocks = append(m.Blocks[:1], m.Blocks[2:]...)
	case "hash":
		m.Blocks[0].Hash[0] ^= 1
	case "branch":
		m.Blocks[len(m.Blocks)-1].Transactions[0].Branch[0].Value[3] ^= 1
	case "index":
		m.Blocks[len(m.Blocks)-1].Transactions[0].Index++
	case "copy": // the last of an odd number has the root a second time
		list := m.Blocks[len(m.Blocks)-1].Transactions
		list[len(list)-1].Index++
	case "inner":
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{})
		tx.AddTxOut(wire.NewTxOut(1, make([]byte, 4)))
		m.Blocks[len(m.Blocks)-1].Transactions[0].Raw = content(tx)
	case "height":
		for i := range m.Blocks {
			m.Blocks[i].Height++
		}
	case "ancestor":
		m.Ancestor.Hash[0] ^= 1
	case "no-tip":
		m.Tip = nil
	case "raw":
		t := &m.Blocks[len(m.Blocks)-1].Transactions[0]
		t.Raw = record.NewContent(append(t.Raw.Data[:len(t.Raw.Data):len(t.Raw.Data)], 0))
	}
}
