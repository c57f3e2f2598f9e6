package chain_test

import (
	"bytes"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// everybody is the members of the rigs of this file but their own.
var everybody = []int{0, 1, 2}

// depositing has a block mint a deposit.
func depositing(n byte) func(*block.Signed) {
	return func(s *block.Signed) {
		s.Block.Pegins = []block.Pegin{{Txid: chainhash.Hash{n}, BlockHash: chainhash.Hash{0xb0, n}}}
	}
}

// proposing has a block propose a payment, which has no input: those that are real have
// one, and this must survive too.
func proposing(amount int64) func(*block.Signed) {
	return func(s *block.Signed) { s.Block.PegoutProposal = paymentOf(amount) }
}

func paymentOf(amount int64) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxOut(wire.NewTxOut(amount, []byte{0x51}))
	return tx
}

func raw(t *testing.T, tx *wire.MsgTx) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tx.SerializeNoWitness(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func payload(s *block.Signed) common.Hash { return s.Block.Payload.BlockHash }

// TestFollowChain: the bridge is told genesis, every executed block once with what the
// peg reads of it, side blocks too, and each movement of head and finalised block.
func TestFollowChain(t *testing.T) {
	r := member(t)
	if len(r.peg.follows) != 1 || len(r.peg.follows[0].Blocks) != 1 || r.peg.follows[0].Head.Number != 0 {
		t.Fatalf("genesis: %+v", r.peg.follows)
	}
	a1 := r.built("a1", plan{parent: "genesis", by: everybody, txs: [][]byte{transfer(1, 2000)}, change: depositing(7)})
	receipts := record.NewContent([]byte("the receipts of a1"))
	r.layer.receipts = map[common.Hash]record.Content{payload(a1): receipts}
	r.receive(chain.Gossip, a1)
	r.receive(chain.Gossip, r.built("a2", plan{parent: "a1", by: everybody, change: proposing(5)}))
	paid := paymentOf(5)
	h := r.header("a1", "a2", common.Address{0xa1})
	r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", by: everybody, carry: h, change: func(s *block.Signed) {
		s.Block.FinalizedPegouts = []*wire.MsgTx{paid}
	}}))
	last := r.peg.follows[len(r.peg.follows)-1]
	if last.Head.Root != r.blocks["a3"].Block.Root() || last.Finalized.Root != r.blocks["a2"].Block.Root() {
		t.Errorf("after a carrier: %+v", last)
	}
	told := r.peg.told[a1.Block.Root()]
	if told.Receipts.Hash != receipts.Hash || told.PayloadHash != payload(a1) || !reflect.DeepEqual(told.PegIns, []message.DepositID{{Txid: chainhash.Hash{7}, Block: chainhash.Hash{0xb0, 7}}}) {
		t.Errorf("a1: %+v", told)
	}
	if told = r.peg.told[r.blocks["a2"].Block.Root()]; !bytes.Equal(told.Proposal, raw(t, paid)) || told.Carrier {
		t.Errorf("a2: %+v", told)
	}
	told = r.peg.told[r.blocks["a3"].Block.Root()]
	shares, err := block.SplitFees(new(big.Int).SetBytes(r.state().Entry(r.blocks["a2"].Block.Root()).Fees), h.FeeRecipient, r.spec.Federation)
	if err != nil || len(shares) == 0 {
		t.Fatalf("shares %v, %v", shares, err)
	}
	if !told.Carrier || told.RangeStart != h.RangeStart || told.RangeEnd != h.RangeEnd || len(told.FeeShares) != len(shares) ||
		told.FeeShares[0].Amount != shares[0].Amount || !reflect.DeepEqual(told.Withdrawals, told.FeeShares) || len(told.Payouts) != 1 {
		t.Errorf("a3: %+v", told)
	}
	before := len(r.peg.told)
	// A longer branch from the finalised block is executed, and reverts a3.
	r.receive(chain.Sync, r.built("b3", plan{parent: "a2", by: everybody, seconds: 9}), r.built("b4", plan{parent: "b3", by: everybody}))
	if last = r.peg.follows[len(r.peg.follows)-1]; last.Head.Root != r.blocks["b4"].Block.Root() || len(r.peg.told) != before+2 {
		t.Errorf("after a reorganisation: %+v, %d told", last, len(r.peg.told))
	}
	seen := map[common.Hash]bool{}
	for _, f := range r.peg.follows {
		for _, b := range f.Blocks {
			if seen[b.Root] {
				t.Errorf("%s is told twice", r.name(b.Root))
			}
			seen[b.Root] = true
		}
	}
}

