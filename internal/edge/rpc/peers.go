package rpc

import (
	"context"

	"github.com/AnduroProject/alys-go/projections/peers"
)

func (s *Server) nodePeers(_ context.Context, c call) (any, error) {
	return s.opt.Backend.Peers(*c.params.(*peers.Query))
}

func (s *Server) nodeBans(context.Context, call) (any, error) { return s.opt.Backend.Bans() }
