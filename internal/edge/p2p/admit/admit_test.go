package admit_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/admit"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../../testdata/legacy"

// recorded is a recorded chain and what a listening peer heard of it, in order.
func recorded(t testing.TB, name string) (*spec.Chain, []admit.Heard) {
	t.Helper()
	dir := filepath.Join(vectors.Dir(legacyDir), "chains", name)
	data, err := os.ReadFile(filepath.Join(dir, "chain.json"))
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := spec.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := vectors.Lines(dir, "gossip")
	if err != nil {
		t.Fatal(err)
	}
	var out []admit.Heard
	for _, line := range lines {
		var v struct{ Data string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(v.Data)
		if err != nil {
			t.Fatal(err)
		}
		m, err := gossip.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, admit.Heard{Topic: m.Topic(), Data: data, From: "relay", Author: "author", Legacy: true})
	}
	return chain, out
}

// clock is moved by what is heard.
type clock struct{ now time.Time }

func (c *clock) at(chain *spec.Chain, slot uint64) {
	c.now = time.UnixMilli(int64(slot * chain.SlotDuration))
}

func admitter(t testing.TB, chain *spec.Chain, c *clock, work func(*block.AuxPowHeader) error) *admit.Admitter {
	t.Helper()
	a, err := admit.New(admit.Options{Chain: chain, Checks: memo.New(), Work: work, Clock: func() time.Time { return c.now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func knownRange(*block.AuxPowHeader) error { return nil }

// slotOf is the slot of a block in gossip, 0 for anything else.
func slotOf(t testing.TB, data []byte) uint64 {
	t.Helper()
	m, err := gossip.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := m.(*gossip.ConsensusBlock); ok {
		return b.Signed.Block.Slot
	}
	return 0
}

// TestVectorsAdmitted admits all that legacy members said while they made two chains: each
// message is forwarded, or brings nothing, and nobody is blamed. A second time all of it
// is known.
func TestVectorsAdmitted(t *testing.T) {
	for _, name := range []string{"single", "fed3"} {
		chain, heard := recorded(t, name)
		c := &clock{}
		a := admitter(t, chain, c, knownRange)
		forwarded := map[string]int{}
		for i, h := range heard {
			if slot := slotOf(t, h.Data); slot > 0 {
				c.at(chain, slot)
			} else {
				c.now = c.now.Add(100 * time.Millisecond)
			}
			r := a.Judge(h)
			switch {
			case r.Verdict == admit.Forward && r.Message != nil && len(r.Acts) == 1 && r.Acts[0].Peer == "relay":
				forwarded[h.Topic]++
			case r.Verdict == admit.Drop && r.Message == nil && len(r.Acts) == 0:
			default:
				t.Fatalf("%s, message %d on %s: %+v", name, i, h.Topic, r)
			}
		}
		t.Logf("%s: %v of %d messages", name, forwarded, len(heard))
		for _, topic := range []string{gossip.TopicConsensusBlock, gossip.TopicQueuePow} {
			if forwarded[topic] == 0 {
				t.Errorf("%s: nothing on %s", name, topic)
			}
		}
		last := heard[len(heard)-1]
		last.Legacy = false
		if r := a.Judge(last); r.Verdict != admit.Drop || len(r.Acts) != 1 || r.Acts[0].Kind != message.ActDuplicate {
			t.Errorf("%s: once more: %+v", name, r)
		}
	}
}

// federation is a chain of three members whose keys are known.
func federation() *spec.Chain {
	c := spec.Dev()
	c.Authorities = []aura.PublicKey{aura.DevKey(1).PublicKey(), aura.DevKey(2).PublicKey(), aura.DevKey(3).PublicKey()}
	return c
}

func signed(t testing.TB, chain *spec.Chain, slot uint64, signers ...int) *block.Signed {
	t.Helper()
	s := block.Genesis(chain, block.Payload{})
	s.Block.AuxPowHeader = nil
	s.Block.ParentHash[0], s.Block.Slot, s.Block.Payload.BlockNumber = 1, slot, 5
	s.Approvals = aura.None()
	for _, i := range signers {
		if err := s.Approvals.Add(aura.Approval{Authority: uint8(i), Signature: aura.DevKey(uint64(i + 1)).Sign(s.Root())}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func onBlocks(s *block.Signed) admit.Heard {
	return admit.Heard{Topic: gossip.TopicConsensusBlock, Data: (&gossip.ConsensusBlock{Signed: s}).Encode(), From: "p", Author: "p"}
}

// TestBlocks names what a block is refused for, and for what it is not.
func TestBlocks(t *testing.T) {
	chain := federation()
	c := &clock{}
	const now = 1000
	c.at(chain, now)
	second := uint64(1000 / min(chain.SlotDuration, 1000))
	a := admitter(t, chain, c, nil)
	other := func(change func(s *block.Signed)) *block.Signed {
		s := signed(t, chain, now, 0)
		change(s)
		return s
	}
	beyond := signed(t, chain, now, 0)
	beyond.Block.Payload.BlockNumber = 6
	beyond.Approvals = aura.None()
	if err := beyond.Approvals.Add(aura.Approval{Authority: 0, Signature: aura.DevKey(1).Sign(beyond.Root())}); err != nil {
		t.Fatal(err)
	}
	beyond.Approvals.Bits[0] |= 1 << 7 // an authority that does not exist: the aggregate holds without it
	for _, x := range []struct {
		name    string
		block   *block.Signed
		verdict admit.Verdict
		kind    string
	}{
		{"good", signed(t, chain, now, 0), admit.Forward, message.ActBlock},
		{"the same with one more approval", signed(t, chain, now, 0, 1), admit.Forward, message.ActBlock},
		{"the same with fewer", signed(t, chain, now, 1), admit.Drop, ""},
		{"nobody's", signed(t, chain, now+1), admit.Refuse, message.ActInvalidSignature},
		{"of an authority that does not exist", beyond, admit.Refuse, message.ActInvalidSignature},
		{"another block under the same signature", other(func(s *block.Signed) { s.Block.Payload.GasLimit++ }), admit.Refuse, message.ActInvalidSignature},
		{"genesis", other(func(s *block.Signed) { s.Block.ParentHash = [32]byte{} }), admit.Refuse, message.ActInvalidBlock},
		{"ahead as far as clocks go", signed(t, chain, now+2*second, 0), admit.Forward, message.ActBlock},
		{"ahead of who passes it on by a little less", signed(t, chain, now+16*second, 0), admit.Drop, ""},
		{"far ahead", signed(t, chain, now+40*second, 0), admit.Refuse, message.ActFarSlot},
		{"of the last slot there is", signed(t, chain, ^uint64(0), 0), admit.Refuse, message.ActFarSlot},
		{"long past", signed(t, chain, 1, 0), admit.Drop, ""},
	} {
		r := a.Judge(onBlocks(x.block))
		kind := ""
		if len(r.Acts) > 0 {
			kind = r.Acts[0].Kind
		}
		if r.Verdict != x.verdict || kind != x.kind || (r.Message != nil) != (x.verdict == admit.Forward) {
			t.Errorf("%s: %+v", x.name, r)
		}
	}
}

// TestBlame says whose fault a message is: of whoever passed it on if it looks at what it
// passes on, else of whoever signed it.
func TestBlame(t *testing.T) {
	chain := federation()
	c := &clock{}
	c.at(chain, 1000)
	bad := func(n byte) []byte { return append(bytes.Clone(onBlocks(signed(t, chain, 1000, 0)).Data), n) }
	for _, x := range []struct {
		name    string
		heard   admit.Heard
		verdict admit.Verdict
		acts    []string
	}{
		{"ours forwards", admit.Heard{From: "from", Author: "author"}, admit.Refuse, []string{"from " + message.ActMalformed}},
		{"legacy forwards", admit.Heard{From: "from", Author: "author", Legacy: true}, admit.Drop, []string{"from " + message.ActForwarded, "author " + message.ActMalformed}},
		{"legacy makes it", admit.Heard{From: "from", Author: "from", Legacy: true}, admit.Refuse, []string{"from " + message.ActMalformed}},
	} {
		x.heard.Topic, x.heard.Data = gossip.TopicConsensusBlock, bad(1)
		r := admitter(t, chain, c, nil).Judge(x.heard)
		var acts []string
		for _, act := range r.Acts {
			acts = append(acts, act.Peer+" "+act.Kind)
		}
		if r.Verdict != x.verdict || !equal(acts, x.acts) {
			t.Errorf("%s: %v %v", x.name, r.Verdict, acts)
		}
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestWork forwards a proof only if its range is known and it is well formed; one whose
// range is not known is handled and kept.
func TestWork(t *testing.T) {
	chain, heard := recorded(t, "fed3")
	var data []byte
	for _, h := range heard {
		if h.Topic == gossip.TopicQueuePow {
			data = h.Data
			break
		}
	}
	m, err := gossip.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	good := m.(*gossip.QueuePow).Header
	invalid := func(*block.AuxPowHeader) error { return fault.New(fault.Invalid, "of other blocks") }
	change := func(f func(h *block.AuxPowHeader)) *block.AuxPowHeader {
		h, err := block.DecodeAuxPowHeader(good.Encode())
		if err != nil {
			t.Fatal(err)
		}
		f(h)
		return h
	}
	for _, x := range []struct {
		name    string
		header  *block.AuxPowHeader
		work    func(*block.AuxPowHeader) error
		verdict admit.Verdict
	}{
		{"well formed", good, knownRange, admit.Forward},
		{"of an unknown range", good, nil, admit.Keep},
		{"of other blocks", good, invalid, admit.Refuse},
		{"without a proof", change(func(h *block.AuxPowHeader) { h.AuxPow = nil }), knownRange, admit.Refuse},
		{"of another chain", change(func(h *block.AuxPowHeader) { h.ChainID++ }), knownRange, admit.Refuse},
		{"without the work it claims", change(func(h *block.AuxPowHeader) { h.Bits = 0x03000001 }), knownRange, admit.Refuse},
		{"with another coinbase", change(func(h *block.AuxPowHeader) { h.AuxPow.Coinbase.LockTime++ }), nil, admit.Refuse},
	} {
		h := admit.Heard{Topic: gossip.TopicQueuePow, Data: (&gossip.QueuePow{Header: x.header}).Encode(), From: "p", Author: "p"}
		r := admitter(t, chain, &clock{time.UnixMilli(1)}, x.work).Judge(h)
		if r.Verdict != x.verdict || (r.Message != nil) != (x.verdict == admit.Forward || x.verdict == admit.Keep) {
			t.Errorf("%s: %+v", x.name, r)
		}
	}

	// The same in a block: what the carrier's rules judge is not judged here.
	s := signed(t, federation(), 1000, 0)
	s.Block.AuxPowHeader = change(func(h *block.AuxPowHeader) { h.AuxPow = nil })
	c := &clock{}
	c.at(federation(), 1000)
	s.Approvals = aura.None()
	if err := s.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign(s.Root())}); err != nil {
		t.Fatal(err)
	}
	if r := admitter(t, federation(), c, knownRange).Judge(onBlocks(s)); r.Verdict != admit.Refuse {
		t.Errorf("a carrier without a proof: %+v", r)
	}
}

// TestRates lets a peer bring so much, and another one as much beside it.
func TestRates(t *testing.T) {
	chain := federation()
	c := &clock{time.UnixMilli(1 << 40)}
	a := admitter(t, chain, c, nil)
	junk := func(from string, n int) (spam int) {
		for i := range n {
			r := a.Judge(admit.Heard{Topic: gossip.TopicQueuePow, Data: []byte{byte(i), byte(i >> 8), from[0]}, From: from, Author: from})
			if len(r.Acts) == 1 && r.Acts[0].Kind == message.ActSpam {
				spam++
			}
		}
		return spam
	}
	if got := junk("a", 100); got != 80 {
		t.Errorf("%d of 100 are too many, want 80", got)
	}
	if got := junk("b", 10); got != 0 {
		t.Errorf("%d of another peer are too many", got)
	}
	c.now = c.now.Add(time.Hour)
	for i := range 20 {
		r := a.Judge(admit.Heard{Topic: gossip.TopicQueuePow, Data: []byte{byte(i), 99, 'a'}, From: "a", Author: "a"})
		if r.Acts[0].Kind == message.ActSpam {
			t.Fatalf("an hour later message %d is too many", i)
		}
	}
}

// TestSizes refuses what legacy's frame does not hold, and topics there are none of.
func TestSizes(t *testing.T) {
	a := admitter(t, federation(), &clock{time.UnixMilli(1 << 40)}, nil)
	r := a.Judge(admit.Heard{Topic: gossip.TopicConsensusBlock, Data: make([]byte, gossip.MaxLegacySize+1), From: "p", Author: "p"})
	if r.Verdict != admit.Refuse || r.Acts[0].Kind != message.ActOversized {
		t.Errorf("%+v", r)
	}
	approve := (&gossip.ApproveBlock{Approval: aura.Approval{Authority: 1}}).Encode()
	for _, topic := range []string{gossip.TopicConsensusBlock, gossip.TopicQueuePow, gossip.TopicPegoutSignatures} {
		if r := a.Judge(admit.Heard{Topic: topic, Data: append([]byte(nil), approve...), From: "p", Author: "p"}); r.Verdict == admit.Forward || r.Message != nil {
			t.Errorf("an approval on %s: %+v", topic, r)
		}
	}
	if r := a.Judge(admit.Heard{Topic: "other", Data: approve, From: "p", Author: "p"}); r.Message != nil {
		t.Errorf("a topic there is none of: %+v", r)
	}
}

// FuzzJudge holds that what is forwarded decodes, is canonical and travels on its topic,
// and that what is not gives the core nothing unless it is kept.
func FuzzJudge(f *testing.F) {
	chain := federation()
	c := &clock{}
	c.at(chain, 1000)
	f.Add(uint8(0), onBlocks(signed(f, chain, 1000, 0)).Data)
	f.Add(uint8(1), (&gossip.ApproveBlock{Approval: aura.Approval{Signature: aura.DevKey(1).Sign([32]byte{})}}).Encode())
	f.Add(uint8(3), (&gossip.PegoutSignatures{Entries: make([]gossip.PegoutEntry, 1)}).Encode())
	a, peers := admitter(f, chain, c, nil), 0
	f.Fuzz(func(t *testing.T, topic uint8, data []byte) {
		topics := gossip.Topics()
		peers++ // each has its own rate
		h := admit.Heard{Topic: topics[int(topic)%len(topics)], Data: data, From: strconv.Itoa(peers), Author: "author", Legacy: topic&0x80 != 0}
		r := a.Judge(h)
		for _, act := range r.Acts {
			if len(act.Detail) > 200 || act.Kind == "" || act.Peer == "" {
				t.Fatalf("%+v", act)
			}
		}
		if r.Message != nil != (r.Verdict == admit.Forward || r.Verdict == admit.Keep) {
			t.Fatalf("%+v", r)
		}
		if r.Verdict != admit.Forward {
			return
		}
		m, err := gossip.Decode(data)
		if err != nil || m.Topic() != h.Topic || !bytes.Equal(m.Encode(), data) {
			t.Fatalf("forwarded: %v", err)
		}
	})
}

// BenchmarkJudge is a block with its signature check, and one that is known.
func BenchmarkJudge(b *testing.B) {
	chain := federation()
	c := &clock{}
	c.at(chain, 1000)
	h := onBlocks(signed(b, chain, 1000, 0, 1))
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r := admitter(b, chain, c, nil).Judge(h); r.Verdict != admit.Forward {
				b.Fatal(r)
			}
		}
	})
	b.Run("known", func(b *testing.B) {
		a := admitter(b, chain, c, nil)
		a.Judge(h)
		b.ReportAllocs()
		for b.Loop() {
			if r := a.Judge(h); r.Verdict != admit.Drop {
				b.Fatal(r)
			}
		}
	})
}
