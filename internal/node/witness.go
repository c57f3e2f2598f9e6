package node

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal/tree"
	"github.com/AnduroProject/alys-go/journal/witness"
)

// WitnessDir returns where a data directory keeps what it saw of other journals, and who
// witnessed its own.
func WitnessDir(dataDir string) string { return filepath.Join(dataDir, "witness") }

// witnessEvery is how often members are asked for their newest checkpoint: as often as they
// sign one.
const witnessEvery = signEvery

// exchange asks a connected peer in messages of package checkpoint.
type exchange func(ctx context.Context, peer string, request []byte) ([]byte, error)

// memberPeers is which peers proved that they hold an authority's key.
type memberPeers struct {
	mu    sync.Mutex
	peers map[string]uint8 // authority by peer
}

// fold takes what the edge says of connections.
func (p *memberPeers) fold(m any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := m.(type) {
	case *message.PeerConnected:
		if m.HasAuthority && m.Authority < aura.MaxAuthorities {
			if p.peers == nil {
				p.peers = map[string]uint8{}
			}
			p.peers[m.Peer] = uint8(m.Authority)
		}
	case *message.PeerGone:
		delete(p.peers, m.Peer)
	}
}

// list returns one peer for each member, by peer id where it has several.
func (p *memberPeers) list() map[uint8]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := map[uint8]string{}
	for _, id := range slices.Sorted(maps.Keys(p.peers)) {
		if _, taken := list[p.peers[id]]; !taken {
			list[p.peers[id]] = id
		}
	}
	return list
}

// openWitness opens the book of witnesses. Without index and notary there is none.
func (n *Node) openWitness() error {
	if n.notary == nil {
		return nil
	}
	committee, err := aura.NewCommittee(n.rules.Authorities)
	if err != nil {
		return err
	}
	o := witness.Options{Dir: WitnessDir(n.opt.DataDir), Genesis: n.genesisRoot, Committee: committee, Signer: n.notary.signer}
	if n.config.HasAuthority && n.opt.AuthorityKey != nil {
		o.Key = checkpoint.SignKey(n.genesisRoot, uint8(n.config.Authority), n.notary.public, *n.opt.AuthorityKey)
	}
	n.noteKey = o.Key
	n.witnesses, err = witness.Open(o)
	return err
}

// answerJournal answers for this node's journal.
func (n *Node) answerJournal(m *checkpoint.AskJournal) checkpoint.Message {
	if n.witnesses == nil || n.noteKey == nil {
		return &checkpoint.Refusal{Reason: "this node is no member"}
	}
	n.notaryLock.Lock()
	kept, signed := n.notary.Kept()
	n.notaryLock.Unlock()
	if len(signed) == 0 {
		return &checkpoint.Refusal{Reason: "no checkpoint is signed yet"}
	}
	answer := &checkpoint.Journal{Key: n.noteKey, Note: signed}
	if m.Origin != kept.Origin || m.Size == 0 || m.Size >= kept.Size {
		return answer
	}
	path, err := n.index.Source().Consistency(m.Size, kept.Size)
	if err != nil {
		n.log.Warn("no proof for a witness", "from", m.Size, "to", kept.Size, "error", err)
		return &checkpoint.Refusal{Reason: "the index is not ready"}
	}
	for _, h := range path {
		answer.Path = append(answer.Path, h[:]...)
	}
	return answer
}

// takeCosigned keeps what a witness signed.
func (n *Node) takeCosigned(m *checkpoint.Cosigned) checkpoint.Message {
	if n.witnesses == nil {
		return &checkpoint.Refusal{Reason: "this node keeps no witnesses"}
	}
	durable := n.index.Position().Sequence
	err := n.witnesses.Take(m, n.notary.origin, func(size uint64) (tree.Hash, error) {
		if size > durable {
			return tree.Hash{}, fault.New(fault.Invalid, "it is over %d events, indexed are %d", size, durable)
		}
		return n.index.Source().Root(size)
	})
	if err != nil {
		n.log.Warn("a witness of the journal is not taken", "error", err)
		return &checkpoint.Refusal{Reason: "it is not a signature of our journal"}
	}
	return &checkpoint.Taken{}
}

// witnessJournals asks the members that are connected for their newest checkpoints, and signs
// those that continue what was seen.
func (n *Node) witnessJournals(ctx context.Context) error {
	ticks := time.NewTicker(n.opt.WitnessEvery)
	defer ticks.Stop()
	for {
		for authority, peer := range n.members.list() {
			if ctx.Err() != nil {
				return nil
			}
			if n.noteKey != nil && authority == n.noteKey.Authority {
				continue
			}
			if err := n.witnessOne(ctx, authority, peer); fault.Is(err, fault.Corrupt) {
				n.log.Error("a member's journal contradicts what it signed before", "authority", authority, "peer", peer, "error", err, "evidence", WitnessDir(n.opt.DataDir))
			} else if err != nil {
				n.log.Debug("a member's journal is not witnessed", "authority", authority, "peer", peer, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// witnessOne asks one member, and hands it back what was signed.
func (n *Node) witnessOne(ctx context.Context, authority uint8, peer string) error {
	asked := n.witnesses.Question(authority)
	answer, err := n.exchangeWith(ctx, peer, asked)
	if err != nil {
		return err
	}
	m, ok := answer.(*checkpoint.Journal)
	if !ok {
		return fault.New(fault.CannotJudge, "it answers with %T", answer)
	}
	cosigned, err := n.witnesses.Observe(authority, asked, m)
	if err != nil || cosigned == nil {
		return err
	}
	answer, err = n.exchangeWith(ctx, peer, cosigned)
	if no, refused := answer.(*checkpoint.Refusal); err == nil && refused {
		return fault.New(fault.CannotJudge, "it does not take our signature: %s", no.Reason)
	}
	return err
}

func (n *Node) exchangeWith(ctx context.Context, peer string, m checkpoint.Message) (checkpoint.Message, error) {
	data, err := n.exchange(ctx, peer, checkpoint.Pack(m))
	if err != nil {
		return nil, err
	}
	return checkpoint.Unpack(data)
}

// contradictions describes what was found of other journals, "" for nothing.
func (n *Node) contradictions() string {
	if n.witnesses == nil {
		return ""
	}
	if list := n.witnesses.Findings(); len(list) > 0 {
		last := list[len(list)-1]
		return clip(fmt.Sprintf("the journal of authority %d contradicts what it signed: %s; evidence is in %s", last.Authority, last.Text, WitnessDir(n.opt.DataDir)))
	}
	return ""
}
