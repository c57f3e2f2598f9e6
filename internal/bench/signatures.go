package main

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
)

// signatures measures the approval checks that turns with blocks need, on one
// processor.
func (b *bench) signatures(context.Context) error {
	keys := make([]aura.PublicKey, 3)
	approvals := aura.None()
	root := common.Hash{1}
	for i := range keys {
		secret := aura.DevKey(uint64(i) + 1)
		keys[i] = secret.PublicKey()
		if err := approvals.Add(aura.Approval{Signature: secret.Sign(root), Authority: uint8(i)}); err != nil {
			return err
		}
	}
	committee, err := aura.NewCommittee(keys)
	if err != nil {
		return err
	}
	n := 0
	started := time.Now()
	for ; time.Since(started) < time.Second; n++ {
		if err := committee.Verify(&approvals, root); err != nil {
			return err
		}
	}
	row("BLS checks of 3 approvals, one processor", "%s checks/s", thousands(float64(n)/time.Since(started).Seconds()))
	return nil
}
