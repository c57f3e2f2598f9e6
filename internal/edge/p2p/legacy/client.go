package legacy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Ask is a request for blocks.
type Ask struct {
	From     uint64
	Count    uint32        // at most [blockrange.MaxCount]
	MaxBytes uint64        // of blocks, after which the answer is cut; one is taken whatever its size
	Deadline time.Duration // for opening the stream, and for each block
}

// Problem is why an answer ended early, with the kind of act that it is.
type Problem struct {
	Kind string // as in [message.PeerAct]
	err  error
}

// Error implements error.
func (p *Problem) Error() string { return p.err.Error() }

// Unwrap implements errors.Unwrap.
func (p *Problem) Unwrap() error { return p.err }

func problem(kind string, grade fault.Grade, err error, what string) error {
	return &Problem{kind, fault.Wrap(grade, err, what)}
}

// Fetch asks a peer and hands over each block of the answer as it comes, in its signed
// form. It returns how many came, and nil when the peer closed well or enough came. An
// error of take ends it and is returned. Others are a [Problem].
func Fetch(ctx context.Context, h host.Host, id peer.ID, a Ask, take func(signed []byte) error) (blocks int, err error) {
	if a.Count == 0 || a.Count > blockrange.MaxCount {
		return 0, fault.New(fault.Invalid, "request for %d blocks: legacy is asked for 1 to %d", a.Count, blockrange.MaxCount)
	}
	s, err := open(ctx, h, id, a)
	if err != nil {
		return 0, err
	}
	// Legacy counts a stream that is not closed until its own time is up.
	defer func() { _ = s.Reset() }()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	r, taken := blockrange.NewReader(bufio.NewReader(s)), uint64(0)
	for blocks < int(a.Count) && (blocks == 0 || taken < a.MaxBytes) {
		if err := s.SetReadDeadline(time.Now().Add(a.Deadline)); err != nil {
			return blocks, problem(message.ActReset, fault.Temporary, err, "answer of peer "+id.String())
		}
		chunk, _, err := r.Next()
		if err == nil && chunk.Code != blockrange.OK {
			return blocks, problem(message.ActEmpty, fault.Temporary,
				fault.New(fault.Temporary, "it ends in %s: %q", chunk.Code, chunk.Text), "answer of peer "+id.String())
		}
		if err != nil {
			return blocks, ended(ctx, err, id)
		}
		raw := chunk.Block.Encode() // as it came: decoding is strict
		taken += uint64(len(raw))
		if err := take(raw); err != nil {
			return blocks, err
		}
		blocks++
	}
	return blocks, nil
}

// open sends the request.
func open(ctx context.Context, h host.Host, id peer.ID, a Ask) (network.Stream, error) {
	opening, cancel := context.WithTimeout(network.WithNoDial(ctx, "a peer that is asked is connected"), a.Deadline)
	defer cancel()
	s, err := h.NewStream(opening, id, blockrange.Protocol)
	if err != nil {
		return nil, problem(message.ActReset, fault.Temporary, err, "asking peer "+id.String())
	}
	err = s.SetWriteDeadline(time.Now().Add(a.Deadline))
	if err == nil {
		_, err = s.Write(blockrange.Request{Start: a.From, Count: uint64(a.Count)}.Encode())
	}
	if err == nil {
		err = s.CloseWrite()
	}
	if err != nil {
		_ = s.Reset()
		return nil, problem(message.ActReset, fault.Temporary, err, "asking peer "+id.String())
	}
	return s, nil
}

// ended says why no chunk came; nil for an answer that is over.
func ended(ctx context.Context, err error, id peer.ID) error {
	what := "answer of peer " + id.String()
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil:
		return fault.Wrap(fault.Temporary, context.Cause(ctx), what)
	case errors.Is(err, blockrange.ErrShort):
		return problem(message.ActReset, fault.Temporary, err, what)
	case errors.As(err, &timeout) && timeout.Timeout():
		return problem(message.ActTimeout, fault.Temporary, err, what)
	case fault.Is(err, fault.Invalid):
		return problem(message.ActMalformed, fault.Invalid, err, what)
	default:
		return problem(message.ActReset, fault.Temporary, err, what)
	}
}
