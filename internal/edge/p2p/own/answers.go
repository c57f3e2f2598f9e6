package own

import (
	"context"
	"errors"

	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// maxAnswer bounds the blocks of one answer, in bytes.
const maxAnswer = 16 << 20

// handleRequests answers all requests but those of sessions and of other formats.
func (n *Network) handleRequests() {
	n.handle(Range, peer.KindRange, n.serveRange)
	n.handle(Descend, peer.KindDescend, n.serveDescend)
	n.handle(Content, peer.KindContents, n.serveContents)
	n.handle(Approvals, peer.KindApprovals, n.serveApprovals)
	n.handle(Signatures, peer.KindPayments, n.serveSignatures)
	n.handle(Large, peer.KindAnnounce, n.takeLarge)
}

// errEnough ends a walk over blocks.
var errEnough = errors.New("enough")

// budget counts what an answer may still hold.
type budget struct {
	count uint32
	bytes uint32
	end   *peer.End
}

func newBudget(count, bytes uint32) *budget {
	if bytes == 0 || bytes > maxAnswer {
		bytes = maxAnswer
	}
	return &budget{count: count, bytes: bytes}
}

// take reports whether one more block fits; the first always does.
func (b *budget) take(size int, first bool) bool {
	switch {
	case size > peer.MaxBlock:
		b.end = &peer.End{Code: peer.EndMissing, Reason: "the next block is too large for this protocol"}
	case !first && uint64(size) > uint64(b.bytes):
		b.end = &peer.End{Code: peer.EndBytes}
	default:
		b.bytes -= min(b.bytes, uint32(size))
		b.count--
		return true
	}
	return false
}

// blocks sends what walk gives until the budget is used, and says how it ended; short is the
// end of a walk that ended before.
func (a *answer) blocks(b *budget, short uint32, headers func([]byte) (peer.Message, error), walk func(each func([]byte) error) error) (*peer.End, error) {
	first := true
	err := walk(func(signed []byte) error {
		if !b.take(len(signed), first) {
			return errEnough
		}
		first = false
		m := peer.Message(&peer.Block{Signed: signed})
		if headers != nil {
			var err error
			if m, err = headers(signed); err != nil {
				return err
			}
		}
		if err := a.send(m); err != nil {
			return err
		}
		if b.count == 0 {
			b.end = &peer.End{Code: peer.EndComplete}
			return errEnough
		}
		return nil
	})
	switch {
	case err == nil:
		return &peer.End{Code: short}, nil
	case errors.Is(err, errEnough):
		return b.end, nil
	case errors.Is(err, errMissing):
		return &peer.End{Code: peer.EndMissing}, nil
	default:
		return nil, err
	}
}

func (n *Network) serveRange(a *answer, m peer.Message) (*peer.End, error) {
	r := m.(*peer.Range)
	var headers func([]byte) (peer.Message, error)
	if r.Headers {
		headers = n.header
	}
	return a.blocks(newBudget(r.Count, r.MaxBytes), peer.EndHead, headers, func(each func([]byte) error) error {
		return n.opt.Source.Blocks(a.ctx, r.From, each)
	})
}

func (n *Network) header(raw []byte) (peer.Message, error) {
	signed, _, err := n.opt.Decode(raw)
	if err != nil {
		return nil, err
	}
	return peer.NewHeader(signed)
}

func (n *Network) serveDescend(a *answer, m peer.Message) (*peer.End, error) {
	r := m.(*peer.Descend)
	return a.blocks(newBudget(r.Count, r.MaxBytes), peer.EndComplete, nil, func(each func([]byte) error) error {
		found := false
		err := n.opt.Source.Descend(a.ctx, r.Root, r.Lowest, func(signed []byte) error {
			found = true
			return each(signed)
		})
		if err == nil && !found {
			return errMissing
		}
		return err
	})
}

// errMissing ends an answer about a block that is not here.
var errMissing = errors.New("the block is not here")

func (n *Network) serveContents(a *answer, m peer.Message) (*peer.End, error) {
	list := m.(*peer.Contents).Hashes
	room := maxAnswer
	for i := range len(list) / 32 {
		data, err := n.opt.Source.Content(a.ctx, peer.Hash(list, i))
		if err != nil {
			return nil, err
		}
		if len(data) > peer.MaxBlock {
			data = nil
		}
		if room -= len(data); room < 0 && i > 0 {
			return &peer.End{Code: peer.EndBytes}, nil
		}
		if err := a.send(&peer.Content{Data: data}); err != nil {
			return nil, err
		}
	}
	return &peer.End{}, nil
}

func (n *Network) serveApprovals(a *answer, m peer.Message) (*peer.End, error) {
	list := m.(*peer.Approvals).Roots
	for i := range len(list) / 32 {
		root := peer.Hash(list, i)
		found, err := n.opt.Source.Approvals(a.ctx, root)
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			if err := a.send(&peer.Approval{Root: root, Authority: x.Authority, Signature: x.Signature}); err != nil {
				return nil, err
			}
		}
	}
	return &peer.End{}, nil
}

func (n *Network) serveSignatures(a *answer, m peer.Message) (*peer.End, error) {
	list := m.(*peer.Payments).Txids
	for i := range len(list) / 32 {
		found, err := n.opt.Source.Signatures(a.ctx, peer.Hash(list, i))
		if err != nil {
			return nil, err
		}
		for k := range found {
			x, ok := peer.SignaturesOf(&found[k])
			if !ok {
				continue
			}
			if err := a.send(x); err != nil {
				return nil, err
			}
		}
	}
	return &peer.End{}, nil
}

// Handle answers requests of another format that has a protocol id of its own: f gets the
// request and sends any number of messages, none above [peer.MaxOpaque]. An error of f that is
// graded Invalid is the peer's fault.
func (n *Network) Handle(p protocol.ID, f func(ctx context.Context, from libp2p.ID, request []byte, send func([]byte) error) error) {
	n.handle(p, peer.KindOpaque, func(a *answer, m peer.Message) (*peer.End, error) {
		err := f(a.ctx, a.id, m.(*peer.Opaque).Data, func(data []byte) error { return a.send(&peer.Opaque{Data: data}) })
		return &peer.End{}, err
	})
}