// TestJudgedByBridge: a block with a part for the bridge is approved when the bridge says
// so, at once or later; nothing is asked of it for others.
func TestJudgedByBridge(t *testing.T) {
	t.Run("nothing to judge", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis"}))
		r.said("approved a1")
		if len(r.peg.judged) != 0 {
			t.Errorf("asked: %+v", r.peg.judged)
		}
	})
	t.Run("valid", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", change: depositing(1)}))
		if out := r.take(); !strings.Contains(out, "approved a1") || strings.Contains(out, "withheld") || len(r.state().Undecided) != 0 {
			t.Error(out)
		}
	})
	t.Run("invalid", func(t *testing.T) {
		r := member(t)
		a1 := r.built("a1", plan{parent: "genesis", change: depositing(1)})
		r.peg.refuse(payload(a1))
		r.receive(chain.Gossip, a1)
		r.said("withheld from a1 #1 (invalid) by deposit: no such deposit")
		if len(r.state().Undecided) != 0 {
			t.Error("it is kept")
		}
	})
	t.Run("later", func(t *testing.T) {
		r := member(t)
		a1 := r.built("a1", plan{parent: "genesis", change: depositing(1)})
		r.peg.open(payload(a1))
		r.receive(chain.Gossip, a1)
		r.said("withheld from a1 #1 (cannot judge yet) by C7: Bitcoin is behind")
		r.restart(nil)
		r.take()
		r.send(chain.ID, &message.PegJudged{Root: a1.Block.Root(), Grade: uint8(fault.CannotJudge), Rule: "C7", Reason: "still"})
		if out := r.take(); strings.Contains(out, "withheld") {
			t.Errorf("told twice: %s", out)
		}
		r.send(chain.ID, &message.PegJudged{Root: common.Hash{9}})
		r.send(chain.ID, &message.PegJudged{Root: a1.Block.Root()})
		r.said("approved a1")
		r.send(chain.ID, &message.PegJudged{Root: a1.Block.Root()})
		if out := r.take(); out != "" {
			t.Errorf("a verdict that nobody waits for: %s", out)
		}
	})
	t.Run("another of the slot meanwhile", func(t *testing.T) {
		r := member(t)
		a1 := r.built("a1", plan{parent: "genesis", change: depositing(1)})
		r.receive(chain.Gossip, a1, r.built("b1", plan{parent: "genesis", extra: "b"}))
		r.said("withheld from a1 #1 (invalid) by one-per-slot") // the verdict is a turn later than the approval of b1
	})
	t.Run("asked again at a new tip", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", by: everybody}))
		b2 := r.built("b2", plan{parent: "a1", change: depositing(1)})
		r.peg.open(payload(b2))
		r.receive(chain.Gossip, b2)
		r.said("withheld from b2")
		delete(r.peg.verdicts, payload(b2))
		r.receive(chain.Gossip, r.built("a2", plan{parent: "a1", seconds: 2, by: everybody}))
		r.said("approved b2")
	})
	t.Run("parent not executed", func(t *testing.T) {
		r := member(t)
		a1 := r.built("a1", plan{parent: "genesis"})
		r.receive(chain.Gossip, a1)
		r.receive(chain.Gossip, r.built("a2", plan{parent: "a1", change: depositing(1)}))
		r.said("withheld from a2 #2 (cannot judge yet) by C6: the parent is not executed")
		for by := range 2 {
			r.send(chain.ID, &message.ApprovalReceived{Root: a1.Block.Root(), Authority: uint8(by), Signature: r.approval(a1.Block.Root(), by).Signature})
		}
		r.said("approved a2")
	})
	t.Run("held", func(t *testing.T) {
		r := member(t)
		a1 := r.built("a1", plan{parent: "genesis", change: depositing(1)})
		r.peg.open(payload(a1))
		r.receive(chain.Gossip, a1)
		r.backup = r.restored()
		r.restore("backup", nil)
		r.take()
		r.send(chain.ID, &message.PegJudged{Root: a1.Block.Root()})
		if out := r.take(); strings.Contains(out, "approve") {
			t.Errorf("approved while signing is held: %s", out)
		}
	})
}

// producer returns a node of a federation of one, whose blocks come about at once.
func producer(t *testing.T) *rig {
	return newRig(t, 1, func(c *spec.Chain, _ *message.NodeConfigured) { c.MaxBlocksWithoutPow = 6 })
}

