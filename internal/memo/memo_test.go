package memo

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// signedBlock is a block with a number and the approval of the development
// chain's member.
func signedBlock(t testing.TB, number uint64) (*block.Signed, common.Hash) {
	t.Helper()
	s := block.Genesis(spec.Dev(), block.Payload{})
	s.Block.Payload.BlockNumber, s.Block.ParentHash = number, common.Hash{1}
	root := s.Root()
	s.Approvals = aura.None()
	if err := s.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign(root)}); err != nil {
		t.Fatal(err)
	}
	return s, root
}

func committee(t testing.TB) *aura.Committee {
	t.Helper()
	c, err := aura.NewCommittee(spec.Dev().Authorities)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A memo answers what the functions answer, good or bad, first and again, with
// and without preparation.
func TestAnswers(t *testing.T) {
	m, c := New(), committee(t)
	m.Prepare(&message.NodeConfigured{ChainSpec: record.NewContent(spec.Dev().Encode())})
	var batch message.BlocksReceived
	for number := range uint64(6) {
		s, _ := signedBlock(t, number+1)
		if number%2 == 1 {
			s.Approvals.Signature[5] ^= 1
		}
		data := s.Encode()
		if number == 4 {
			data = data[:len(data)-1]
		}
		batch.Blocks = append(batch.Blocks, message.Block{Signed: record.NewContent(data)})
	}
	m.Prepare(&message.BlocksReceived{Blocks: batch.Blocks[:3]})
	for round := range 2 {
		for i, b := range batch.Blocks {
			got, root, err := m.Decode(b.Signed.Data)
			want, wantErr := block.Decode(b.Signed.Data)
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Fatalf("round %d, block %d: %v, want %v", round, i, err, wantErr)
			}
			if err != nil {
				continue
			}
			if root != want.Root() || got.Root() != root {
				t.Errorf("round %d, block %d: root %s", round, i, root)
			}
			verdict, wantVerdict := m.Verify(c, got.Approvals, root), c.Verify(&want.Approvals, root)
			if (verdict == nil) != (wantVerdict == nil) || (verdict == nil) != (i%2 == 0) {
				t.Errorf("round %d, block %d: %v, want %v", round, i, verdict, wantVerdict)
			}
		}
	}
}

// Approvals are remembered apart from aggregates, good and bad, and adding is
// what aura does.
func TestApprovals(t *testing.T) {
	m, c := New(), committee(t)
	m.Prepare(&message.NodeConfigured{ChainSpec: record.NewContent(spec.Dev().Encode())})
	root := common.Hash{7}
	good := aura.Approval{Signature: aura.DevKey(1).Sign(root)}
	for _, a := range []aura.Approval{good, {Signature: aura.DevKey(2).Sign(root)}, {Signature: good.Signature, Authority: 1}, {}} {
		before := m.verdicts.Len()
		m.Prepare(&message.ApprovalReceived{Root: root, Authority: a.Authority, Signature: a.Signature})
		if m.verdicts.Len() != before+1 {
			t.Errorf("the verdict on %d is not remembered", a.Authority)
		}
		for range 2 {
			got, want := m.VerifyApproval(c, a, root), c.VerifyApproval(a, root)
			if (got == nil) != (want == nil) || (want == nil) != (a == good) {
				t.Errorf("approval of %d: %v, want %v", a.Authority, got, want)
			}
		}
		if m.verdicts.Len() != before+1 {
			t.Errorf("the verdict on %d is computed again", a.Authority)
		}
	}
	sum := aura.None()
	if err := m.Add(&sum, good); err != nil || m.Verify(c, sum, root) != nil {
		t.Errorf("sum of one: %v, %v", err, m.Verify(c, sum, root))
	}
	if m.Add(&sum, good) == nil {
		t.Error("an approval is added twice")
	}
}

// Junk of any size leaves the memo within its bounds, and its count of bytes
// right: a wrong one would have it empty itself and go on.
func TestBounds(t *testing.T) {
	m := New()
	for i := range uint64(200_000) {
		size := 300 // so small that the number of entries is what bounds them
		if i%10_000 == 0 {
			size = 64 << 10
		}
		junk := make([]byte, size)
		binary.BigEndian.PutUint64(junk, i)
		if _, _, err := m.Decode(junk); err == nil {
			t.Fatal("junk decodes")
		}
	}
	sum := 0
	for _, key := range m.decoded.Keys() {
		d, _ := m.decoded.Peek(key)
		sum += d.size
	}
	if sum != m.bytes || sum > maxDecodedBytes || sum < maxDecodedBytes/2 {
		t.Errorf("%d entries of %d bytes, counted %d", m.decoded.Len(), sum, m.bytes)
	}
}

// One entry above the whole bound is answered and not kept.
func TestLargeEntry(t *testing.T) {
	m := New()
	if _, _, err := m.Decode(make([]byte, maxDecodedBytes+1)); err == nil {
		t.Error("zeros decode")
	}
	if m.bytes != 0 || m.decoded.Len() != 0 {
		t.Errorf("%d bytes kept", m.bytes)
	}
}

func TestConcurrent(t *testing.T) {
	m, c := New(), committee(t)
	s, root := signedBlock(t, 1)
	data := s.Encode()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				got, _, err := m.Decode(data)
				if err != nil || m.Verify(c, got.Approvals, root) != nil {
					t.Error("wrong answer")
				}
				m.Prepare(&message.BlocksReceived{Blocks: []message.Block{{Signed: record.NewContent(data)}}})
			}
		})
	}
	wg.Wait()
}

func BenchmarkDecodeKnown(b *testing.B) {
	m := New()
	s, _ := signedBlock(b, 1)
	data := s.Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := m.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
