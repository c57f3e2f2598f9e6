package bridge_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// member is one bridge core with the edges around it: a Bitcoin chain, a signer, and the
// chain actor's side of the contract. Each turn is handled twice, by the state and by what
// a snapshot of it gives back: a restart at any point changes nothing.
type member struct {
	tb         testing.TB
	spec       *spec.Chain
	config     *message.NodeConfigured
	secrets    []*btcec.PrivateKey
	federation *peg.Federation
	bitcoin    *fakeBitcoin

	core    core.Core
	state   core.State
	content map[[32]byte][]byte
	turns   uint64
	waiting []effect
	held    map[core.Edge]bool
	refuse  fault.Grade // of the signer; zero signs
	forge   bool        // the signer signs with another key

	single bool // turns are handled once: the test is about something else

	blocks  map[string]*message.PegBlock
	names   map[[32]byte]string
	pays    int // payments named
	judged  *message.PegJudged
	planned *message.PegPlanned
	heard   []message.PaymentSignatures // published by this member
	sent    []core.Message              // effects
	out     strings.Builder
}

type effect struct {
	ref     core.Ref
	edge    core.Edge
	request core.Message
}

// newMember configures one of n members.
func newMember(tb testing.TB, n, index int, change func(*spec.Chain, *message.NodeConfigured)) *member {
	tb.Helper()
	m := &member{
		tb: tb, spec: spec.Dev(), core: bridge.New(), content: map[[32]byte][]byte{}, held: map[core.Edge]bool{},
		blocks: map[string]*message.PegBlock{}, names: map[[32]byte]string{},
	}
	m.spec.FederationKeys = nil
	for i := range n {
		secret, public := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
		m.secrets = append(m.secrets, secret)
		m.spec.FederationKeys = append(m.spec.FederationKeys, [33]byte(public.SerializeCompressed()))
	}
	var err error
	if m.federation, err = peg.NewFederation(m.spec.FederationKeys); err != nil {
		tb.Fatal(err)
	}
	m.spec.Confirmations, m.spec.BitcoinStartHeight = 2, 0
	m.config = &message.NodeConfigured{
		Judging: true, HasAuthority: true, Bitcoin: true, HasPegKey: true, PegMember: uint32(index), Behaviour: 2,
		MinFeeRate: 1000, MaxFeeRate: 50_000, FallbackFeeRate: 2000, PayoutConfirmations: 3,
	}
	if change != nil {
		change(m.spec, m.config)
	}
	m.config.ChainSpec = record.NewContent(m.spec.Encode())
	m.bitcoin = newFakeBitcoin(m.federation)
	m.state = m.core.NewState()
	m.handle(core.Ref{}, m.config)
	m.add(&message.PegBlock{Root: rootOf("g")}, "g")
	m.follow("g", "", "g")
	return m
}

func rootOf(name string) common.Hash { return sha256.Sum256([]byte(name)) }

func (m *member) add(b *message.PegBlock, name string) {
	m.blocks[name], m.names[b.Root] = b, name
}

// handle runs one turn and what its effects lead to.
func (m *member) handle(cause core.Ref, msg core.Message) {
	m.tb.Helper()
	m.turn(cause, msg)
	m.settle()
}

func (m *member) turn(cause core.Ref, msg core.Message) {
	m.tb.Helper()
	m.turns++
	t := core.Turn{Sequence: m.turns, Time: int64(m.turns) * 1000, Cause: cause}
	m.keep(msg)
	var out core.Out
	before := m.state
	m.state = m.state.Clone()
	m.core.Handle(m.state, msg, t, &out)
	if !m.single {
		m.restarted(before, msg, t, out.List())
	}
	for i, o := range out.List() {
		m.keep(o.Message)
		m.note(o)
		ref := core.Ref{Sequence: m.turns, Index: uint32(i)}
		if o.Kind == core.Effect {
			m.sent = append(m.sent, o.Message)
		}
		if o.Kind == core.Effect && o.Class.Pending() {
			m.waiting = append(m.waiting, effect{ref, core.Edge(o.Target), o.Message})
		}
	}
}

// restarted handles a turn by what a snapshot gives: it is the same turn.
func (m *member) restarted(before core.State, msg core.Message, t core.Turn, outputs []core.Output) {
	m.tb.Helper()
	twin := m.reload(before)
	var again core.Out
	m.core.Handle(twin, msg, t, &again)
	m.same(outputs, again.List(), msg)
	if a, b := dump(m.tb, m.state), dump(m.tb, twin); !bytes.Equal(a, b) {
		m.tb.Fatalf("turn %d, %s: the state differs from that of a restarted core", m.turns, msg.Type())
	}
}

// keep stores the contents of a message as a journal does.
func (m *member) keep(msg core.Message) {
	_, contents := record.Encode(msg)
	for _, c := range contents {
		m.content[c.Hash] = c.Data
	}
}

