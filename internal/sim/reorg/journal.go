package reorg

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Store is where a node's journal and snapshots are written.
type Store struct {
	FS        vfs.FS // nil: the operating system's
	Journal   string // a directory without a journal
	Snapshots string // a directory
}

// Write writes the first node's journal and the snapshots it still has. The same
// scenario gives the same events in a journal of the same identity.
func (r *Running) Write(ctx context.Context, s Store) (head journal.Head, err error) {
	if r.world == nil {
		return head, r.err
	}
	n := r.world.nodes[0]
	empty, err := journal.NewRebuild(journal.Options{FS: s.FS, Dir: s.Journal}, n.id(), nil)
	if err != nil {
		return head, err
	}
	if _, err = empty.Finish(); err != nil {
		return head, err
	}
	j, err := journal.Open(journal.Options{FS: s.FS, Dir: s.Journal, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	hashes := make([]journal.Hash, len(n.events)+1)
	for i := range n.events {
		if head, err = n.append(j, n.events[i].raw); err != nil {
			return head, err
		}
		hashes[i+1] = head.Hash
	}
	if err = j.WaitDurable(ctx, head.Sequence); err != nil {
		return head, err
	}
	return head, n.writeSnapshots(s, hashes)
}

func (n *node) append(j *journal.Journal, raw []byte) (journal.Head, error) {
	e, err := journal.DecodeEvent(raw, nil)
	if err != nil {
		return journal.Head{}, err
	}
	var contents []journal.Content
	for _, h := range e.Contents {
		contents = append(contents, journal.Content{Hash: h, Data: n.content[h]})
	}
	return j.Append(e, contents)
}

func (n *node) writeSnapshots(s Store, hashes []journal.Hash) error {
	store, err := snapshot.Open(snapshot.Options{FS: s.FS, Dir: s.Snapshots, Keep: maxSnaps, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	fingerprint := n.machine.Fingerprint(cores.Behaviour)
	for _, snap := range n.snaps {
		_, err := store.Write(snapshot.Position{
			Journal: n.id(), Sequence: snap.sequence, Hash: hashes[snap.sequence],
			Rules: snapshot.Rules{Behaviour: cores.Behaviour, Fingerprint: fingerprint},
		}, snap.sections)
		if err != nil {
			return fault.Wrap(fault.Temporary, err, "snapshot of turn "+itoa(snap.sequence))
		}
	}
	return nil
}

// id is the identity of the node's journal: of the seed and the node.
func (n *node) id() (id journal.ID) {
	copy(id[:], "sim")
	id[3] = n.name[0]
	binary.BigEndian.PutUint64(id[8:], n.w.options.Seed)
	return id
}
