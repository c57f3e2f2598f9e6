package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// The peg of simulated federations: how deep deposits and payments must be, and how many
// slots pass between two Bitcoin blocks at most.
const (
	pegConfirmations = 3
	bitcoinPause     = 4 * slot
)

// pegWorld is the peg's outside: the Bitcoin chain, and users who pay in and out.
type pegWorld struct {
	w          *world
	federation *peg.Federation
	chain      *standin.Bitcoin
	deposits   []*deposit
	burns      []*burned
	final      map[common.Hash]bool // deposits whose minting some honest member has as final, by txid
	budget     int64                // satoshi that users hold on the sidechain for certain
	nonce      uint64
}

// deposit is what a user paid in. Each has an account of its own.
type deposit struct {
	txid    chainhash.Hash
	amount  int64
	account common.Address
	at      int64 // when it was paid
	moved   int64 // when a reorganisation of Bitcoin last took it out of a block
}

// burned is what a user asked to be paid out. Each has a destination of its own.
type burned struct {
	tx     common.Hash
	amount int64
	script []byte
	at     int64
}

// preparePeg makes the chain specification that of a federation with a peg.
func preparePeg(c *spec.Chain, o Options) {
	c.FederationKeys = standin.PegKeys(o.Members)
	c.Confirmations, c.BitcoinStartHeight = pegConfirmations, 1
	if o.Seed%2 == 1 {
		c.Activations.StrictPegins, c.Activations.StrictPegouts = 1, 1
	}
}

func newPegWorld(w *world) *pegWorld {
	f, err := peg.NewFederation(w.spec.FederationKeys)
	if err != nil {
		panic(err) // the keys are good
	}
	return &pegWorld{w: w, federation: f, chain: standin.NewBitcoin(f), final: map[common.Hash]bool{}}
}

// configure adds what the bridge is configured with.
func (g *pegWorld) configure(c *message.NodeConfigured, member int) {
	c.Bitcoin, c.HasPegKey, c.PegMember = true, true, uint32(member)
	c.MinFeeRate, c.MaxFeeRate, c.FallbackFeeRate, c.PayoutConfirmations = 1000, 50_000, standin.FeeRate, pegConfirmations
}

// start has Bitcoin grow and users act, until the run ends.
func (g *pegWorld) start(troubled, end int64) {
	r := g.w.rand.peg
	var mine, pay func()
	mine = func() {
		if depth := r.IntN(pegConfirmations); g.w.now < troubled && !g.w.opt.Peaceful && r.IntN(4) == 0 && depth > 0 {
			g.reorganise(depth)
		} else {
			g.chain.Mine(1)
		}
		g.w.after(slot+r.Int64N(bitcoinPause), "bitcoin", -1, mine)
	}
	pay = func() {
		if g.w.now < end {
			if r.IntN(3) > 0 {
				g.deposit()
			} else {
				g.burn()
			}
		}
		g.w.after(slot+r.Int64N(6*slot), "user", -1, pay)
	}
	g.w.after(slot, "bitcoin", -1, mine)
	g.w.after(slot, "user", -1, pay)
}

// reorganise replaces the newest blocks of Bitcoin, and sometimes has a deposit in them
// spent otherwise.
func (g *pegWorld) reorganise(depth int) {
	for _, d := range g.deposits {
		if n := g.chain.Confirmations(d.txid); n > 0 && n <= uint64(depth) {
			d.moved = g.w.now
			if g.w.rand.peg.IntN(4) == 0 {
				g.chain.Replace(d.txid)
			}
		}
	}
	g.w.tell("bitcoin leaves %d blocks at %d", depth, g.chain.Height())
	g.chain.Reorganise(depth)
}

func (g *pegWorld) deposit() {
	g.nonce++
	d := &deposit{amount: 2_000_000 + g.w.rand.peg.Int64N(20_000_000), at: g.w.now}
	d.account[0] = 0xd0
	binary.BigEndian.PutUint64(d.account[12:], g.nonce)
	d.txid = g.chain.Deposit(d.amount, d.account)
	g.deposits = append(g.deposits, d)
}