// reload returns the state that a snapshot gives.
func (m *member) reload(from core.State) core.State {
	m.tb.Helper()
	s := m.core.NewState()
	err := from.Walk(func(key, value []byte) error {
		return s.Load(bytes.Clone(key), bytes.Clone(value), func(hash [32]byte) ([]byte, error) {
			data, ok := m.content[hash]
			if !ok {
				return nil, fmt.Errorf("no content %x", hash)
			}
			return data, nil
		})
	})
	if err != nil {
		m.tb.Fatal(err)
	}
	return s
}

func dump(tb testing.TB, s core.State) []byte {
	tb.Helper()
	var b, last []byte
	if err := s.Walk(func(key, value []byte) error {
		if last != nil && bytes.Compare(last, key) >= 0 {
			return fmt.Errorf("key %x follows %x", key, last)
		}
		last = append([]byte{}, key...)
		b = append(append(append(b, key...), 0), value...)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return b
}

func (m *member) same(a, b []core.Output, msg core.Message) {
	m.tb.Helper()
	equal := len(a) == len(b)
	for i := 0; equal && i < len(a); i++ {
		x, _ := record.Encode(a[i].Message)
		y, _ := record.Encode(b[i].Message)
		equal = a[i].Kind == b[i].Kind && a[i].Target == b[i].Target && bytes.Equal(x, y)
	}
	if !equal {
		m.tb.Fatalf("turn %d, %s: %d outputs, a restarted core has %d others", m.turns, msg.Type(), len(a), len(b))
	}
}

// settle has the edges answer until nothing changes; timers wait for wake.
func (m *member) settle() {
	m.tb.Helper()
	for {
		i := slices.IndexFunc(m.waiting, func(e effect) bool { return !m.held[e.edge] && m.answers(e.request) })
		if i < 0 {
			return
		}
		e := m.waiting[i]
		m.waiting = slices.Delete(m.waiting, i, i+1)
		m.turn(e.ref, m.answer(e.request))
	}
}

func (m *member) answers(request core.Message) bool {
	switch r := request.(type) {
	case *message.StartTimer:
		return false
	case *message.FollowBitcoin:
		return m.bitcoin.news(r)
	default:
		return true
	}
}

func (m *member) answer(request core.Message) core.Message {
	switch r := request.(type) {
	case *message.FollowBitcoin:
		return m.bitcoin.follow(r)
	case *message.SignPayout:
		return m.sign(r)
	case *message.BroadcastTransaction:
		return m.bitcoin.broadcast(r)
	case *message.FetchTransaction:
		return m.bitcoin.fetch(r)
	}
	m.tb.Fatalf("no edge answers %s", request.Type())
	return nil
}

// wake fires the timers.
func (m *member) wake() {
	m.tb.Helper()
	var due []effect
	m.waiting = slices.DeleteFunc(m.waiting, func(e effect) bool {
		_, timer := e.request.(*message.StartTimer)
		if timer {
			due = append(due, e)
		}
		return timer
	})
	for _, e := range due {
		m.handle(e.ref, &message.TimerFired{})
	}
}

// sign computes what is signed from the request, as a signer does.
func (m *member) sign(r *message.SignPayout) core.Message {
	if m.refuse != 0 {
		return &message.PayoutRefused{Txid: r.Txid, Grade: uint8(m.refuse), Reason: "the signer is told to refuse"}
	}
	tx := readTx(m.tb, r.Raw.Data)
	var spent []*wire.TxOut
	for _, s := range r.Spent {
		spent = append(spent, wire.NewTxOut(int64(s.Amount), s.Script))
	}
	by := int(m.config.PegMember)
	if m.forge {
		by = (by + 1) % len(m.secrets)
	}
	return &message.PayoutSigned{Txid: r.Txid, Signatures: m.signatures(by, tx, spent)}
}

func (m *member) signatures(by int, tx *wire.MsgTx, spent []*wire.TxOut) []message.PayoutSignature {
	m.tb.Helper()
	hashes, err := m.federation.SigHashes(tx, spent)
	if err != nil {
		m.tb.Fatal(err)
	}
	var list []message.PayoutSignature
	for _, h := range hashes {
		s, err := schnorr.Sign(m.secrets[by], h[:])
		if err != nil {
			m.tb.Fatal(err)
		}
		list = append(list, message.PayoutSignature{Value: [64]byte(s.Serialize())})
	}
	return list
}

// follow tells of blocks with a head and a finalised block; empty names say nothing.
func (m *member) follow(head, final string, names ...string) {
	m.tb.Helper()
	f := &message.FollowChain{}
	for _, n := range names {
		f.Blocks = append(f.Blocks, *m.blocks[n])
	}
	id := func(name string) *message.BlockID {
		if name == "" {
			return nil
		}
		return &message.BlockID{Root: m.blocks[name].Root, Number: m.blocks[name].Number}
	}
	f.Head, f.Finalized = id(head), id(final)
	m.handle(core.Ref{}, f)
}

// next makes a block on a parent: change fills in what it is to have.
func (m *member) next(name, on string, change func(*message.PegBlock)) *message.PegBlock {
	parent := m.blocks[on]
	b := &message.PegBlock{Root: rootOf(name), Parent: parent.Root, Number: parent.Number + 1, PayloadHash: rootOf("payload " + name)}
	if change != nil {
		change(b)
	}
	m.add(b, name)
	return b
}

// plan asks for the peg's part of a block; a range may be empty.
func (m *member) plan(on, start, end string) *message.PegPlanned {
	m.tb.Helper()
	p := &message.PlanPeg{Slot: 1, Parent: m.blocks[on].Root, Room: 16}
	if end != "" {
		p.RangeStart, p.RangeEnd = m.blocks[start].Root, m.blocks[end].Root
	}
	m.planned = nil
	m.handle(core.Ref{}, p)
	return m.planned
}

func (m *member) judge(name string) *message.PegJudged {
	m.tb.Helper()
	m.judged = nil
	m.handle(core.Ref{}, &message.JudgePeg{Block: m.blocks[name]})
	return m.judged
}

func (m *member) sendSign(start, end string) {
	m.tb.Helper()
	m.handle(core.Ref{}, &message.SignPayments{RangeStart: m.blocks[start].Root, RangeEnd: m.blocks[end].Root})
}

func (m *member) payment(txid chainhash.Hash) *bridge.Payment {
	return m.state.(*bridge.State).Payment(txid)
}

func (m *member) wallet(name string) *bridge.Wallet {
	return m.state.(*bridge.State).Block(m.blocks[name].Root).Wallet
}

// hear gives this member another's signatures of a payment.
func (m *member) hear(by int, txid chainhash.Hash) {
	m.tb.Helper()
	p := m.payment(txid)
	var spent []*wire.TxOut
	for _, s := range p.Prevouts {
		spent = append(spent, wire.NewTxOut(int64(s.Amount), s.Script))
	}
	m.handle(core.Ref{}, &message.SignaturesReceived{Payments: []message.PaymentSignatures{{
		Txid: txid, Key: m.federation.Keys[by], Signatures: m.signatures(by, readTx(m.tb, p.Raw), spent),
	}}})
}

// deposit makes a transaction that pays the federation and names an account.
func (m *member) deposit(name string, amount int64) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	h := sha256.Sum256([]byte(name))
	h[0] = userCoin
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: h}})
	tx.AddTxOut(wire.NewTxOut(amount, m.federation.ScriptPubKey))
	script, err := txscript.NullDataScript(bytes.Repeat([]byte{0xe1}, 20))
	if err != nil {
		m.tb.Fatal(err)
	}
	tx.AddTxOut(wire.NewTxOut(0, script))
	m.names[tx.TxHash()] = name
	return tx
}

