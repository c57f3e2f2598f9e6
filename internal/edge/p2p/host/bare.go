package host

import (
	"context"
	"net"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// askID returns the peer id of whoever answers at a TCP address, from a noise
// handshake in which any id is taken. Nothing is known of who it is by that: the
// connection that follows is made to this id, and proves it. (wire.md 9.7, 2)
// Errors: Invalid for an address that is not TCP, Temporary when nobody answers.
func askID(ctx context.Context, key crypto.PrivKey, address multiaddr.Multiaddr) (peer.ID, error) {
	network, target, err := manet.DialArgs(address)
	if err != nil || network != "tcp4" && network != "tcp6" && network != "tcp" {
		return "", fault.New(fault.Invalid, "address %s has no peer id and is not TCP: give its TCP address, or end it with /p2p/ and the id", address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, network, target)
	if err != nil {
		return "", fault.Wrap(fault.Temporary, err, "asking "+address.String()+" who it is")
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			return "", fault.Wrap(fault.Temporary, err, "asking "+address.String()+" who it is")
		}
	}
	id, err := handshake(ctx, key, raw)
	return id, fault.Wrap(fault.Temporary, err, "asking "+address.String()+" who it is")
}

func handshake(ctx context.Context, key crypto.PrivKey, raw net.Conn) (peer.ID, error) {
	if _, err := multistream.SelectOneOf([]string{noise.ID}, raw); err != nil {
		return "", err
	}
	transport, err := noise.New(noise.ID, key, nil)
	if err != nil {
		return "", err
	}
	session, err := transport.WithSessionOptions(noise.DisablePeerIDCheck())
	if err != nil {
		return "", err
	}
	secured, err := session.SecureOutbound(ctx, raw, "")
	if err != nil {
		return "", err
	}
	return secured.RemotePeer(), nil // the raw connection is closed by the caller
}
