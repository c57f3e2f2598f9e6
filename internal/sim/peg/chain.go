package peg

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	rules "github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// The fee rates that members sign, in satoshi per 1000 vbytes.
const minRate, maxRate = 1000, 50_000

// confirmations is how deep a deposit has to be.
const confirmations = 4

// world is everything.
type world struct {
	src        Source
	spec       *spec.Chain
	federation *rules.Federation
	secrets    []*btcec.PrivateKey
	members    int
	honest     int // the first of them
	bitcoin    *bitcoin
	nodes      []*node
	time       int64

	genesis *block
	blocks  []*block // that were made, in order
	final   *block
	carrier *block // that made it final; heads have it

	burns    []*burn
	deposits map[chainhash.Hash]*deposit
	payments map[chainhash.Hash]*signing
	thief    bool // broadcasts what he can
	deep     bool // Bitcoin was reorganised as deep as is relied upon

	script []string
	stats  Stats
}

// block is one of the chain.
type block struct {
	message.PegBlock
	name     string
	parent   *block
	burns    []*burn
	fees     uint64 // gwei of fee shares
	lie      string // why no honest member may approve it
	approved map[int]bool
	executed bool
}

// under reports whether b is another block or an ancestor of it.
func (b *block) under(tip *block) bool {
	for tip != nil && tip.Number > b.Number {
		tip = tip.parent
	}
	return tip == b
}

// burn is a call of the bridge contract. It may be in blocks of several branches.
type burn struct {
	number  uint32
	amount  uint64 // satoshi
	dust    uint64 // wei
	script  []byte
	text    string
	paid    bool // by the rule without strict
	strict  bool // by the strict rule
	burned  bool // something was burned for it
	fromLog message.PegLog
}

// deposit is a Bitcoin transaction that pays the federation, or seems to.
type deposit struct {
	tx     *wire.MsgTx
	kind   string
	strict uint64 // satoshi that the strict rule credits; zero for none
	loose  uint64 // that legacy's credits
	to     common.Address
}

// signing is what is known of a payment's signatures.
type signing struct {
	tx         *wire.MsgTx
	spent      []*wire.TxOut
	signatures [][][64]byte // by member
}

func newWorld(src Source) *world {
	w := &world{src: src, deposits: map[chainhash.Hash]*deposit{}, payments: map[chainhash.Hash]*signing{}, time: 1000}
	w.stats.Alarms = map[string]int{}
	w.members = []int{1, 3, 4}[src.Int("members", 0, 2)]
	w.honest = w.members
	if w.members == 4 {
		w.honest = 3
	}
	w.spec = spec.Dev()
	w.spec.Confirmations, w.spec.BitcoinStartHeight = confirmations, 0
	w.spec.FederationKeys = nil
	for i := range w.members {
		secret, public := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
		w.secrets = append(w.secrets, secret)
		w.spec.FederationKeys = append(w.spec.FederationKeys, [33]byte(public.SerializeCompressed()))
	}
	// Strict from the start, never, or from some height on.
	if from := uint64(src.Int("strict", 0, 2)); from > 0 {
		w.spec.Activations.StrictPegins, w.spec.Activations.StrictPegouts = 1+(from-1)*6, 1+(from-1)*6
	}
	f, err := rules.NewFederation(w.spec.FederationKeys)
	if err != nil {
		panic(err)
	}
	w.federation, w.bitcoin = f, newBitcoin(f)
	w.genesis = &block{PegBlock: message.PegBlock{Root: sha256.Sum256([]byte("genesis"))}, name: "genesis", executed: true}
	w.blocks, w.final, w.carrier = []*block{w.genesis}, w.genesis, w.genesis
	for i := range w.honest {
		w.nodes = append(w.nodes, w.newNode(i))
	}
	return w
}

func (w *world) strict(number uint64) bool {
	return spec.Active(w.spec.Activations.StrictPegouts, number)
}

func (w *world) say(format string, args ...any) {
	w.script = append(w.script, fmt.Sprintf(format, args...))
}

// fail ends the run: a property does not hold.
func (w *world) fail(check string, n *node, format string, args ...any) {
	f := &Failure{Check: check, Detail: fmt.Sprintf(format, args...)}
	if n != nil {
		f.Node = fmt.Sprint("member ", n.index)
	}
	panic(f)
}

// quorum is how many approvals execute a block.
func (w *world) quorum() int { return w.federation.Threshold }

// offer asks every member about a block and executes it if enough approve.
func (w *world) offer(b *block) {
	w.blocks = append(w.blocks, b)
	for _, n := range w.nodes {
		if n.told[b.Parent] {
			n.input(core.Ref{}, &message.JudgePeg{Block: &b.PegBlock})
		}
	}
	w.execute(b)
}

// verdict is a member's, now or later.
func (w *world) verdict(n *node, m *message.PegJudged) {
	n.judged[m.Root] = m
	if m.Grade != 0 {
		return
	}
	for _, b := range w.blocks {
		if b.Root == m.Root {
			if b.lie != "" {
				w.fail("no lie is approved", n, "%s: %s", b.name, b.lie)
			}
			w.checkDeep(n, b)
			b.approved[n.index] = true
		}
	}
}

