package sim

import (
	"math/rand/v2"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// stranger is a peer without an authority: it has no machine, only answers. What it
// serves it takes from a member, and then does to it what its kind does.
type stranger struct {
	w     *world
	index int // as a peer
	kind  strangerKind
	rand  *rand.Rand
}

type strangerKind uint8

const (
	truthful  strangerKind = iota // serves what there is
	short                         // only a part, always
	reordered                     // two blocks change places
	gapped                        // one is missing
	forging                       // a block is another, its signatures are not
	unsigned                      // approvals are left out
	mute                          // never answers
	boasting                      // tells a head that nobody has, and never answers
	junk                          // bytes that are no block
	foreign                       // a branch of its own, correctly linked, by nobody
	strangerKinds
)

var strangerNames = [strangerKinds]string{"truthful", "short", "reordered", "gapped", "forging", "unsigned", "mute", "boasting", "junk", "foreign"}

func (k strangerKind) String() string { return strangerNames[k] }

func newStranger(w *world, index int, kind strangerKind) *stranger {
	return &stranger{w: w, index: index, kind: kind, rand: w.rand.stranger}
}

// harmless reports whether it does nothing that a node may not do.
func (s *stranger) harmless() bool { return s.kind == truthful || s.kind == short }

// refuses reports whether there is no connection to be had.
func (s *stranger) refuses(p *process) bool { return p.peers.banned(s.index) }

// source is a member whose chain is served.
func (s *stranger) source() *process {
	for _, m := range s.w.members {
		if m.process != nil && m.process.peers.head.Number > 0 {
			return m.process
		}
	}
	return nil
}

// head is what it tells of itself.
func (s *stranger) head(p *process) message.BlockID {
	at := s.source()
	switch {
	case s.kind == boasting:
		return message.BlockID{Root: common.Hash{1, byte(s.index)}, Number: 1_000_000}
	case at == nil:
		return p.peers.head
	}
	return at.peers.head
}

func (s *stranger) finalized(p *process) message.BlockID {
	if at := s.source(); at != nil && s.kind != boasting {
		return at.peers.finalized
	}
	return p.peers.finalized
}

// start has it tell its head for ever.
func (s *stranger) start() {
	s.w.after(slot+s.rand.Int64N(slot), "stranger", s.index, func() {
		for _, m := range s.w.members {
			if p := m.process; p != nil && s.w.net.linked(p, s.index) != nil {
				p.peers.hear(s.index, s.head(p), s.finalized(p))
			}
		}
		s.start()
	})
}

// serve answers a request for a range.
func (s *stranger) serve(m *message.FetchRange) ([]record.Content, string) {
	at := s.source()
	if at == nil {
		return nil, ""
	}
	blocks := slices.Clone(at.branch(m.From, m.Count))
	if len(blocks) == 0 {
		return nil, ""
	}
	i := s.rand.IntN(len(blocks))
	switch s.kind {
	case short:
		blocks = blocks[:min(len(blocks), 1+len(blocks)/4)]
	case reordered:
		j := (i + 1) % len(blocks)
		blocks[i], blocks[j] = blocks[j], blocks[i]
	case gapped:
		blocks = slices.Delete(blocks, i, i+1)
	case forging, unsigned:
		blocks[i] = s.spoil(blocks[i])
	case mute, boasting:
		return nil, message.ActTimeout
	case junk:
		blocks[i] = record.NewContent(blocks[i].Data[:s.rand.IntN(len(blocks[i].Data))])
	case foreign:
		blocks = s.invent(blocks)
	}
	return blocks, ""
}

// spoil changes a block, or leaves its approvals out.
func (s *stranger) spoil(c record.Content) record.Content {
	signed, _, err := s.w.work.Decode(c.Data)
	if err != nil {
		return c
	}
	fake := *signed
	if s.kind == unsigned {
		fake.Approvals = standin.Approvals(common.Hash{})
	} else {
		fake.Block.Payload.StateRoot[3] ^= 1
	}
	return record.NewContent(fake.Encode())
}

// invent makes a linked branch of the same heights and slots that nobody signed.
func (s *stranger) invent(blocks []record.Content) (made []record.Content) {
	var parent common.Hash
	for i, c := range blocks {
		signed, _, err := s.w.work.Decode(c.Data)
		if err != nil {
			return made
		}
		fake := *signed
		if i > 0 {
			fake.Block.ParentHash = parent
		}
		fake.Block.Payload.ExtraData = []byte("foreign")
		fake.Approvals = standin.Approvals(common.Hash{})
		parent = fake.Block.Root()
		made = append(made, record.NewContent(fake.Encode()))
	}
	return made
}
