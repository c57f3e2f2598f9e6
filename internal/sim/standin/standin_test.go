package standin_test

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

var _ chain.Work = (*standin.Work)(nil)

func committee(t *testing.T, members int) *aura.Committee {
	t.Helper()
	c, err := aura.NewCommittee(standin.Spec(members).Authorities)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSignatures: an aggregate is accepted for its members, root and signatures,
// and for nothing else.
func TestSignatures(t *testing.T) {
	c, w, root := committee(t, 4), standin.NewWork(), common.Hash{1}
	good := standin.Approvals(root, 0, 2, 3)
	if err := w.Verify(c, good, root); err != nil {
		t.Fatalf("a good aggregate: %v", err)
	}
	if n := good.CountReal(4); n != 3 {
		t.Fatalf("%d signers, want 3", n)
	}
	byHand := aura.None()
	for _, i := range []int{3, 0, 2} {
		if err := w.Add(&byHand, standin.Approve(i, root)); err != nil {
			t.Fatal(err)
		}
	}
	if byHand != good {
		t.Fatalf("the order of approvals changes the aggregate")
	}
	for name, spoil := range map[string]func(*aura.Approvals){
		"one bit of the signature": func(a *aura.Approvals) { a.Signature[5] ^= 1 },
		"a byte after the hash":    func(a *aura.Approvals) { a.Signature[90] ^= 1 },
		"one flag more":            func(a *aura.Approvals) { a.Bits[0] |= 2 },
		"one flag less":            func(a *aura.Approvals) { a.Bits[0] &^= 1 },
		"no flags":                 func(a *aura.Approvals) { *a = aura.None() },
		"another root":             func(a *aura.Approvals) { *a = standin.Approvals(common.Hash{2}, 0, 2, 3) },
	} {
		bad := good
		spoil(&bad)
		if w.Verify(c, bad, root) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, a := range map[string]aura.Approval{
		"of another member": {Authority: 1, Signature: standin.Approve(2, root).Signature},
		"of nobody":         {Authority: 9, Signature: standin.Approve(9, root).Signature},
		"empty":             {Authority: 1},
	} {
		if w.VerifyApproval(c, a, root) == nil {
			t.Errorf("an approval %s: accepted", name)
		}
	}
	if err := w.VerifyApproval(c, standin.Approve(1, root), root); err != nil {
		t.Errorf("a good approval: %v", err)
	}
	for name, a := range map[string]aura.Approval{
		"twice": standin.Approve(0, root), "beyond the list": {Authority: 15, Signature: good.Signature}, "empty": {Authority: 1},
	} {
		same := good
		if w.Add(&same, a) == nil || same != good {
			t.Errorf("adding an approval %s: accepted", name)
		}
	}
}

func contents(list ...*block.Signed) (m []message.Block) {
	for _, b := range list {
		m = append(m, message.Block{Signed: record.NewContent(b.Encode())})
	}
	return m
}

// TestLayer: verdicts follow the payload and its ancestors, heads move when asked,
// and a crash keeps what was synced.
func TestLayer(t *testing.T) {
	c, w, l := standin.Spec(3), standin.NewWork(), standin.NewLayer()
	genesis := block.Genesis(c, *standin.Genesis())
	tx := standin.Transfer(1, 3)
	a := standin.Make(c, standin.Plan{Parent: genesis, By: []int{0, 1}, Transactions: [][]byte{tx}})
	b := standin.Make(c, standin.Plan{Parent: a, Withdrawals: []block.Withdrawal{{Address: common.Address{1}, Amount: 5}}})
	other := standin.Make(c, standin.Plan{Parent: a, Withdrawals: []block.Withdrawal{{Address: common.Address{1}, Amount: 6}}})
	if b.Block.Payload.StateRoot == other.Block.Payload.StateRoot {
		t.Fatal("the amount of a withdrawal is not in the state root")
	}
	status := func(want uint8, list ...*block.Signed) {
		t.Helper()
		got, err := l.Import(&message.ImportPayloads{Blocks: contents(list...)}, w.Decode)
		if err != nil {
			t.Fatal(err)
		}
		if last := got.Results[len(got.Results)-1]; last.Status != want {
			t.Fatalf("status %d (%s), want %d", last.Status, last.Reason, want)
		}
	}
	status(message.ExecutionUnknown, b)
	status(message.ExecutionValid, a)
	l.Sync()
	status(message.ExecutionValid, b)
	for name, spoil := range map[string]func(*block.Block){
		"state root": func(b *block.Block) {
			b.Payload.StateRoot = common.Hash{9}
			b.Payload.BlockHash = standin.PayloadHash(&b.Payload)
		},
		"hash":   func(b *block.Block) { b.Payload.BlockHash = common.Hash{9} },
		"number": func(b *block.Block) { b.Payload.BlockNumber++; b.Payload.BlockHash = standin.PayloadHash(&b.Payload) },
		"time":   func(b *block.Block) { b.Payload.Timestamp = 0; b.Payload.BlockHash = standin.PayloadHash(&b.Payload) },
	} {
		t.Run(name, func(*testing.T) {
			status(message.ExecutionInvalid, standin.Make(c, standin.Plan{Parent: b, Change: spoil}))
		})
	}
	status(message.ExecutionInvalid, standin.Make(c, standin.Plan{Parent: b, Extra: standin.BadExtra}))

	move := func(want uint8, head, final *block.Signed) {
		t.Helper()
		got := l.Forkchoice(&message.UpdateForkchoice{Head: head.Block.Payload.BlockHash, Finalized: final.Block.Payload.BlockHash})
		if got.Status != want {
			t.Fatalf("forkchoice status %d, want %d", got.Status, want)
		}
	}
	move(message.ExecutionValid, b, a)
	status(message.ExecutionValid, other)
	move(message.ExecutionInvalid, other, b)
	move(message.ExecutionValid, other, genesis)
	l.Crash()
	move(message.ExecutionUnknown, b, a)
	move(message.ExecutionValid, a, genesis)
	status(message.ExecutionValid, b)
	if head, _ := l.Head(); head != a.Block.Payload.BlockHash || !l.Knows(b.Block.Payload.BlockHash) {
		t.Fatal("an import moves no head")
	}
}

// TestBuild: what the layer builds, it accepts, with the transactions that waited.
func TestBuild(t *testing.T) {
	l := standin.NewLayer()
	l.Submit(standin.Transfer(1, 3), standin.Transfer(2, 3))
	genesis := standin.Genesis()
	built, failed := l.Build(&message.BuildPayload{Parent: genesis.BlockHash, Timestamp: 5})
	if failed != nil {
		t.Fatal(failed.Reason)
	}
	p, err := block.DecodePayload(built.Payload.Data)
	if err != nil || len(p.Transactions) != 2 || p.GasUsed != 2*standin.TxGas {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, failed = l.Build(&message.BuildPayload{Parent: common.Hash{1}}); failed == nil {
		t.Fatal("built on an unknown parent")
	}
	l.Limit = 0
	if _, failed = l.Build(&message.BuildPayload{Parent: genesis.BlockHash, Timestamp: 5}); failed == nil {
		t.Fatal("built while away")
	}
}

// TestHeader: proofs pass the real checks and commit to their range.
func TestHeader(t *testing.T) {
	c := standin.Spec(3)
	roots := []common.Hash{{1}, {2}, {3}}
	h, err := standin.Header(c, roots, c.Bits, 4, common.Address{7})
	if err != nil {
		t.Fatal(err)
	}
	if !h.AuxPow.CheckWork(c.Bits) {
		t.Error("the proof misses its target")
	}
	if err := h.AuxPow.CheckStructure(auxpow.Commitment(roots), c.ChainID); err != nil {
		t.Error(err)
	}
	if h.AuxPow.CheckStructure(auxpow.Commitment(roots[:2]), c.ChainID) == nil {
		t.Error("the proof holds for another range")
	}
}

// BenchmarkBlock is the cost of one simulated block beside the cores' own.
func BenchmarkBlock(b *testing.B) {
	c, w := standin.Spec(3), standin.NewWork()
	set, err := aura.NewCommittee(c.Authorities)
	if err != nil {
		b.Fatal(err)
	}
	parent := block.Genesis(c, *standin.Genesis())
	b.ReportAllocs()
	for b.Loop() {
		s := standin.Make(c, standin.Plan{Parent: parent, By: []int{0, 1}})
		signed, root, err := w.Decode(s.Encode())
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Verify(set, signed.Approvals, root); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRequests: a layer gives the requests that a payload's transactions make, as the peg
// reads them, and a payload that hides one in its bloom is invalid.
func TestRequests(t *testing.T) {
	const address = "bcrt1p3srvwkq5kyzlxqls43x97ch2vpcp4j278nk8jjuzcgt8k40ttr9s4vj934"
	wei := new(big.Int).Mul(big.NewInt(2_000_000), big.NewInt(10_000_000_000))
	g := standin.Genesis()
	p := standin.Child(g, 1, "", nil, [][]byte{
		standin.Transfer(1, 3), standin.Burn(2, wei, address), standin.RoutedBurn(3, wei, address), standin.FakeBurn(4, wei, address),
	})
	run := func(p *block.Payload) message.Execution {
		s := &block.Signed{Block: block.Block{Payload: *p}, Approvals: aura.None()}
		m := &message.ImportPayloads{Blocks: []message.Block{{Signed: record.NewContent(s.Encode())}}}
		answer, err := standin.NewLayer().Import(m, standin.NewWork().Decode)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Results[0]
	}
	x := run(p)
	var receipts message.PegReceipts
	if err := record.Decode(x.Receipts.Data, &receipts, nil); err != nil || x.Status != message.ExecutionValid || len(receipts.Logs) != 3 {
		t.Fatalf("%+v, %v", x, err)
	}
	var logs []peg.Receipt
	for _, l := range receipts.Logs {
		r := peg.Receipt{Logs: []peg.Log{{Topics: []common.Hash{l.Topics[0].Value, l.Topics[1].Value}, Data: l.Data}}}
		if l.HasTo {
			r.To = &l.To
		}
		logs = append(logs, r)
	}
	outputs, err := peg.PegOuts(logs) // legacy pays the direct one and the fake one
	if err != nil || len(outputs) != 2 || outputs[0].Amount != 2_000_000 {
		t.Fatalf("%v, %v", outputs, err)
	}
	if fees, err := p.Fees(x.GasUsed); err != nil || fees.Sign() <= 0 {
		t.Fatalf("fees %v, %v", fees, err)
	}
	p.LogsBloom = [256]byte{}
	p.BlockHash = standin.PayloadHash(p)
	if x := run(p); x.Status != message.ExecutionInvalid {
		t.Errorf("a hidden request: %+v", x)
	}
	if x := run(standin.Child(g, 1, "", nil, [][]byte{standin.Transfer(1, 3)})); !x.Receipts.None() {
		t.Errorf("receipts of a payload without requests")
	}
}