// tip is the block of the head.
func (r *rig) tip() *block.Signed { return r.blocks[r.name(r.state().Head.Root)] }

// TestPlannedByBridge: our block has what the bridge planned, is judged like any other
// before it is signed, and its slot passes when the bridge says no.
func TestPlannedByBridge(t *testing.T) {
	t.Run("whole", func(t *testing.T) {
		r := producer(t)
		r.peg.plan = message.PegPlanned{
			PegIns: []message.DepositID{{Txid: chainhash.Hash{1}, Block: chainhash.Hash{2}}}, Proposal: raw(t, paymentOf(5)),
			Credits: []message.Withdrawal{{Address: common.Address{0xc1}, Amount: 70}},
		}
		r.wait(2000)
		b := &r.tip().Block
		if b.Payload.BlockNumber == 0 || len(b.Pegins) != 1 || b.Pegins[0].BlockHash != (chainhash.Hash{2}) || b.PegoutProposal == nil ||
			len(b.Payload.Withdrawals) != 1 || b.Payload.Withdrawals[0].Amount != 70 {
			t.Fatalf("the block: %+v", b)
		}
		if r.peg.plans[0].Room != 16 || len(r.peg.judged) == 0 || r.peg.judged[0].Root != r.at(1) {
			t.Errorf("asked %+v, judged %d", r.peg.plans[0], len(r.peg.judged))
		}
	})
	t.Run("refused", func(t *testing.T) {
		r := producer(t)
		r.peg.plan.Refused = "no coins for 3 requests"
		r.wait(2000)
		r.said("skipped slot 1001: no coins for 3 requests")
		r.peg.plan.Refused = ""
		r.wait(1000)
		r.said("produced")
	})
	t.Run("not approved", func(t *testing.T) {
		r := producer(t)
		r.peg.plan.PegIns = []message.DepositID{{Txid: chainhash.Hash{1}}}
		r.peg.refuseAll = true
		r.wait(2000)
		if out := r.take(); !strings.Contains(out, "our block would not be approved by deposit: no such deposit") || strings.Contains(out, "sign ") {
			t.Error(out)
		}
	})
	t.Run("not what a signer approves", func(t *testing.T) {
		r := producer(t)
		r.peg.plan.Credits = []message.Withdrawal{{Address: common.Address{0xc1}, Amount: 70}} // without a deposit
		r.wait(2000)
		r.said("our block would not be approved by exact-withdrawals")
	})
	t.Run("broken plan", func(t *testing.T) {
		r := producer(t)
		r.peg.plan.Proposal = []byte{1, 2}
		r.wait(2000)
		r.said("skipped slot 1001: the payment to propose")
	})
	t.Run("carrier", func(t *testing.T) {
		r := producer(t)
		r.layer.pending = [][]byte{transfer(1, 2000)}
		r.peg.plan.Proposal = raw(t, signedPayment())
		r.wait(2000)
		first := r.name(r.at(1))
		r.peg.plan.Proposal = nil
		r.wait(1000)
		r.send(chain.ID, &message.QueueWork{Header: r.header(first, first, common.Address{0xa1}).Encode()})
		// Signatures are missing: blocks go on without the proof, while they may.
		r.peg.plan.Unsigned = "1 of 2 signatures"
		r.wait(1000)
		if out := r.take(); !strings.Contains(out, "produced") || strings.Contains(out, "carrier=true") || strings.Contains(out, "dropped") {
			t.Fatal(out)
		}
		plan := r.peg.plans[len(r.peg.plans)-1]
		if plan.RangeEnd != r.at(1) || len(plan.FeeShares) == 0 || int(plan.Room)+len(plan.FeeShares) != 16 {
			t.Errorf("plan %+v", plan)
		}
		r.wait(6000)
		r.said("blocks without proof of work, at most 6; the proof that waits cannot be carried: 1 of 2 signatures")
		r.peg.plan.Unsigned, r.peg.plan.Payouts = "", []message.RawTransaction{{Raw: rawWitness(t, signedPayment())}}
		r.wait(1000)
		r.said("carrier=true")
		b := &r.tip().Block
		if len(b.FinalizedPegouts) != 1 || !b.FinalizedPegouts[0].HasWitness() || r.state().Finalized.Number != 1 {
			t.Errorf("the carrier: %+v, final %d", b, r.state().Finalized.Number)
		}
	})
}