// burn has a user burn some of what was minted for certain, through a random member's
// execution layer, which may forget it.
func (g *pegWorld) burn() {
	r := g.w.rand.peg
	if g.budget < 4*peg.MinPegOut {
		return
	}
	g.nonce++
	b := &burned{amount: peg.MinPegOut + r.Int64N(g.budget/4), at: g.w.now}
	g.budget -= b.amount
	var program [20]byte
	binary.BigEndian.PutUint64(program[8:], g.nonce)
	address, err := btcutil.NewAddressWitnessPubKeyHash(program[:], &chaincfg.RegressionNetParams)
	if err == nil {
		b.script, err = txscript.PayToAddrScript(address)
	}
	if err != nil {
		panic(err) // twenty bytes always are a program
	}
	wei := new(big.Int).Mul(big.NewInt(b.amount), big.NewInt(10_000_000_000))
	raw := standin.Burn(1<<32+g.nonce, wei, address.EncodeAddress())
	b.tx = standin.Hash(raw)
	m := g.w.members[r.IntN(len(g.w.members))]
	m.layer.Submit(raw)
	g.burns = append(g.burns, b)
}

// fact takes what members say of the peg.
func (g *pegWorld) fact(m *member, f core.Message) {
	switch f := f.(type) {
	case *message.PegInChanged:
		if f.State == message.PegInFinalized && m.honest() && !g.final[common.Hash(f.Txid)] {
			g.final[common.Hash(f.Txid)] = true
			g.budget += int64(f.Amount)
		}
	case *message.PegHalted:
		g.w.fail("peg", []*member{m}, "member %d halts its peg: %s", m.index, f.Reason)
	case *message.PegAlarm:
		g.w.tell("m%d: %s", m.index, describe(f))
	}
}

// bitcoin is the edge of the same name.
func (p *process) bitcoin(r actors.Request) {
	g := p.m.w.peg
	switch m := r.Message.(type) {
	case *message.FollowBitcoin:
		p.later(50+g.w.rand.peg.Int64N(200), "bitcoin node", func() { p.followBitcoin(r, m) })
	case *message.FetchTransaction:
		p.later(20, "bitcoin node", func() { p.reply(r, g.chain.Fetch(m)) })
	case *message.BroadcastTransaction:
		p.later(20, "bitcoin node", func() {
			whole := *m
			if data, err := p.wholeContent(m.Raw); err == nil {
				whole.Raw = data
			}
			p.reply(r, g.chain.Broadcast(&whole))
		})
	}
}

// followBitcoin answers when there is something to tell.
func (p *process) followBitcoin(r actors.Request, m *message.FollowBitcoin) {
	g := p.m.w.peg
	switch {
	case !g.w.healed && !g.w.opt.Peaceful && g.w.rand.peg.IntN(20) == 0:
		p.reply(r, &message.BitcoinAway{Grade: uint8(fault.Temporary), Reason: "the node warms up"})
	default:
		if answer := g.chain.Follow(m); answer != nil {
			p.reply(r, answer)
			return
		}
		p.later(500+g.w.rand.peg.Int64N(500), "bitcoin node", func() { p.followBitcoin(r, m) })
	}
}

// signPayout is the edge that holds the member's federation key.
func (p *process) signPayout(r actors.Request) {
	m, ok := r.Message.(*message.SignPayout)
	if !ok {
		return
	}
	w := p.m.w
	p.later(5+w.rand.peg.Int64N(300), "peg signer", func() {
		p.m.signer.through = max(p.m.signer.through, r.Ref.Sequence)
		raw, err := p.wholeContent(m.Raw)
		tx := new(wire.MsgTx)
		if err == nil {
			err = tx.Deserialize(bytes.NewReader(raw.Data))
		}
		var spent []*wire.TxOut
		for _, out := range m.Spent {
			spent = append(spent, wire.NewTxOut(int64(out.Amount), out.Script))
		}
		hashes, hashErr := w.peg.federation.SigHashes(tx, spent)
		if err != nil || hashErr != nil {
			w.fail("peg", []*member{p.m}, "member %d is to sign what is no payment: %v %v", p.m.index, err, hashErr)
			return
		}
		answer := &message.PayoutSigned{Txid: m.Txid}
		for _, hash := range hashes {
			answer.Signatures = append(answer.Signatures, message.PayoutSignature{Value: standin.PegSign(p.m.index, hash)})
		}
		p.reply(r, answer)
	})
}

// settledAfter is how long before the end something must have happened for its whole life
// to be owed: members approve, a proof is found, signatures come together, Bitcoin digs.
const settledAfter = 60 * slot

// finish judges the end: what users paid in is minted once and what they burned is paid
// once, and everybody has the same wallet.
func (g *pegWorld) finish() {
	g.sameWallets()
	g.minted()
	g.paid()
}

