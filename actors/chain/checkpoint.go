package chain

import "github.com/AnduroProject/alys-go/internal/protocol/message"

// Shared returns what of the state depends on blocks alone: the head's branch as
// far as the state keeps it, and the pointers into it. What this node signs,
// locks, waits for or was told by its operator is not in it, so it may begin
// another node's journal, together with what the bridge actor shares: it was told of these
// blocks. (architecture.md 2)
func (s *State) Shared() *State {
	c := newState()
	c.pointers = pointers{Genesis: s.Genesis, Head: s.Head, Finalized: s.Finalized, LatestPow: s.LatestPow, Finalizer: s.Finalizer, Followed: s.Followed}
	if s.Config != nil {
		c.Config = &message.NodeConfigured{ChainSpec: s.Config.ChainSpec, GenesisPayload: s.Config.GenesisPayload, Behaviour: s.Config.Behaviour}
		c.rules = s.rules
	}
	s.heights.Scan(func(id message.BlockID) bool {
		if e := s.Entry(id.Root); e.Status == Connected {
			c.put(e.taken(Connected))
		}
		return true
	})
	return c
}
