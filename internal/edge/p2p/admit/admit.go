package admit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/lru"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Checks are the slow pure functions, remembered: a memo.
type Checks interface {
	Decode(signed []byte) (*block.Signed, common.Hash, error)
	Verify(c *aura.Committee, a aura.Approvals, root common.Hash) error
	VerifyApproval(c *aura.Committee, a aura.Approval, root common.Hash) error
}

// Options of an admitter. Chain and Checks are required.
type Options struct {
	Chain  *spec.Chain
	Checks Checks
	// Work judges a proof's structure against the blocks of its range: nil when it is
	// well formed, CannotJudge when the range is not known here, Invalid when it is not
	// well formed. Nil knows no range. (consensus.md C8 g)
	Work  func(*block.AuxPowHeader) error
	Clock func() time.Time // nil is time.Now
}

// Heard is one gossip message as it came.
type Heard struct {
	Topic  string
	Data   []byte
	From   string // peer id of whoever handed it to us
	Author string // peer id of whoever signed it
	Legacy bool   // From forwards before it looks
}

// Verdict says what becomes of a message.
type Verdict uint8

// The verdicts.
const (
	Forward Verdict = iota // it is passed on, and handled here
	Keep                   // it is handled here, and not passed on: its proof cannot be judged
	Drop                   // it is of no use, and nobody's fault
	Refuse                 // it is passed on to nobody, and From should have known
)

// Message is what a core is given.
type Message interface {
	record.Record
	Type() string
	Schema() uint32
}

// Act is what a peer did, as in [message.PeerAct].
type Act struct {
	Peer, Kind, Detail string
}

// Result is what was found of a message.
type Result struct {
	Verdict Verdict
	Message Message // for the actor that handles its type; nil unless Forward or Keep
	Acts    []Act
}

// Bounds of what is remembered.
const (
	maxPeers  = 2048
	maxIDs    = 16 << 10
	maxBlocks = 4096
)

// Bounds of the clock: a slot that begins later than ahead is refused, one that is
// over for longer than behind is dropped, for what is missed is asked for. Clocks
// of members differ by a second at most. (architecture.md 1.10)
const (
	ahead       = 15 * time.Second
	behind      = 5 * time.Minute
	behindSlots = 64
)

// maxDetail is the longest text of an act, in bytes. ([message.PeerAct])
const maxDetail = 200

// Admitter judges gossip. Create it with [New].
type Admitter struct {
	opt       Options
	committee *aura.Committee
	members   map[[33]byte]bool // federation keys

	buckets *buckets
	ids     *lru.Cache[string, struct{}]            // messages judged
	blocks  *lru.Cache[common.Hash, aura.Approvals] // approvals heard of a block, by bits
}

// New returns an admitter for a chain.
func New(o Options) (*Admitter, error) {
	committee, err := aura.NewCommittee(o.Chain.Authorities)
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Work == nil {
		o.Work = func(*block.AuxPowHeader) error {
			return fault.New(fault.CannotJudge, "no range of blocks is known here")
		}
	}
	a := &Admitter{
		opt: o, committee: committee, members: make(map[[33]byte]bool, len(o.Chain.FederationKeys)), buckets: newBuckets(o.Clock),
		ids: lru.NewCache[string, struct{}](maxIDs), blocks: lru.NewCache[common.Hash, aura.Approvals](maxBlocks),
	}
	for _, key := range o.Chain.FederationKeys {
		a.members[key] = true
	}
	return a, nil
}

// refusal is why a message is not admitted.
type refusal struct {
	verdict Verdict
	kind    string // of the act; empty when nobody is to blame
	detail  string
}

func refuse(kind, format string, args ...any) *refusal {
	return &refusal{Refuse, kind, fmt.Sprintf(format, args...)}
}

func drop(kind, format string, args ...any) *refusal {
	return &refusal{Drop, kind, fmt.Sprintf(format, args...)}
}

// Judge says what becomes of a message.
func (a *Admitter) Judge(h Heard) Result {
	m, good, no := a.judge(h)
	return result(h, m, good, no)
}

func result(h Heard, m Message, good string, no *refusal) Result {
	if no == nil {
		return Result{Verdict: Forward, Message: m, Acts: []Act{{Peer: h.From, Kind: good}}}
	}
	r := Result{Verdict: no.verdict, Acts: blame(h, no)}
	if no.verdict == Keep {
		r.Message = m
	}
	if no.verdict == Refuse && forwarded(h) {
		r.Verdict = Drop // From could not know
	}
	return r
}

// forwarded reports whether a message came by a node that looks at nothing.
func forwarded(h Heard) bool { return h.Legacy && h.From != h.Author }

// blame names who did what. How often something comes says nothing of its author:
// anybody can send it again.
func blame(h Heard, no *refusal) []Act {
	if no.kind == "" {
		return nil
	}
	detail := strings.ToValidUTF8(no.detail[:min(len(no.detail), maxDetail)], "?")
	switch {
	case !forwarded(h):
		return []Act{{h.From, no.kind, detail}}
	case no.verdict == Refuse:
		return []Act{{h.From, message.ActForwarded, detail}, {h.Author, no.kind, detail}}
	default:
		return nil
	}
}

