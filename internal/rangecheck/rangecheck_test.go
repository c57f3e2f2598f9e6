package rangecheck

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const members = 3

func keys() (list []aura.PublicKey) {
	for i := range members {
		list = append(list, aura.DevKey(uint64(i+1)).PublicKey())
	}
	return list
}

func committee(t testing.TB) *aura.Committee {
	t.Helper()
	c, err := aura.NewCommittee(keys())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// line is a line of signed blocks from a height on, each by the members that sign names.
func line(t testing.TB, from uint64, n int, sign func(i int) []int) []*block.Signed {
	t.Helper()
	var list []*block.Signed
	parent := common.Hash{1}
	for i := range n {
		s := block.Genesis(spec.Dev(), block.Payload{})
		s.Block.ParentHash, s.Block.Slot, s.Block.Payload.BlockNumber = parent, 1000+uint64(i), from+uint64(i)
		s.Approvals = aura.None()
		parent = s.Root()
		for _, by := range sign(i) {
			if err := s.Approvals.Add(aura.Approval{Authority: uint8(by), Signature: aura.DevKey(uint64(by + 1)).Sign(parent)}); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, s)
	}
	return list
}

func all(int) []int { return []int{0, 1, 2} }

// check adds blocks until there is enough or one is refused, and ends.
func check(t testing.TB, want message.FetchRange, list [][]byte) (Message, error) {
	t.Helper()
	run := New(committee(t), memo.New()).Begin(&want)
	var err error
	for _, b := range list {
		if err = run.Add(t.Context(), b); err != nil {
			break
		}
	}
	return run.End("", ""), err
}

func encoded(list []*block.Signed) (out [][]byte) {
	for _, s := range list {
		out = append(out, s.Encode())
	}
	return out
}

func request(from uint64, count uint32) message.FetchRange {
	return message.FetchRange{Peer: "p", From: from, Count: count, MaxBytes: 1 << 20, DeadlineMs: 1000}
}

// A good answer is given on whole, with what a quorum vouches for.
func TestGood(t *testing.T) {
	blocks := line(t, 7, 6, func(i int) []int {
		if i == 2 || i == 5 {
			return []int{1} // one member: no quorum
		}
		return all(i)
	})
	got, err := check(t, request(7, 6), encoded(blocks))
	m, ok := got.(*message.RangeFetched)
	if err != nil || !ok {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(m.Blocks) != 6 || m.Peer != "p" || m.From != 7 || m.Fault != "" || m.Parent != (common.Hash{1}) || m.Last != blocks[5].Root() {
		t.Errorf("%+v", m)
	}
	if m.Quorum != 5 || m.Proven != blocks[4].Root() {
		t.Errorf("a quorum vouches for %d up to %s", m.Quorum, m.Proven)
	}
	for i, b := range m.Blocks {
		if !bytes.Equal(b.Signed.Data, blocks[i].Encode()) {
			t.Errorf("block %d is another", i)
		}
	}
}

// What is before the first bad block counts, and the fault says what was wrong.
func TestBad(t *testing.T) {
	const bad = 3
	for _, c := range []struct {
		kind string
		good int
		how  func(t *testing.T, list [][]byte, blocks []*block.Signed) [][]byte
	}{
		{message.ActMalformed, bad, func(_ *testing.T, list [][]byte, _ []*block.Signed) [][]byte {
			list[bad] = append(list[bad], 0)
			return list
		}},
		{message.ActGap, bad, func(_ *testing.T, list [][]byte, _ []*block.Signed) [][]byte {
			return append(list[:bad], list[bad+1:]...)
		}},
		{message.ActOrder, bad, func(_ *testing.T, list [][]byte, _ []*block.Signed) [][]byte {
			list[bad] = list[bad-1]
			return list
		}},
		{message.ActForged, bad, func(t *testing.T, list [][]byte, _ []*block.Signed) [][]byte {
			other := line(t, 7+bad, 1, all)
			list[bad] = other[0].Encode()
			return list
		}},
		{message.ActForged, bad, func(t *testing.T, list [][]byte, blocks []*block.Signed) [][]byte {
			late := *blocks[bad]
			late.Block.Slot = blocks[bad-1].Block.Slot
			list[bad] = late.Encode()
			return list
		}},
		{message.ActInvalidSignature, bad, func(t *testing.T, list [][]byte, blocks []*block.Signed) [][]byte {
			false := *blocks[bad]
			false.Approvals = aura.None()
			if err := false.Approvals.Add(aura.Approval{Authority: 1, Signature: aura.DevKey(1).Sign(blocks[bad].Root())}); err != nil {
				t.Fatal(err)
			}
			list[bad] = false.Encode()
			return list
		}},
		{message.ActInvalidSignature, bad, func(_ *testing.T, list [][]byte, blocks []*block.Signed) [][]byte {
			none := *blocks[bad]
			none.Approvals = aura.None()
			list[bad] = none.Encode()
			return list
		}},
		{message.ActUnwanted, 6, func(t *testing.T, list [][]byte, _ []*block.Signed) [][]byte {
			return append(list, line(t, 13, 1, all)[0].Encode())
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			blocks := line(t, 7, 6, all)
			got, _ := check(t, request(7, 6), c.how(t, encoded(blocks), blocks))
			m, ok := got.(*message.RangeFetched)
			if !ok {
				t.Fatalf("%+v", got)
			}
			if m.Fault != c.kind || m.Detail == "" || len(m.Blocks) != c.good || m.Quorum != uint32(c.good) || m.Last != blocks[c.good-1].Root() {
				t.Errorf("%d blocks, %d with a quorum, fault %q (%s)", len(m.Blocks), m.Quorum, m.Fault, m.Detail)
			}
		})
	}
}

// An answer without a good block has failed, by what was wrong with the first.
func TestFailed(t *testing.T) {
	late := func(run *Run) Message { return run.End(run.Late(), "late") }
	for kind, list := range map[string][][]byte{
		message.ActEmpty:     nil,
		message.ActMalformed: {{1}},
		message.ActGap:       encoded(line(t, 8, 1, all)),
		message.ActOrder:     encoded(line(t, 6, 1, all)),
	} {
		got, _ := check(t, request(7, 6), list)
		if m, ok := got.(*message.RangeFailed); !ok || m.Fault != kind || m.Detail == "" || m.Peer != "p" || m.From != 7 {
			t.Errorf("%s: %+v", kind, got)
		}
	}
	want := request(7, 6)
	run := New(committee(t), memo.New()).Begin(&want)
	if m, ok := late(run).(*message.RangeFailed); !ok || m.Fault != message.ActTimeout {
		t.Errorf("%+v", m)
	}
	run = New(committee(t), memo.New()).Begin(&want)
	if m, ok := run.End(Busy, "busy").(*message.RangeFailed); !ok || m.Fault != "" {
		t.Errorf("%+v", m)
	}
	run = New(committee(t), memo.New()).Begin(&want)
	if err := run.Add(t.Context(), line(t, 7, 1, all)[0].Encode()); err != nil {
		t.Fatal(err)
	}
	if m, ok := late(run).(*message.RangeFetched); !ok || m.Fault != message.ActSlow || len(m.Blocks) != 1 {
		t.Errorf("%+v", m)
	}
}

// Reading ends when there is enough: of blocks, of bytes, but never before the first block.
func TestEnough(t *testing.T) {
	list := encoded(line(t, 1, 4, all))
	want := request(1, 4)
	want.MaxBytes = uint32(len(list[0]) + 1)
	run := New(committee(t), memo.New()).Begin(&want)
	for i, enough := range []bool{false, false, true} {
		if run.Enough() != enough {
			t.Errorf("after %d blocks: %t", i, !enough)
		}
		if err := run.Add(t.Context(), list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if m := run.End("", "").(*message.RangeFetched); m.Fault != "" || m.Bytes == 0 {
		t.Errorf("%+v", m)
	}
}

// No deadline is after the whole answer's time.
func TestDeadlines(t *testing.T) {
	now := time.Unix(1000, 0)
	c := New(committee(t), memo.New())
	c.now = func() time.Time { return now }
	want := request(1, 4)
	run := c.Begin(&want)
	if at := run.Deadline(); at != now.Add(time.Second) {
		t.Errorf("the first is %s", at)
	}
	begun := now
	now = now.Add(MostTime - time.Millisecond)
	if at := run.Deadline(); at != begun.Add(MostTime) {
		t.Errorf("the last is %s", at)
	}
	run.End("", "")
}

// stuck is work whose checks wait until they are let go.
type stuck struct {
	*memo.Memo
	let chan struct{}
}

func (s stuck) Verify(*aura.Committee, aura.Approvals, common.Hash) error {
	<-s.let
	return errors.New("wrong")
}

// Signatures that wait are bounded, and one that waits for room ends with its context.
func TestBounded(t *testing.T) {
	s := stuck{memo.New(), make(chan struct{})}
	c := New(committee(t), s)
	most := cap(c.waiting)
	list := encoded(line(t, 1, most+1, func(int) []int { return []int{0} }))
	want := request(1, uint32(most+1))
	want.MaxBytes = 64 << 20
	run := c.Begin(&want)
	before := runtime.NumGoroutine()
	for i := range most {
		if err := run.Add(t.Context(), list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if n := runtime.NumGoroutine() - before; n > most {
		t.Errorf("%d goroutines", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run.Add(ctx, list[most]); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(s.let)
	if m, ok := run.End("", "").(*message.RangeFailed); !ok || m.Fault != message.ActInvalidSignature {
		t.Errorf("%+v", m)
	}
}

// The rate at which the answers of a peer are checked, beside one signature check.
func BenchmarkCheck(b *testing.B) {
	const n = 256
	list := encoded(line(b, 1, n, all))
	var contents []record.Content
	for _, data := range list {
		contents = append(contents, record.NewContent(data))
	}
	c := committee(b)
	b.Run("answer of 256", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			want := request(1, n)
			want.MaxBytes = 64 << 20
			run := New(c, memo.New()).Begin(&want)
			for _, data := range list {
				if err := run.Add(b.Context(), data); err != nil {
					b.Fatal(err)
				}
			}
			if m := run.End("", "").(*message.RangeFetched); m.Quorum != n {
				b.Fatalf("%+v", m.Fault)
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "blocks/s")
	})
	b.Run("one signature", func(b *testing.B) {
		b.ReportAllocs()
		signed, err := block.Decode(contents[0].Data)
		if err != nil {
			b.Fatal(err)
		}
		root := signed.Root()
		for b.Loop() {
			if err := c.Verify(&signed.Approvals, root); err != nil {
				b.Fatal(err)
			}
		}
	})
}
