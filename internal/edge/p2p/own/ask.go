package own

import (
	"bufio"
	"context"
	"crypto/sha256"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/network"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// Fault is why a request failed: what the peer did, as a kind of [message.PeerAct]. It is
// graded Temporary: another peer may answer.
type Fault struct {
	Kind   string
	Detail string
}

// Error implements error.
func (f *Fault) Error() string { return f.Kind + ": " + f.Detail }

// Grade says that another peer may answer.
func (*Fault) Grade() fault.Grade { return fault.Temporary }

// failed makes a Fault of what went wrong while an answer was read.
func failed(kind, detail string) error { return &Fault{kind, peer.Text(detail)} }

// question is one request to one peer.
type question struct {
	id      libp2p.ID
	on      protocol.ID
	request peer.Message
	due     peer.Kind // of what comes before End
	wait    time.Duration
}

// ask asks and gives each frame of the answer to each, whose error ends it.
func (n *Network) ask(ctx context.Context, q question, each func(peer.Message) error) (*peer.End, error) {
	if n.session(q.id) == nil {
		return nil, failed(message.ActReset, "no session with it")
	}
	if q.wait <= 0 {
		q.wait = n.opt.Patience
	}
	opening, done := context.WithTimeout(ctx, q.wait)
	defer done()
	stream, err := n.newStream(opening, q.id, q.on)
	if err != nil {
		return nil, failed(streamFault(err), string(q.on)+": "+err.Error())
	}
	defer stream.Reset() //nolint:errcheck // after Close it does nothing
	unblock := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer unblock()
	_ = stream.SetWriteDeadline(time.Now().Add(q.wait))
	if _, err := stream.Write(peer.AppendFrame(nil, q.request)); err != nil {
		return nil, failed(streamFault(err), string(q.on)+": "+err.Error())
	}
	_ = stream.CloseWrite() // the request is whole without it
	return readAnswer(stream, q, each)
}

func readAnswer(stream network.Stream, q question, each func(peer.Message) error) (*peer.End, error) {
	in := bufio.NewReaderSize(stream, chunk)
	for frames := 0; ; frames++ {
		_ = stream.SetReadDeadline(time.Now().Add(q.wait))
		m, err := peer.ReadFrame(in, q.due, peer.KindEnd)
		if err != nil {
			kind := streamFault(err)
			if kind == message.ActTimeout && frames > 0 {
				kind = message.ActSlow
			}
			return nil, failed(kind, string(q.on)+": "+err.Error())
		}
		if end, ok := m.(*peer.End); ok {
			_ = stream.Close()
			return end, nil
		}
		if err := each(m); err != nil {
			return nil, err
		}
	}
}

// streamFault is the act behind an error of a stream.
func streamFault(err error) string {
	switch {
	case fault.Of(err) == fault.Invalid:
		return message.ActProtocol
	case late(err):
		return message.ActTimeout
	default:
		return message.ActReset
	}
}

// Range asks a peer for blocks of its head's branch. each gets their bytes, undecoded,
// ascending; its error ends the request and is returned. wait is for the first block, and
// between two. Errors are of each, or a [Fault].
func (n *Network) Range(ctx context.Context, id libp2p.ID, r peer.Range, wait time.Duration, each func(signed []byte) error) (*peer.End, error) {
	due := peer.KindBlock
	count, bytes := uint32(0), uint64(0)
	if r.Headers {
		return nil, fault.New(fault.Invalid, "headers are asked for by Headers")
	}
	return n.ask(ctx, question{id, Range, &r, due, wait}, func(m peer.Message) error {
		signed := m.(*peer.Block).Signed
		if count++; count > r.Count {
			return failed(message.ActUnwanted, "more blocks than were asked for")
		}
		if bytes += uint64(len(signed)); count > 1 && r.MaxBytes > 0 && bytes > uint64(r.MaxBytes) {
			return failed(message.ActOversized, "more bytes of blocks than were asked for")
		}
		return each(signed)
	})
}

// Headers asks a peer for headers of its head's branch. The caller opens them.
func (n *Network) Headers(ctx context.Context, id libp2p.ID, from uint64, most uint32, wait time.Duration, each func(*peer.Header) error) (*peer.End, error) {
	count := uint32(0)
	r := &peer.Range{From: from, Count: most, Headers: true}
	return n.ask(ctx, question{id, Range, r, peer.KindHeader, wait}, func(m peer.Message) error {
		if count++; count > most {
			return failed(message.ActUnwanted, "more headers than were asked for")
		}
		return each(m.(*peer.Header))
	})
}

// Descend asks a peer for a block and those below it, and checks that they are: the first
// has the root, each next one that of the parent. It returns their bytes, the lowest first, also
// with an error: what came before it is good.
func (n *Network) Descend(ctx context.Context, id libp2p.ID, r peer.Descend, wait time.Duration) (signed [][]byte, err error) {
	want := r.Root
	height, bytes := uint64(0), uint64(0)
	end, err := n.ask(ctx, question{id, Descend, &r, peer.KindBlock, wait}, func(m peer.Message) error {
		raw := m.(*peer.Block).Signed
		b, root, err := n.opt.Decode(raw)
		switch {
		case err != nil:
			return failed(message.ActMalformed, err.Error())
		case root != want:
			return failed(message.ActForged, "block "+root.Hex()+" where "+want.Hex()+" is due")
		case uint32(len(signed)) >= r.Count || len(signed) > 0 && height <= r.Lowest:
			return failed(message.ActUnwanted, "more blocks than were asked for")
		}
		if bytes += uint64(len(raw)); len(signed) > 0 && r.MaxBytes > 0 && bytes > uint64(r.MaxBytes) {
			return failed(message.ActOversized, "more bytes of blocks than were asked for")
		}
		want, height = b.Block.ParentHash, b.Block.Payload.BlockNumber
		signed = append(signed, raw)
		return nil
	})
	if err == nil && len(signed) == 0 {
		err = failed(message.ActEmpty, "it does not have block "+r.Root.Hex()+": "+endText(end))
	}
	for i, k := 0, len(signed)-1; i < k; i, k = i+1, k-1 {
		signed[i], signed[k] = signed[k], signed[i]
	}
	return signed, err
}

func endText(end *peer.End) string {
	switch end.Code {
	case peer.EndBusy:
		return "busy"
	case peer.EndMissing:
		return "missing"
	}
	return "complete"
}

// Contents asks a peer for contents by SHA-256, 1 to [peer.MaxAsked], and checks that they
// are. each gets those that the peer has, in order.
func (n *Network) Contents(ctx context.Context, id libp2p.ID, hashes [][32]byte, wait time.Duration, each func(hash [32]byte, data []byte) error) error {
	next := 0
	_, err := n.ask(ctx, question{id, Content, &peer.Contents{Hashes: joined(hashes)}, peer.KindContent, wait}, func(m peer.Message) error {
		data := m.(*peer.Content).Data
		if next++; next > len(hashes) {
			return failed(message.ActUnwanted, "more contents than were asked for")
		}
		switch hash := hashes[next-1]; {
		case len(data) == 0:
			return nil
		case sha256.Sum256(data) != hash:
			return failed(message.ActWrongBytes, "content of another hash than "+common.Hash(hash).Hex())
		default:
			return each(hash, data)
		}
	})
	return err
}

// Approvals asks a peer for single approvals of blocks. Their signatures are the caller's to
// check.
func (n *Network) Approvals(ctx context.Context, id libp2p.ID, roots [][32]byte, wait time.Duration, each func(*peer.Approval) error) error {
	asked := map[[32]byte]int{}
	for _, r := range roots {
		asked[r] = n.committee.Len()
	}
	_, err := n.ask(ctx, question{id, Approvals, &peer.Approvals{Roots: joined(roots)}, peer.KindApproval, wait}, func(m peer.Message) error {
		x := m.(*peer.Approval)
		if asked[x.Root]--; asked[x.Root] < 0 {
			return failed(message.ActUnwanted, "approvals of a block that was not asked for, or more than there are members")
		}
		return each(x)
	})
	return err
}

// Signatures asks a peer for signatures of payments. They are the caller's to check.
func (n *Network) Signatures(ctx context.Context, id libp2p.ID, txids [][32]byte, wait time.Duration, each func(message.PaymentSignatures) error) error {
	asked := map[[32]byte]int{}
	for _, id := range txids {
		asked[id] = len(n.opt.Chain.FederationKeys)
	}
	_, err := n.ask(ctx, question{id, Signatures, &peer.Payments{Txids: joined(txids)}, peer.KindSignatures, wait}, func(m peer.Message) error {
		x := m.(*peer.Signatures)
		if asked[x.Txid]--; asked[x.Txid] < 0 {
			return failed(message.ActUnwanted, "signatures of a payment that was not asked for, or more than there are members")
		}
		return each(x.Payment())
	})
	return err
}

func joined(hashes [][32]byte) []byte {
	out := make([]byte, 0, 32*len(hashes))
	for i := range hashes {
		out = append(out, hashes[i][:]...)
	}
	return out
}

// Ask makes a request of another format that has a protocol id of its own. most bounds the bytes
// of the answer.
func (n *Network) Ask(ctx context.Context, id libp2p.ID, p protocol.ID, request []byte, most int64, wait time.Duration, each func([]byte) error) (*peer.End, error) {
	if len(request) > peer.MaxOpaque {
		return nil, fault.New(fault.Invalid, "a request of %d bytes, at most %d are sent", len(request), peer.MaxOpaque)
	}
	return n.ask(ctx, question{id, p, &peer.Opaque{Data: request}, peer.KindOpaque, wait}, func(m peer.Message) error {
		data := m.(*peer.Opaque).Data
		if most -= int64(len(data)) + 1; most < 0 {
			return failed(message.ActOversized, "more bytes than were asked for")
		}
		return each(data)
	})
}
