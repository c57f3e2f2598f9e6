package node

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
	"github.com/AnduroProject/alys-go/snapshot/exportfile"
)

// ExportSnapshot writes a snapshot as one file that another machine can start
// from: its manifest, its chunks, the receipts and Bitcoin transactions that the
// bridge's state refers to, the genesis, and every block of the head's branch,
// for the execution layer is built from those. progress is called with
// the blocks done and their number.
func ExportSnapshot(ctx context.Context, dataDir string, s restart.Store, m snapshot.Manifest, w io.Writer, progress func(done, total uint64)) error {
	if restart.BehaviourOf(m) != Behaviour {
		return refused("snapshot %s is of behaviour %d, this program is of behaviour %d: export with the program that took it", m.File, restart.BehaviourOf(m), Behaviour)
	}
	genesis, err := os.ReadFile(filepath.Join(dataDir, genesisFile))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "genesis of the execution layer")
	}
	state, err := chainOf(s.Snapshots, m, func(h [32]byte) ([]byte, error) { return s.Journal.Content(h) })
	if err != nil {
		return err
	}
	if state.Config == nil {
		return fault.New(fault.Invalid, "snapshot %s holds no chain yet", m.File)
	}
	contents := newReferences(func(h [32]byte) ([]byte, error) { return s.Journal.Content(h) }, state.Config.ChainSpec, state.Config.GenesisPayload)
	if _, err := bridgeOf(s.Snapshots, m, contents.note); err != nil {
		return err
	}
	f, err := exportfile.NewWriter(w)
	if err != nil {
		return err
	}
	err = s.Snapshots.Export(m, func(b []byte) error { return f.Frame(exportfile.Manifest, b) }, func(b []byte) error { return f.Frame(exportfile.Chunk, b) })
	if err != nil {
		return err
	}
	for _, c := range contents.list {
		if err := f.Frame(exportfile.Content, c.Data); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		kind byte
		data []byte
	}{{exportfile.Genesis, genesis}, {exportfile.Spec, state.Config.ChainSpec.Data}, {exportfile.Payload, state.Config.GenesisPayload.Data}} {
		if err := f.Frame(part.kind, part.data); err != nil {
			return err
		}
	}
	if err := exportBlocks(ctx, s.Journal, m.Sequence, state.Head.Root, f, progress); err != nil {
		return err
	}
	return f.Close()
}

// exportBlocks writes the blocks of a branch, genesis first. The way down to
// genesis is kept as places in the journal, twelve bytes a block.
func exportBlocks(ctx context.Context, j *journal.Journal, at uint64, head common.Hash, f *exportfile.Writer, progress func(done, total uint64)) error {
	places, err := branchOf(ctx, j, at, head)
	if err != nil {
		return err
	}
	for i, p := range slices.Backward(places) {
		e, _, err := j.Event(p.Sequence)
		if err != nil {
			return err
		}
		var fact message.BlockConnected
		payload := e.Outputs[p.Index].Payload
		if err := record.Decode(payload, &fact, nil); err != nil {
			return err
		}
		if err := f.Frame(exportfile.Fact, payload); err != nil {
			return err
		}
		if !fact.Signed.None() {
			signed, err := j.Content(journal.Hash(fact.Signed.Hash))
			if err != nil {
				return err
			}
			if err := f.Frame(exportfile.Block, signed); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(uint64(len(places)-i), uint64(len(places)))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// branchOf finds the facts that connected the blocks from a root down to
// genesis, newest first.
func branchOf(ctx context.Context, j *journal.Journal, at uint64, root common.Hash) (places []core.Ref, err error) {
	it := j.Iterate(at, true)
	defer it.Close()
	for it.Next() && ctx.Err() == nil {
		e, err := it.Event()
		if err != nil {
			return nil, err
		}
		for i, o := range slices.Backward(e.Outputs) {
			if o.Kind != journal.KindFact || o.Type != (*message.BlockConnected)(nil).Type() {
				continue
			}
			var fact message.BlockConnected
			if err := record.Decode(o.Payload, &fact, nil); err != nil {
				return nil, err
			}
			if fact.Root != root {
				continue
			}
			places = append(places, core.Ref{Sequence: e.Sequence, Index: uint32(i)})
			if fact.Signed.None() {
				return places, nil
			}
			root = fact.Parent
		}
	}
	if err := errors.Join(it.Err(), ctx.Err()); err != nil {
		return nil, fault.Wrap(fault.Of(err), err, "looking for the blocks of the head's branch")
	}
	return nil, fault.New(fault.Corrupt, "the journal holds no block %s", root)
}
