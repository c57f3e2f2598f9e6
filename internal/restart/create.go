package restart

import (
	"context"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/snapshot"
)

// TakeSnapshot recovers a stopped node's journal, takes a snapshot at its end and
// records the digests, as a clean stop does. now returns Unix milliseconds.
func (p Program) TakeSnapshot(ctx context.Context, s Store, now func() int64) (snapshot.Manifest, error) {
	r, err := p.Recover(ctx, s)
	if err != nil {
		return snapshot.Manifest{}, err
	}
	runtime := actors.NewRuntime(actors.Options{
		Journal: s.Journal, Machine: r.Machine, Clock: now, Snapshots: s.Snapshots, Behaviour: p.Behaviour,
	})
	return runtime.TakeSnapshot(ctx)
}