// branch is the branch of the member whose finalised block is highest.
func (g *pegWorld) branch() []common.Hash {
	var best *view
	for _, v := range g.w.oracle.views {
		if v.m != nil && v.m.honest() && (best == nil || v.finalized.Number > best.finalized.Number) {
			best = v
		}
	}
	if best == nil {
		return nil
	}
	return best.branch
}

// sameWallets: members with one head have one wallet, and the sums are what they say.
func (g *pegWorld) sameWallets() {
	sums := map[common.Hash]message.PegTotals{}
	for _, m := range g.w.members {
		if !m.honest() {
			continue
		}
		s := m.process.machine.State(bridge.ID).(*bridge.State)
		head := m.state().Head.Root
		if s.Head.Root != head {
			g.w.fail("peg", []*member{m}, "member %d: the head is %s, the bridge follows %s", m.index, name(head), name(s.Head.Root))
			return
		}
		totals := s.Block(head).Wallet.Totals
		if before, ok := sums[head]; ok && before != totals {
			g.w.fail("peg", g.w.members, "member %d at %s has the sums %+v, another has %+v", m.index, name(head), totals, before)
			return
		}
		sums[head] = totals
		t := totals
		if t.Unknown != 0 || t.Deposited+t.Fetched != t.Coins+t.Paid+t.BitcoinFees+t.Stray || t.Requested != t.Paid+t.UserFees+t.Pending {
			g.w.fail("peg", []*member{m}, "member %d at %s: the sums do not add up: %+v", m.index, name(head), t)
		}
	}
}

// minted: each deposit is credited once at most, with its amount; once for certain when it
// was deep long ago.
func (g *pegWorld) minted() {
	credits := map[common.Address][]uint64{}
	for _, root := range g.branch() {
		b := g.w.blocks.get(root)
		for _, x := range b.signed.Block.Payload.Withdrawals {
			credits[x.Address] = append(credits[x.Address], x.Amount)
		}
	}
	for _, d := range g.deposits {
		list := credits[d.account]
		switch owed := max(d.at, d.moved)+settledAfter < g.w.now; {
		case len(list) > 1 || len(list) == 1 && list[0] != uint64(d.amount)*10:
			g.w.fail("peg", g.w.members, "deposit %s of %d is credited %v", d.txid, d.amount, list)
		case len(list) == 1 && g.chain.Confirmations(d.txid) == 0:
			g.w.fail("peg", g.w.members, "deposit %s is credited and not in Bitcoin", d.txid)
		case len(list) == 0 && owed && g.chain.Confirmations(d.txid) > 0:
			g.w.fail("peg", g.w.members, "deposit %s of %d is not credited, %.0f s after it was paid", d.txid, d.amount, float64(g.w.now-d.at)/1000)
		case len(list) == 1:
			g.w.result.Minted++
		}
	}
}

// paid: what was burned is paid once at most, with no more than was burned; once for
// certain when the block that burns is on the branch for long.
func (g *pegWorld) paid() {
	outputs := map[string][]int64{}
	for _, tx := range g.chain.Spends() {
		for _, out := range tx.TxOut {
			outputs[string(out.PkScript)] = append(outputs[string(out.PkScript)], out.Value)
		}
	}
	on := map[common.Hash]int64{}
	for _, root := range g.branch() {
		b := g.w.blocks.get(root)
		for _, raw := range b.signed.Block.Payload.Transactions {
			on[standin.Hash(raw)] = int64(b.slot) * slot
		}
	}
	for _, b := range g.burns {
		list := outputs[string(b.script)]
		at, connected := on[b.tx]
		switch {
		case len(list) > 1 || len(list) == 1 && list[0] > b.amount:
			g.w.fail("peg", g.w.members, "%d satoshi burned by %s are paid as %v", b.amount, name(b.tx), list)
		case len(list) == 1 && !connected:
			g.w.fail("peg", g.w.members, "%s is paid and not burned", name(b.tx))
		case len(list) == 0 && connected && at+settledAfter < g.w.now:
			g.w.fail("peg", g.w.members, "%d satoshi burned by %s are not paid %.0f s later", b.amount, name(b.tx), float64(g.w.now-at)/1000)
		case len(list) == 1:
			g.w.result.Paid++
		}
	}
}

// String is the peg's part of a result.
func (r *Result) pegText() string {
	if r.Minted+r.Paid == 0 {
		return ""
	}
	return fmt.Sprintf(", %d deposits minted, %d requests paid", r.Minted, r.Paid)
}
