package legacytest

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
)

// The other requests that legacy lists and never answers. (wire.md 9.5, 9.6)
var unanswered = []protocol.ID{
	"/eth2/chain/req/status/1/ssz_snappy", "/eth2/chain/req/ping/1/ssz_snappy", "/eth2/chain/req/metadata/1/ssz_snappy",
}

const goodbye = protocol.ID("/eth2/chain/req/goodbye/1/ssz_snappy")

// maxWaiting is how many requests a connection may have open; one more closes it.
const maxWaiting = 32

// Asked is one request for blocks that came.
type Asked struct {
	From    peer.ID
	Request blockrange.Request
}

// Asked returns the requests for blocks, in order.
func (n *Node) Asked() []Asked {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Asked(nil), n.asked...)
}

func (n *Node) serve() {
	n.host.SetStreamHandler(blockrange.Protocol, n.answer)
	for _, id := range unanswered {
		n.host.SetStreamHandler(id, n.keep)
	}
	n.host.SetStreamHandler(goodbye, func(s network.Stream) { _ = s.Close() })
}

// keep takes a request and leaves its stream open.
func (n *Node) keep(s network.Stream) {
	n.mu.Lock()
	n.waiting[s.Conn()]++
	full := n.waiting[s.Conn()] > maxWaiting
	n.mu.Unlock()
	if full {
		_ = s.Conn().Close()
	}
}

// answer answers a request for blocks: one and a close, or all as older builds do. A
// count of 0 gets no answer, nor does a request that does not decode.
func (n *Node) answer(s network.Stream) {
	data, err := io.ReadAll(io.LimitReader(s, blockrange.MaxRequest+1))
	if err != nil {
		_ = s.Reset()
		return
	}
	request, err := blockrange.DecodeRequest(data)
	if err != nil {
		_ = s.Reset()
		return
	}
	n.mu.Lock()
	n.asked = append(n.asked, Asked{s.Conn().RemotePeer(), request})
	blocks := n.blocks
	n.mu.Unlock()
	if n.opt.Silent {
		n.keep(s)
		return
	}
	var out []byte
	for height := request.Start; height < uint64(len(blocks)) && height-request.Start < request.Count; height++ {
		b, err := block.Decode(blocks[height])
		if err != nil {
			break
		}
		if out, err = blockrange.AppendBlock(out, b); err != nil {
			break
		}
		if !n.opt.Older {
			break
		}
	}
	if _, err := s.Write(out); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

// Sync asks a peer as legacy does: for 1024 blocks above its head. It appends what
// comes, and returns how many came and whether legacy now believes that it is synced,
// which it does after any answer of fewer than 1024. An answer that never comes leaves
// legacy waiting; here ctx ends it with an error. (wire.md 9.6, P2, P4)
func (n *Node) Sync(ctx context.Context, id peer.ID) (received int, synced bool, err error) {
	n.mu.Lock()
	start := uint64(len(n.blocks))
	n.mu.Unlock()
	s, err := n.host.NewStream(ctx, id, blockrange.Protocol)
	if err != nil {
		return 0, false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if _, err := s.Write(blockrange.Request{Start: start, Count: blockrange.MaxCount}.Encode()); err != nil {
		return 0, false, err
	}
	if err := s.CloseWrite(); err != nil {
		return 0, false, err
	}
	r := blockrange.NewReader(bufio.NewReader(s))
	for {
		chunk, _, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && chunk.Code != blockrange.OK:
			return received, received < blockrange.MaxCount, nil
		case err != nil:
			return received, false, err
		}
		n.mu.Lock()
		n.blocks = append(n.blocks, chunk.Block.Encode())
		n.mu.Unlock()
		received++
	}
}

// Height returns the height of its last block.
func (n *Node) Height() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.blocks) - 1
}