// judge returns the message and the good act that it is, or why it is refused. A
// message that is kept comes with both.
func (a *Admitter) judge(h Heard) (m Message, good string, no *refusal) {
	if len(h.Data) > gossip.MaxLegacySize {
		return nil, "", refuse(message.ActOversized, "%d bytes on %s", len(h.Data), h.Topic)
	}
	if a.ids.Contains(gossip.MessageID(h.Data)) {
		return nil, "", drop(message.ActDuplicate, "a message on %s once more", h.Topic)
	}
	if !a.buckets.take(h.From, h.Topic) {
		return nil, "", drop(message.ActSpam, "more messages on %s than the rate allows", h.Topic)
	}
	// Remembered whatever is found: judging is a function of the bytes, but for the
	// clock and ranges, and whoever was early is asked for again.
	a.ids.Add(gossip.MessageID(h.Data), struct{}{})
	if h.Topic == gossip.TopicConsensusBlock {
		raw, ok := bytes.CutPrefix(h.Data, envelope)
		if !ok {
			return nil, "", refuse(message.ActMalformed, "a message on %s that is no block", h.Topic)
		}
		peer := ""
		if h.From == h.Author { // whoever forwards knows only what a block shows without state
			peer = h.From
		}
		return a.judgeBlock(raw, peer)
	}
	decoded, err := gossip.Decode(h.Data)
	switch {
	case err != nil:
		return nil, "", refuse(message.ActMalformed, "%v", err)
	case decoded.Topic() != h.Topic:
		return nil, "", refuse(message.ActMalformed, "a message of %s on %s", decoded.Topic(), h.Topic)
	case !bytes.Equal(decoded.Encode(), h.Data):
		return nil, "", refuse(message.ActMalformed, "a message on %s that encodes to other bytes", h.Topic)
	}
	switch decoded := decoded.(type) {
	case *gossip.ApproveBlock:
		m, good, no = a.judgeApproval(decoded)
		if no == nil && a.blocks.Contains(decoded.Root) {
			return m, good, nil // of a block of now, there are no more of these than members
		}
	case *gossip.QueuePow:
		m, good, no = a.judgeWork(decoded)
	case *gossip.PegoutSignatures:
		m, good, no = a.judgeSignatures(decoded)
	default:
		return nil, "", refuse(message.ActMalformed, "a message of unknown kind on %s", h.Topic)
	}
	if m != nil && !a.buckets.takeUnproven(h.Topic, len(h.Data)) {
		return nil, "", drop("", "more on %s than is taken in of all peers together", h.Topic)
	}
	return m, good, no
}

// Publishing makes a block of our own one whose approvals are waited for.
func (a *Admitter) Publishing(root common.Hash) {
	if !a.blocks.Contains(root) {
		a.blocks.Add(root, aura.None())
	}
}

func (a *Admitter) judgeApproval(m *gossip.ApproveBlock) (Message, string, *refusal) {
	if err := a.opt.Checks.VerifyApproval(a.committee, m.Approval, m.Root); err != nil {
		return nil, "", refuse(message.ActInvalidSignature, "%v", err)
	}
	return &message.ApprovalReceived{Root: m.Root, Authority: m.Approval.Authority, Signature: m.Approval.Signature}, message.ActApproval, nil
}

func (a *Admitter) judgeWork(m *gossip.QueuePow) (Message, string, *refusal) {
	work := &message.QueueWork{Header: m.Header.Encode()}
	switch h := m.Header; {
	case h.ChainID != a.opt.Chain.ChainID:
		return nil, "", refuse(message.ActInvalidWork, "a proof of work for chain %d", h.ChainID)
	case h.AuxPow != nil && !h.AuxPow.CheckWork(h.Bits):
		return nil, "", refuse(message.ActInvalidWork, "a proof whose parent block misses the target %08x it claims", h.Bits)
	}
	if no := a.carried(m.Header); no != nil {
		return work, "", no
	}
	return work, message.ActWork, nil
}

// carried judges a header of work, in a block or before: what legacy aborts on is not
// passed on, nor what it may abort on. What a carrier claims of target and chain is
// judged by its rules. (consensus.md C8)
func (a *Admitter) carried(h *block.AuxPowHeader) *refusal {
	if h.AuxPow == nil {
		return refuse(message.ActInvalidWork, "a header of work without a proof")
	}
	err := h.AuxPow.CheckStructure(chainhash.Hash{}, h.ChainID)
	if defect, ok := errors.AsType[auxpow.Defect](err); ok && defect.Certain() {
		return refuse(message.ActInvalidWork, "%v", err)
	}
	err = a.opt.Work(h)
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.Invalid):
		return refuse(message.ActInvalidWork, "%v", err)
	default:
		return &refusal{verdict: Keep}
	}
}

// maxSignatures is how many payments one message of signatures may name. A range has at most one
// proposal a block.
const maxSignatures = 1024

func (a *Admitter) judgeSignatures(m *gossip.PegoutSignatures) (Message, string, *refusal) {
	if len(m.Entries) == 0 {
		return nil, message.ActSignature, drop("", "no signatures")
	}
	if len(m.Entries) > maxSignatures {
		return nil, "", refuse(message.ActOversized, "signatures of %d payments", len(m.Entries))
	}
	out := &message.SignaturesReceived{Payments: make([]message.PaymentSignatures, len(m.Entries))}
	for i := range m.Entries {
		e := &m.Entries[i]
		if !a.members[e.PublicKey] {
			return nil, "", refuse(message.ActInvalidSignature, "a payment signed by key %x, which is no member's", e.PublicKey[:8])
		}
		p := &out.Payments[i]
		p.Txid, p.Key, p.Signatures = e.Txid, e.PublicKey, make([]message.PayoutSignature, len(e.Signatures))
		for k := range e.Signatures {
			p.Signatures[k].Value = e.Signatures[k]
		}
	}
	return out, message.ActSignature, nil
}