// execute executes what has its quorum, with what stands on it, and takes its carriers.
func (w *world) execute(b *block) {
	if b.executed || !b.parent.executed || len(b.approved)+w.members-w.honest < w.quorum() || !w.carrier.under(b.parent) {
		return
	}
	b.executed = true
	w.stats.Executed++
	w.say("%s is executed", b.name)
	if b.Carrier {
		w.final, w.carrier = w.block(b.RangeEnd), b
		w.stats.Finalised++
	}
}

// executeAll executes what has got its quorum since.
func (w *world) executeAll() {
	for _, b := range w.blocks {
		w.execute(b)
	}
}

func (w *world) block(root common.Hash) *block {
	i := slices.IndexFunc(w.blocks, func(b *block) bool { return b.Root == root })
	if i < 0 {
		return nil
	}
	return w.blocks[i]
}

// tips returns the executed blocks that a head may be, in order.
func (w *world) tips() (list []*block) {
	for _, b := range w.blocks {
		if b.executed && w.carrier.under(b) {
			list = append(list, b)
		}
	}
	return list
}

// make builds a block on a parent from what a member plans; nil when it cannot.
func (w *world) make(n *node, parent *block, carry *block, burns []*burn) *block {
	var start *block
	if carry != nil {
		for start = carry; start.parent != w.final; start = start.parent {
		}
	}
	p := n.plan(parent, start, carry)
	if p.Refused != "" {
		w.stats.Refused++
		w.say("member %d builds nothing on %s: %s", n.index, parent.name, p.Refused)
		return nil
	}
	b := &block{parent: parent, burns: burns, approved: map[int]bool{}}
	b.name = fmt.Sprint("b", len(w.blocks))
	b.Root, b.Parent, b.Number = sha256.Sum256([]byte(b.name)), parent.Root, parent.Number+1
	b.PayloadHash = sha256.Sum256([]byte("payload " + b.name))
	b.PegIns, b.Withdrawals, b.Proposal = p.PegIns, p.Credits, p.Proposal
	if carry != nil && p.Unsigned == "" {
		b.Carrier, b.RangeStart, b.RangeEnd, b.Payouts = true, start.Root, carry.Root, p.Payouts
		b.fees = 1 + uint64(w.src.Int("fees", 0, 1000))
		b.FeeShares = []message.Withdrawal{{Address: common.Address{0xfe, 1}, Amount: b.fees}}
		b.Withdrawals = append(slices.Clone(b.FeeShares), b.Withdrawals...)
	}
	var logs []message.PegLog
	for i, burn := range burns {
		l := burn.fromLog
		l.Index = uint32(i)
		logs = append(logs, l)
	}
	if len(logs) > 0 {
		encoded, _ := record.Encode(&message.PegReceipts{Logs: logs})
		b.Receipts = record.NewContent(encoded)
	}
	w.stats.Made++
	return b
}

// on returns the burns that a branch has.
func (b *block) hasBurn(x *burn) bool {
	for ; b != nil; b = b.parent {
		if slices.Contains(b.burns, x) {
			return true
		}
	}
	return false
}

// signatures are a member's of a payment.
func (w *world) signatures(member int, tx *wire.MsgTx, spent []*wire.TxOut) (list []message.PayoutSignature) {
	hashes, err := w.federation.SigHashes(tx, spent)
	if err != nil {
		panic(err)
	}
	for _, h := range hashes {
		s, err := schnorr.Sign(w.secrets[member], h[:])
		if err != nil {
			panic(err)
		}
		list = append(list, message.PayoutSignature{Value: [64]byte(s.Serialize())})
	}
	return list
}

// learn notes signatures that exist. The dishonest member adds its own at once.
func (w *world) learn(tx *wire.MsgTx, spent []*wire.TxOut, member int, list []message.PayoutSignature) {
	txid := tx.TxHash()
	s := w.payments[txid]
	if s == nil {
		s = &signing{tx: tx, spent: spent, signatures: make([][][64]byte, w.members)}
		w.payments[txid] = s
		for i := w.honest; i < w.members; i++ {
			s.put(i, w.signatures(i, tx, spent))
		}
	}
	s.put(member, list)
}

func (s *signing) put(member int, list []message.PayoutSignature) {
	s.signatures[member] = nil
	for _, x := range list {
		s.signatures[member] = append(s.signatures[member], x.Value)
	}
}

// hear notes what a member publishes: the same that its signer made.
func (w *world) hear(m *message.PublishSignatures) {
	for _, p := range m.Payments {
		member, ok := w.federation.Member(p.Key)
		s := w.payments[p.Txid]
		if !ok || s == nil || len(p.Signatures) != len(s.tx.TxIn) {
			w.fail("only signatures are published", nil, "of payment %s", p.Txid)
		}
		s.put(member, p.Signatures)
	}
}

// log is a call's log.
func log(number uint32, text string, amount, dust uint64) message.PegLog {
	data := make([]byte, 96)
	data[31] = 64
	wei := new(big.Int).Mul(new(big.Int).SetUint64(amount), big.NewInt(1e10))
	wei.Add(wei, new(big.Int).SetUint64(dust)).FillBytes(data[32:64])
	binary.BigEndian.PutUint64(data[88:], uint64(len(text)))
	return message.PegLog{
		Transaction: sha256.Sum256([]byte(fmt.Sprint("burn ", number))), HasTo: true, To: rules.BridgeAddress, Emitter: rules.BridgeAddress,
		Topics: []message.Topic{{Value: rules.RequestTopic}, {Value: common.Hash{31: byte(number)}}}, Data: append(data, text...),
	}
}
