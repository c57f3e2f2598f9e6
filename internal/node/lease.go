package node

import (
	"encoding/hex"
	"errors"

	"github.com/AnduroProject/alys-go/internal/edge/lease"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// takeLeases takes the keys that this run signs with for this process and this journal. A
// node beside others only: what a development node signs concerns nobody, and all of them
// have the same keys. ErrRefused: a key is another's. (docs/decisions/0084-key-lease.md)
func (n *Node) takeLeases(m *message.NodeConfigured, c *spec.Chain) error {
	if n.opt.LeaseDir == "" || n.opt.Importing || !n.opt.P2P.On() {
		return nil
	}
	id := n.journal.ID()
	claim := lease.Claim{Journal: hex.EncodeToString(id[:]), DataDir: n.opt.DataDir}
	take := func(purpose string, public []byte) error {
		claim.Purpose, claim.Key = purpose, public
		held, err := lease.Take(n.opt.LeaseDir, claim)
		if errors.Is(err, lease.ErrRefused) {
			return errors.Join(err, ErrRefused)
		}
		if err == nil {
			n.leases = append(n.leases, held)
		}
		return err
	}
	if m.HasAuthority {
		public := c.Authorities[m.Authority]
		if err := take("authority", public[:]); err != nil {
			return err
		}
	}
	if m.HasPegKey {
		public := c.FederationKeys[m.PegMember]
		return take("federation", public[:])
	}
	return nil
}

// endLeases unlocks the keys: the last thing of a run.
func (n *Node) endLeases() error {
	var errs []error
	for _, l := range n.leases {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
