package legacy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Bounds of serving. Legacy opens at most 32 requests on a connection, and reads as
// fast as it imports.
const (
	requestDeadline = 10 * time.Second // for the request (wire.md 9.5)
	chunkDeadline   = 20 * time.Second // for one chunk to be read by the peer
	answerDeadline  = 10 * time.Minute // for a whole answer
	perPeer         = 4
	perNode         = 32
)

// ServerOptions are those of a server. Blocks and Synced are required.
type ServerOptions struct {
	// Blocks gives the signed blocks of the head's branch from a height on, ascending,
	// until each returns an error, which it returns, or the head is passed.
	Blocks func(ctx context.Context, from uint64, each func(signed []byte) error) error
	Synced func() bool
	// Report is told what a peer did wrong, as in [message.PeerAct].
	Report func(id peer.ID, kind, detail string)
	Logger *slog.Logger
}

// Server answers requests. Create it with [Serve].
type Server struct {
	opt ServerOptions
	h   host.Host

	ctx     context.Context
	stop    context.CancelFunc
	mu      sync.Mutex
	serving map[peer.ID]int
	total   int
	running sync.WaitGroup
}

// Serve answers requests for blocks until Close.
func Serve(h host.Host, o ServerOptions) *Server {
	if o.Report == nil {
		o.Report = func(peer.ID, string, string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: o, h: h, serving: map[peer.ID]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	h.SetStreamHandler(blockrange.Protocol, s.handle)
	return s
}

// Close ends the answers under way.
func (s *Server) Close() error {
	s.h.RemoveStreamHandler(blockrange.Protocol)
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// enter takes a place for an answer, or says that there is none, or that the server is closed.
func (s *Server) enter(id peer.ID) (room, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false, false
	}
	s.running.Add(1)
	if s.serving[id] >= perPeer || s.total >= perNode {
		return false, true
	}
	s.serving[id]++
	s.total++
	return true, true
}

func (s *Server) leave(id peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.serving[id]--; s.serving[id] == 0 {
		delete(s.serving, id)
	}
}

// handle answers one request.
func (s *Server) handle(stream network.Stream) {
	id := stream.Conn().RemotePeer()
	room, open := s.enter(id)
	if !open {
		_ = stream.Reset()
		return
	}
	defer s.running.Done()
	ctx, cancel := context.WithTimeout(s.ctx, answerDeadline)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	if room {
		defer s.leave(id)
	}
	if err := s.answer(ctx, stream, room); err != nil {
		s.opt.Logger.Debug("answer to a legacy request ends early", "peer", id.String(), "error", err)
		_ = stream.Reset()
		return
	}
	_ = stream.Close() // the answer is whole; whether it arrives is the peer's
}

// errEnough ends an answer that has all that was asked for.
var errEnough = errors.New("enough blocks")

func (s *Server) answer(ctx context.Context, stream network.Stream, room bool) error {
	data, err := read(stream)
	if err != nil {
		return err
	}
	request, err := blockrange.DecodeRequest(data)
	out := &answer{stream: stream, left: min(request.Count, blockrange.MaxCount)}
	switch {
	case err != nil:
		s.opt.Report(stream.Conn().RemotePeer(), message.ActMalformed, err.Error())
		return out.refuse(blockrange.InvalidRequest, "no request for blocks")
	case !room:
		return out.refuse(blockrange.RateLimited, "too many requests at a time")
	case request.Count == 0:
		return nil // as legacy: no answer
	case !s.opt.Synced():
		return out.refuse(blockrange.Unavailable, "this node is behind: ask another")
	}
	err = s.opt.Blocks(ctx, request.Start, out.send)
	switch {
	case err == nil || errors.Is(err, errEnough):
		return nil
	case out.failed != nil:
		return out.failed
	case out.sent > 0:
		// Legacy takes what came before the end of an answer; a code would end its sync.
		s.opt.Logger.Warn("answer to a legacy request is cut", "blocks", out.sent, "error", err)
		return nil
	default:
		s.opt.Logger.Warn("legacy request is not answered", "height", request.Start, "error", err)
		return out.refuse(blockrange.ServerError, "blocks cannot be read")
	}
}

// read reads a request, which its sender ends by closing its side.
func read(stream network.Stream) ([]byte, error) {
	if err := stream.SetReadDeadline(time.Now().Add(requestDeadline)); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(stream, blockrange.MaxRequest+1))
}

// answer writes chunks.
type answer struct {
	stream network.Stream
	left   uint64 // blocks
	sent   int
	buf    []byte
	failed error // of the stream
}

// send appends one block to the answer.
func (a *answer) send(signed []byte) error {
	b, err := block.Decode(signed)
	if err != nil {
		return err
	}
	if a.buf, err = blockrange.AppendBlock(a.buf[:0], b); err != nil {
		return err // above what a chunk holds
	}
	if err := a.write(); err != nil {
		return err
	}
	a.sent++
	if a.left--; a.left == 0 {
		return errEnough
	}
	return nil
}

// refuse ends the answer by a code.
func (a *answer) refuse(code blockrange.Code, text string) error {
	a.buf = blockrange.AppendError(a.buf[:0], code, text)
	return a.write()
}

func (a *answer) write() error {
	err := a.stream.SetWriteDeadline(time.Now().Add(chunkDeadline))
	if err == nil {
		_, err = a.stream.Write(a.buf)
	}
	a.failed = err
	return err
}
