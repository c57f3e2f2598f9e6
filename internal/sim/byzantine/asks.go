package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// opens makes a behaviour that says hello after change, and then does more.
func opens(change func(*attacker), then func(a *attacker, s network.Stream) error) func(*attacker) error {
	return func(a *attacker) error {
		if change != nil {
			change(a)
		}
		s, err := a.session()
		if err != nil {
			return err
		}
		return then(a, s)
	}
}

// refused makes a behaviour that says a hello which has to be answered with a goodbye.
func refused(change func(*attacker)) func(*attacker) error {
	return func(a *attacker) error {
		change(a)
		if _, err := a.session(); !errors.Is(err, errGoodbye) {
			return fmt.Errorf("its hello is not refused: %w", err)
		}
		return nil
	}
}

// serves makes a behaviour that says to have blocks, and gives them in its own way.
func serves(give func(a *attacker, s network.Stream, m *peer.Range)) func(*attacker) error {
	return opens(func(a *attacker) { a.serve = func(s network.Stream, m *peer.Range) { give(a, s, m) } },
		func(*attacker, network.Stream) error { return nil })
}

// repeats writes a frame so many times.
func repeats(times int, m peer.Message) func(*attacker, network.Stream) error {
	return func(_ *attacker, s network.Stream) error {
		for range times {
			if _, err := s.Write(peer.AppendFrame(nil, m)); err != nil {
				return nil
			}
		}
		return nil
	}
}

var asking = []behaviour{
	{"other-chain", "a hello with another genesis", "", refused(func(a *attacker) { a.hello.Genesis = common.Hash{1} })},
	{"false-member", "a hello with a proof that another key made", "", refused(func(a *attacker) {
		a.hello.HasAuthority, a.hello.Authority = true, 0
		a.hello.Proof = aura.DevKey(9).Sign(peer.ProofRoot(a.world.genesis, 0, string(a.host.ID())))
	})},
	{"no-hello", "sessions in which nothing is said", "", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for range 5 {
			if _, err := a.stream(own.Session); err != nil {
				return nil
			}
		}
		return nil
	}},
	{"long-frame", "a frame that claims 200 MiB", message.ActProtocol, opens(nil, func(_ *attacker, s network.Stream) error {
		_, err := s.Write([]byte{0xff, 0xff, 0xff, 0x63, byte(peer.KindStatus)})
		return err
	})},
	{"pings", "five hundred pings at once", "", opens(nil, repeats(500, &peer.Ping{Number: 7}))},
	{"requests", "three hundred requests for ranges at once", "", opens(nil, func(a *attacker, _ network.Stream) error {
		for range 300 {
			s, err := a.stream(own.Range)
			if err != nil {
				return nil
			}
			_, _ = s.Write(peer.AppendFrame(nil, &peer.Range{From: 1, Count: 1024}))
		}
		return nil
	})},
	{"mute", "a head far ahead, and no answer to any request", message.ActTimeout, serves(func(a *attacker, _ network.Stream, _ *peer.Range) { <-a.ctx.Done() })},
	{"drip", "an answer of one byte a second", message.ActTimeout, serves(func(a *attacker, s network.Stream, m *peer.Range) {
		for _, b := range peer.AppendFrame(nil, &peer.Block{Signed: a.asked(m)[0]}) {
			if _, err := s.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	})},
	{"again", "a range that begins again after its first block", message.ActOrder, serves(func(a *attacker, s network.Stream, m *peer.Range) {
		blocks := a.asked(m)
		give(s, append(blocks[:1:1], blocks...))
	})},
	{"gap", "a range with a block left out", message.ActGap, serves(func(a *attacker, s network.Stream, m *peer.Range) {
		give(s, a.asked(m)[1:])
	})},
	{"foreign", "a linked range that nobody signed", "", serves(func(a *attacker, s network.Stream, m *peer.Range) {
		parent, made := a.world.signed[m.From-1], [][]byte(nil)
		for i := range min(uint64(m.Count), 16) {
			b := standin.Make(a.world.spec, standin.Plan{Parent: parent, Extra: "foreign", Timestamp: a.world.signed[m.From+i].Block.Payload.Timestamp})
			b.Approvals = aura.None()
			parent, made = b, append(made, b.Encode())
		}
		give(s, made)
	})},
	{"forged", "a range whose blocks have the approvals of others", message.ActInvalidSignature, serves(func(a *attacker, s network.Stream, m *peer.Range) {
		fake := *a.world.signed[m.From]
		fake.Block.Payload.StateRoot[1] ^= 1
		give(s, [][]byte{(&block.Signed{Block: fake.Block, Approvals: fake.Approvals}).Encode()})
	})},
	{"streams", "five hundred streams that say nothing", "", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for i := range 500 {
			if _, err := a.stream([]protocol.ID{"/meshsub/1.1.0", "/eth2/chain/req/blocks_by_range/1/ssz_snappy"}[i%2]); err != nil {
				return nil
			}
		}
		return nil
	}},
	{"handshakes", "two hundred connections that say garbage instead of a handshake", "", func(a *attacker) error {
		return dialRaw(a.target.Addrs[0], 200, func(c net.Conn) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) })
	}},
	{"half-open", "a hundred connections that say nothing", "", func(a *attacker) error {
		return dialRaw(a.target.Addrs[0], 100, func(net.Conn) {})
	}},
}

// dialRaw opens TCP connections and holds them for a moment.
func dialRaw(at multiaddr.Multiaddr, times int, do func(net.Conn)) error {
	_, address, err := manet.DialArgs(at)
	if err != nil {
		return err
	}
	var all []net.Conn
	for range times {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			break // it takes no more
		}
		do(c)
		all = append(all, c)
	}
	time.Sleep(time.Second)
	for _, c := range all {
		_ = c.Close()
	}
	return nil
}
