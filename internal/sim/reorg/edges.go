package reorg

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/reorg/model"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// asked takes an effect that a turn asks for. It leaves at once or waits; what
// has no result leaves in the order of the others.
func (n *node) asked(e effect) {
	if m, ok := e.request.(*message.StartTimer); ok {
		n.startTimer(e, m)
		return
	}
	n.effects = append(n.effects, e)
}

func (n *node) startTimer(e effect, m *message.StartTimer) {
	at := m.At
	if at == 0 {
		at = n.w.wall + int64(m.After)
	}
	n.timers = append(n.timers, timer{ref: e.ref, actor: e.actor, at: at, due: n.mono + at - n.w.wall})
}

// run executes effects whose edge is not held, oldest first, until none is left.
func (n *node) run() {
	for i := 0; i < len(n.effects) && !n.stopped; {
		e := n.effects[i]
		if n.held[e.edge] {
			i++
			continue
		}
		n.effects = slices.Delete(slices.Clone(n.effects), i, i+1)
		n.releasedAt = max(n.releasedAt, e.ref.Sequence)
		n.sameAsBefore(e)
		if answer := n.execute(e); answer != nil {
			n.step(actors.Input{Actor: e.actor, Message: answer, Cause: e.ref})
			n.drain()
		}
		i = 0
	}
	if len(n.effects) == 0 {
		n.releasedAt, n.learnt = n.machine.Sequence(), nil
	}
}

// sameAsBefore: an effect that is executed again has the content it had.
func (n *node) sameAsBefore(e effect) {
	body, _ := record.Encode(e.request)
	sum := sha256.Sum256(append([]byte(e.request.Type()+"\x00"), body...))
	if before, again := n.executed[e.ref]; again && before != sum {
		n.fail("no effect repeats with another content", "%s of turn %d", e.request.Type(), e.ref.Sequence)
	}
	n.executed[e.ref] = sum
}

// execute is the outside. nil: the effect has no result.
func (n *node) execute(e effect) core.Message {
	switch m := e.request.(type) {
	case *message.ImportPayloads:
		answer, err := n.layer.Import(m, n.w.work.Decode)
		if err != nil {
			n.fail("the layer gets whole blocks", "%v", err)
		}
		n.layer.Sync() // what it reports as executed survives a crash
		return answer
	case *message.UpdateForkchoice:
		return n.forkchoice(m)
	case *message.BuildPayload:
		built, failed := n.layer.Build(m)
		if failed != nil {
			return failed
		}
		return built
	case *message.SignBlock:
		n.signed(m.Slot, m.Root)
		return &message.BlockSigned{Root: m.Root, Signature: n.signature(m.Root)}
	case *message.SignApproval:
		n.signed(m.Slot, m.Root)
		n.approved(m)
		return &message.ApprovalSigned{Root: m.Root, Signature: n.signature(m.Root)}
	case *message.SignStatement:
		return &message.StatementSigned{RangeEnd: m.RangeEnd, Signature: n.signature(m.RangeEnd)}
	default:
		n.leave(e.request)
		return nil
	}
}

func (n *node) signature(root common.Hash) aura.Signature {
	return standin.Approve(n.role.Member, root).Signature
}

// forkchoice moves the layer's head. A finalised payload that is not below the
// head must never be asked for.
func (n *node) forkchoice(m *message.UpdateForkchoice) core.Message {
	answer := n.layer.Forkchoice(m)
	if answer.Status == message.ExecutionInvalid {
		n.fail("forkchoice is consistent", "head %s, finalised %s: %s", n.w.name(n.w.payload(m.Head)), n.w.name(n.w.payload(m.Finalized)), answer.Reason)
	}
	return answer
}

// payload is the root of the block with this payload hash.
func (w *world) payload(hash common.Hash) common.Hash {
	for _, m := range w.order {
		if m.signed.Block.Payload.BlockHash == hash {
			return m.root
		}
	}
	return hash
}

// leave takes effects without a result.
func (n *node) leave(request core.Message) {
	switch m := request.(type) {
	case *message.FetchBlocks:
		n.fetches = append(n.fetches, *m)
		if len(n.fetches) > maxFetches {
			n.fetches = n.fetches[1:]
		}
	case *message.PublishBlock:
		n.published(m.Signed)
	case *message.PublishApproval:
		n.w.approval(m.Root, aura.Approval{Authority: m.Authority, Signature: m.Signature})
	case *message.AuxBlock:
		if m.Error == "" {
			n.aux = m
		}
	case *message.StopProcess:
		n.stopped = true
	}
}

// maxFetches is how many requests to peers a node's harness keeps.
const maxFetches = 64

func (n *node) published(content record.Content) {
	s, root, err := n.w.work.Decode(content.Data)
	switch {
	case err != nil:
		n.fail("nodes publish blocks that exist", "%v", err)
	case n.w.roots[root] == nil:
		n.fail("nodes publish blocks that exist", "%x was never made", root[:4])
	}
	n.w.approvalsOf(s, root)
}

func approvalOf(n *node, root common.Hash) aura.Approval {
	return standin.Approve(n.role.Member, root)
}

// approval notes one that everybody may learn.
func (w *world) approval(root common.Hash, a aura.Approval) {
	if !slices.Contains(w.approvals[root], a) {
		w.approvals[root] = append(w.approvals[root], a)
	}
}

// answer sends what the node asked its peers for.
func (n *node) answer() {
	asked := n.fetches
	n.fetches = nil
	for _, f := range asked {
		var line []copyOf
		for m := n.w.roots[f.Root]; m != nil && m.parent != nil && m.number() >= f.From && len(line) < maxAnswer; m = m.parent {
			line = append(line, m.copy())
		}
		slices.Reverse(line)
		n.give(chain.Sync, line)
	}
}

// maxAnswer is how many blocks peers send at once.
const maxAnswer = 4096

// copyOf is a block as it travels: the same root may come with other approvals.
type copyOf struct {
	signed *block.Signed
	bytes  record.Content
}

func (m *made) copy() copyOf { return copyOf{m.signed, m.bytes} }

// copies reads the words of blocks: c1..c9 a run, b1+0,2 a copy with the approvals
// of these members, b1!0,2 one with a signature that does not hold.
func (w *world) copies(words []string) (list []copyOf) {
	for _, word := range names(words) {
		at := strings.IndexAny(word, "+!")
		if at < 0 {
			if m := w.blocks[word]; m != nil && m.number() > 0 {
				list = append(list, m.copy())
			}
			continue
		}
		m := w.blocks[word[:at]]
		if m == nil || m.parent == nil {
			continue
		}
		s := *m.signed
		s.Approvals = standin.Approvals(m.root, Action{"by", word[at+1:]}.members("by")...)
		if word[at] == '!' {
			s.Approvals.Signature[0] ^= 1
		} else {
			w.approvalsOf(&s, m.root)
		}
		list = append(list, copyOf{&s, record.NewContent(s.Encode())})
	}
	return list
}

// approve is an approval that arrives.
func (n *node) approve(root common.Hash, a aura.Approval) {
	n.learn(func(k *model.Known) { k.Approve(root, a) })
	n.send(chain.ID, &message.ApprovalReceived{Root: root, Authority: a.Authority, Signature: a.Signature})
}