// at is the root of the head's branch at a height.
func (r *rig) at(number uint64) common.Hash { return r.state().At(number).Root }

// signedPayment is paymentOf with an input, as a transaction with a witness needs one.
func signedPayment() *wire.MsgTx {
	tx := paymentOf(5)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{1}}, nil, [][]byte{{1}}))
	return tx
}

func rawWitness(t *testing.T, tx *wire.MsgTx) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tx.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// paying is a member with a federation key that knows a1, which proposes a payment, and
// a2 on it.
func paying(t *testing.T) *rig {
	r := newRig(t, 4, func(_ *spec.Chain, m *message.NodeConfigured) { m.Producing, m.Authority, m.HasPegKey = false, 3, true })
	r.wall += 100_000
	r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", by: everybody, change: proposing(5)}), r.built("a2", plan{parent: "a1", by: everybody}))
	r.said("head a2")
	return r
}

// TestSignPayments: payments of a queued proof's range are signed once this member is
// locked on the range end, after a restart again, and never against a lock or while
// signing is held.
func TestSignPayments(t *testing.T) {
	queue := func(r *rig, start, end string) {
		r.send(chain.ID, &message.QueueWork{Header: r.header(start, end, common.Address{1}).Encode()})
	}
	t.Run("locks", func(t *testing.T) {
		r := paying(t)
		queue(r, "a1", "a1")
		end := r.blocks["a1"].Block.Root()
		if len(r.peg.orders) != 1 || r.peg.orders[0].RangeEnd != end || r.peg.orders[0].RangeStart != r.blocks["a1"].Block.Root() {
			t.Fatalf("orders %+v", r.peg.orders)
		}
		l := r.state().Lock(end)
		if l == nil || l.Ended || l.Carrier != (common.Hash{}) || l.Number != 1 {
			t.Fatalf("lock %+v", l)
		}
		r.restart(nil)
		if len(r.peg.orders) != 2 || r.peg.orders[1] != r.peg.orders[0] {
			t.Errorf("after a restart: %+v", r.peg.orders)
		}
		r.take()
		// A carrier of another branch is withheld from now on.
		r.receive(chain.Sync, r.built("b1", plan{parent: "genesis", seconds: 9, by: everybody}), r.built("b2", plan{parent: "b1", by: everybody}), r.built("b3", plan{parent: "b2", by: everybody}))
		r.said("head b3")
		r.carry("b4", 1)
		r.said("withheld from b4 #4 (invalid) by lock: its branch excludes range end a1 at 1: this member signed the payments of its range")
		// It never approved a carrier of a2, and can say so: or nobody could release anybody.
		r.send(chain.ID, &message.NeverApprove{Request: 8, RangeEnd: end})
		r.said("done=true")
		queue(r, "a1", "a1")
		if len(r.peg.orders) != 2 {
			t.Errorf("ordered after a statement: %+v", r.peg.orders)
		}
	})
	t.Run("waits for a block on the range end", func(t *testing.T) {
		r := paying(t)
		queue(r, "a1", "a2")
		if len(r.peg.orders) != 0 {
			t.Fatalf("ordered at the head: %+v", r.peg.orders)
		}
		r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", by: everybody}))
		if len(r.peg.orders) != 1 {
			t.Fatalf("a block on it: %+v", r.peg.orders)
		}
		r.receive(chain.Gossip, r.built("a4", plan{parent: "a3", by: everybody}))
		if len(r.peg.orders) != 2 { // signatures that were lost are published again
			t.Errorf("another block: %+v", r.peg.orders)
		}
		if out := r.take(); strings.Count(out, "locked on a2 to sign 1 payments") != 1 {
			t.Error(out)
		}
	})
	t.Run("no block may come without the proof", func(t *testing.T) {
		r := newRig(t, 4, func(c *spec.Chain, m *message.NodeConfigured) {
			c.MaxBlocksWithoutPow = 2
			m.Producing, m.Authority, m.HasPegKey = false, 3, true
		})
		r.wall += 100_000
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", by: everybody, change: proposing(5)}), r.built("a2", plan{parent: "a1", by: everybody}))
		queue(r, "a1", "a2")
		if len(r.peg.orders) != 1 {
			t.Errorf("orders %+v", r.peg.orders)
		}
	})
	t.Run("then approves", func(t *testing.T) {
		r := paying(t)
		queue(r, "a1", "a1")
		r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", carry: r.header("a1", "a1", common.Address{1}), change: func(s *block.Signed) {
			s.Block.FinalizedPegouts = []*wire.MsgTx{paymentOf(5)}
		}}))
		r.said("approved a3 #3, locked on a1")
		if l := r.state().Lock(r.blocks["a1"].Block.Root()); l.Carrier != r.blocks["a3"].Block.Root() {
			t.Errorf("lock %+v", l)
		}
		r.send(chain.ID, &message.NeverApprove{Request: 8, RangeEnd: r.blocks["a1"].Block.Root()})
		r.said("done=false this member approved it by carrier")
	})
	t.Run("no payments", func(t *testing.T) {
		r := paying(t)
		r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", by: everybody, carry: r.header("a1", "a1", common.Address{1}), change: func(s *block.Signed) {
			s.Block.FinalizedPegouts = []*wire.MsgTx{paymentOf(5)}
		}}))
		r.said("finalized a1")
		r.receive(chain.Gossip, r.built("a4", plan{parent: "a3", by: everybody}))
		h := r.header("a2", "a4", common.Address{1})
		r.send(chain.ID, &message.QueueWork{Header: h.Encode()})
		r.said("work queued a2..a4")
		if len(r.peg.orders) != 0 || r.state().Lock(h.RangeEnd) != nil {
			t.Errorf("orders %+v", r.peg.orders)
		}
	})
	t.Run("no key", func(t *testing.T) {
		r := paying(t)
		r.restart(func(m *message.NodeConfigured) { m.HasPegKey = false })
		queue(r, "a1", "a1")
		if len(r.peg.orders) != 0 || r.state().Lock(r.blocks["a1"].Block.Root()) != nil {
			t.Errorf("orders %+v", r.peg.orders)
		}
	})
	t.Run("against a lock", func(t *testing.T) {
		r := paying(t)
		r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", carry: r.header("a1", "a1", common.Address{1}), change: func(s *block.Signed) {
			s.Block.FinalizedPegouts = []*wire.MsgTx{paymentOf(5)}
		}}))
		r.said("approved a3 #3, locked on a1")
		r.receive(chain.Sync, r.built("b1", plan{parent: "genesis", seconds: 9, by: everybody, change: proposing(6)}), r.built("b2", plan{parent: "b1", by: everybody}), r.built("b3", plan{parent: "b2", by: everybody}))
		r.said("head b3")
		queue(r, "b1", "b2")
		r.said("work queued b1..b2")
		if len(r.peg.orders) != 0 {
			t.Fatalf("orders %+v", r.peg.orders)
		}
		r.send(chain.ID, &message.ReleaseLock{
			Request: 7, RangeEnd: r.blocks["a1"].Block.Root(), Statements: []message.Statement{r.statement(0, "a1"), r.statement(1, "a1")}, Reason: "test",
		})
		if len(r.peg.orders) != 1 || r.state().Lock(r.blocks["b2"].Block.Root()) == nil {
			t.Errorf("after the release: %+v", r.peg.orders)
		}
	})
	t.Run("held", func(t *testing.T) {
		r := paying(t)
		r.backup = r.restored()
		r.restore("backup", nil)
		queue(r, "a1", "a1")
		if len(r.peg.orders) != 0 {
			t.Fatalf("orders %+v", r.peg.orders)
		}
		r.send(chain.ID, &message.AllowSigning{Request: 1, Reason: "test"})
		if len(r.peg.orders) != 1 {
			t.Errorf("after the release: %+v", r.peg.orders)
		}
	})
}

// TestFollowsBare: a chain whose blocks the bridge was never told of begins with the
// finalised block, once, and goes on producing.
func TestFollowsBare(t *testing.T) {
	r := producer(t)
	r.wait(3000)
	r.forgetTold()
	r.peg.told, r.peg.follows = map[common.Hash]message.PegBlock{}, nil
	r.restart(nil)
	f := r.peg.follows
	if len(f) != 1 || !f[0].Bare || len(f[0].Blocks) != int(r.state().Head.Number)+1 || f[0].Head.Root != r.state().Head.Root {
		t.Fatalf("after an upgrade: %+v", f)
	}
	r.take()
	r.wait(2000)
	r.said("produced")
	r.restart(nil)
	for _, f := range r.peg.follows[1:] {
		if f.Bare {
			t.Errorf("told again: %+v", f)
		}
	}
}

// forgetTold makes the state one of a behaviour that had no bridge.
func (r *rig) forgetTold() { r.state().Followed = false }