// burn is a request's log; the destination follows from its number.
func burn(number uint32, amount uint64) message.PegLog {
	data := make([]byte, 96)
	data[31] = 64
	new(big.Int).Mul(new(big.Int).SetUint64(amount), big.NewInt(1e10)).FillBytes(data[32:64])
	to := destination(number)
	binary.BigEndian.PutUint64(data[88:], uint64(len(to)))
	data = append(data, to...)
	return message.PegLog{
		Transaction: sha256.Sum256([]byte(fmt.Sprint("burn ", number))), Index: number, HasTo: true, To: peg.BridgeAddress, Emitter: peg.BridgeAddress,
		Topics: []message.Topic{{Value: peg.RequestTopic}, {Value: common.Hash{31: byte(number)}}}, Data: data,
	}
}

func destination(number uint32) string {
	program := make([]byte, 20)
	binary.BigEndian.PutUint32(program, number)
	a, err := btcutil.NewAddressWitnessPubKeyHash(program, &chaincfg.RegressionNetParams)
	if err != nil {
		panic(err)
	}
	return a.EncodeAddress()
}

func receipts(logs ...message.PegLog) record.Content {
	if len(logs) == 0 {
		return record.Content{}
	}
	encoded, _ := record.Encode(&message.PegReceipts{Logs: logs})
	return record.NewContent(encoded)
}

func readTx(tb testing.TB, raw []byte) *wire.MsgTx {
	tb.Helper()
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		tb.Fatal(err)
	}
	return tx
}

func bare(tb testing.TB, tx *wire.MsgTx) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := tx.SerializeNoWitness(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// mint lists deposits that Bitcoin has and pays what they credit.
func (m *member) mint(b *message.PegBlock, txs ...*wire.MsgTx) {
	slices.SortFunc(txs, func(a, b *wire.MsgTx) int {
		x, y := a.TxHash(), b.TxHash()
		return bytes.Compare(x[:], y[:])
	})
	var sum uint64
	for _, tx := range txs {
		block := m.bitcoin.blockOf(tx.TxHash())
		b.PegIns = append(b.PegIns, message.DepositID{Txid: tx.TxHash(), Block: block})
		sum += uint64(tx.TxOut[0].Value)
	}
	b.Withdrawals = append(b.Withdrawals, message.Withdrawal{Address: common.Address(bytes.Repeat([]byte{0xe1}, 20)), Amount: sum * 10})
}
