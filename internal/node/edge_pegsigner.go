package node

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// pegSignerEdge has the federation key sign what the journal says was asked for. It is
// asked one payment after the other: a signer that is slow delays nothing else.
type pegSignerEdge struct {
	signer     pegsigner.Signer // nil when this node holds no federation key
	federation *peg.Federation
	content    func(record.Content) ([]byte, error)
	log        *slog.Logger
	// refuseThrough is the sequence of the turn since which signing is held: of the
	// block signer, for both are held together.
	refuseThrough *atomic.Uint64
	held          func() bool            // whether they are now
	trouble       atomic.Pointer[string] // why the last request was not signed
}

// openPegSigner makes the edge, and says in the configuration which member this node is.
// A member has both keys or neither. (peg.md A1)
func (n *Node) openPegSigner(m *message.NodeConfigured, c *spec.Chain) error {
	federation, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		return err
	}
	n.pegSigner = &pegSignerEdge{
		federation: federation, content: n.content,
		log: n.log.With("edge", string(bridge.SignerEdge)), refuseThrough: &n.signer.refuseThrough,
		held: func() bool { return n.view.snapshot().Signing.Held },
	}
	if n.opt.PegSigner != nil {
		signer, err := n.opt.PegSigner(federation)
		if err != nil {
			return err
		}
		n.pegSigner.signer = signer
		member, err := pegsigner.Member(federation, signer.PublicKey())
		if err != nil {
			return err
		}
		m.HasPegKey, m.PegMember = true, uint32(member)
	}
	if m.Judging && !m.Importing && m.HasAuthority != m.HasPegKey {
		if m.HasAuthority {
			return fault.New(fault.Invalid, "an authority key without a federation key: a member of the federation needs both (federation-key-file or federation-signer), a full node neither, and --not-validator may have one")
		}
		return fault.New(fault.Invalid, "a federation key without an authority key: a member of the federation needs both (authority-key-file), a full node neither, and --not-validator may have one")
	}
	return nil
}

// Execute implements actors.Executor.
func (e *pegSignerEdge) Execute(ctx context.Context, r actors.Request) {
	m, ok := r.Message.(*message.SignPayout)
	if !ok {
		return
	}
	signed, err := e.sign(ctx, r.Ref.Sequence, m)
	switch {
	case err == nil:
		e.trouble.Store(nil)
		r.Reply(&signed)
	case ctx.Err() != nil: // it is pending, and asked again by the next run
	default:
		text := err.Error()
		if before := e.trouble.Swap(&text); before == nil || *before != text {
			e.log.Warn("payment is not signed", "txid", m.Txid.String(), "height", m.Number, "grade", fault.Of(err).String(), "error", err)
		}
		r.Reply(&message.PayoutRefused{Txid: m.Txid, Grade: uint8(fault.Of(err)), Reason: strings.ToValidUTF8(clip(text), "?")})
	}
}

func (e *pegSignerEdge) sign(ctx context.Context, sequence uint64, m *message.SignPayout) (message.PayoutSigned, error) {
	switch {
	case sequence <= e.refuseThrough.Load() || e.held():
		return message.PayoutSigned{}, fault.New(fault.CannotJudge, "payment %s: signing is held since an incident of the journal; see alys signing status", m.Txid)
	case e.signer == nil:
		return message.PayoutSigned{}, fault.New(fault.CannotJudge, "this node holds no federation key")
	}
	raw, err := e.content(m.Raw)
	if err != nil {
		return message.PayoutSigned{}, fault.Wrap(fault.Temporary, err, "payment "+m.Txid.String())
	}
	whole := *m
	whole.Raw.Data = raw
	return pegsigner.Answer(ctx, e.signer, e.federation, &whole)
}

// now says why the last payment was not signed, "" when it was.
func (e *pegSignerEdge) now() string {
	if text := e.trouble.Load(); text != nil {
		return *text
	}
	return ""
}
