package own

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// answerTimeout is what one answer may take in all, however slowly its reader reads.
const answerTimeout = 2 * time.Minute

// helloPatience is how long a request waits for the session of its peer, whose Hello may be
// on its way on another stream.
const helloPatience = 2 * time.Second

// chunk is what is gathered before it is written to a stream.
const chunk = 32 << 10

// answer is where a server writes.
type answer struct {
	id     libp2p.ID
	ctx    context.Context
	stream network.Stream
	wait   time.Duration
	in     *bufio.Reader
	out    *bufio.Writer
}

func (n *Network) newAnswer(ctx context.Context, id libp2p.ID, stream network.Stream) *answer {
	return &answer{
		id: id, ctx: ctx, stream: stream, wait: n.opt.Patience, in: bufio.NewReaderSize(stream, 4096),
		out: bufio.NewWriterSize(&paced{stream, n.opt.Patience}, chunk),
	}
}

// paced is a stream of which each read and write has a deadline.
type paced struct {
	network.Stream
	wait time.Duration
}

func (p *paced) Write(b []byte) (int, error) {
	_ = p.SetWriteDeadline(time.Now().Add(p.wait))
	return p.Stream.Write(b)
}

// send writes one frame. What it gathers is bounded by the frame.
func (a *answer) send(m peer.Message) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	_, err := a.out.Write(peer.AppendFrame(nil, m))
	return err
}

// server answers the request that a stream brought and returns how the answer ends.
type server func(*answer, peer.Message) (*peer.End, error)

// handle answers the requests of one protocol.
func (n *Network) handle(p protocol.ID, due peer.Kind, f server) {
	n.host.SetStreamHandler(p, func(stream network.Stream) {
		if !n.start(func() { n.serve(p, stream, due, f) }) {
			_ = stream.Reset()
		}
	})
}

// serve answers the one request of a stream.
func (n *Network) serve(p protocol.ID, stream network.Stream, due peer.Kind, f server) {
	id := stream.Conn().RemotePeer()
	v, done := n.limits.stream(id, n.isMember(id), p)
	switch v {
	case tooMany:
		n.act(id, message.ActFlood, "more streams of "+string(p)+" at once than are served")
		_ = stream.Reset()
		return
	case tooOften:
		n.act(id, message.ActSpam, "more requests than the rate allows")
		n.turnAway(stream, "too many requests")
		return
	case busy:
		n.turnAway(stream, "busy with others")
		return
	}
	defer done()
	ctx, cancel := context.WithTimeout(n.ctx, answerTimeout)
	defer cancel()
	unblock := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer unblock()
	if n.awaitSession(id, helloPatience) == nil {
		_ = stream.Reset()
		return
	}
	_ = stream.SetReadDeadline(time.Now().Add(n.opt.Patience))
	a := n.newAnswer(ctx, id, stream)
	request, err := peer.ReadFrame(a.in, due)
	if err == nil {
		var end *peer.End
		end, err = f(a, request)
		if g := fault.Of(err); err != nil && (g == fault.Temporary || g == fault.CannotJudge) {
			end, err = &peer.End{Code: peer.EndBusy, Reason: "not at the moment"}, nil
		}
		if err == nil && end != nil {
			err = a.send(end)
		}
	}
	if err == nil {
		err = a.out.Flush()
	}
	n.served(id, p, stream, err)
}

// turnAway says that a request is not served.
func (n *Network) turnAway(stream network.Stream, why string) {
	_ = stream.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	if _, err := stream.Write(peer.AppendFrame(nil, &peer.End{Code: peer.EndBusy, Reason: why})); err != nil {
		_ = stream.Reset()
		return
	}
	_ = stream.Close()
}

// served closes a stream and tells what was wrong with it.
func (n *Network) served(id libp2p.ID, p protocol.ID, stream network.Stream, err error) {
	if err == nil {
		_ = stream.Close()
		return
	}
	_ = stream.Reset()
	switch {
	case fault.Is(err, fault.Invalid) && fault.Of(err) == fault.Invalid:
		n.act(id, message.ActProtocol, string(p)+": "+err.Error())
	case fault.Is(err, fault.Corrupt), fault.Is(err, fault.Fatal) && fault.Of(err) == fault.Fatal && !isStream(err):
		n.log.Error("a request of a peer is not answered", "peer", id, "protocol", p, "error", err)
	default:
		n.log.Debug("a request of a peer is not answered to its end", "peer", id, "protocol", p, "error", err)
	}
}

// isStream reports whether an error is of the stream, not of what is served.
func isStream(err error) bool {
	return late(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, network.ErrReset) ||
		errors.Is(err, context.Canceled)
}

// late reports whether an error means that a deadline has passed. Each muxer has an error of
// its own for it.
func late(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
