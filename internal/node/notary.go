package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/journal/tree"
)

// Files of a data directory that belong to the notary.
const (
	noteKeyName    = "note.key"
	checkpointName = "checkpoint.note"
)

// signEvery is the least time between two signed checkpoints of a running node.
const signEvery = time.Minute

// Notary signs checkpoints of one journal, and holds the journal to the newest
// one that it kept. It is for one goroutine.
type Notary struct {
	dir     string
	origin  string
	journal *journal.Journal
	index   *index.Index

	signer note.Signer
	public string
	kept   tree.Checkpoint
	signed []byte // kept, as a note; nil while there is none
	unfit  error  // why the checkpoint that is there is none of ours
}

// OpenNotary opens the note key of a data directory. With create, a key that is
// not there is drawn, and a kept checkpoint that this key or this history does
// not answer for is moved aside with a warning; without, nothing is changed.
func OpenNotary(dataDir string, j *journal.Journal, x *index.Index, create bool, log *slog.Logger) (*Notary, error) {
	n := &Notary{dir: dataDir, origin: tree.Origin(j.ID(), len(j.Incidents())), journal: j, index: x}
	secret, err := os.ReadFile(n.path(noteKeyName))
	if errors.Is(err, os.ErrNotExist) {
		if !create {
			return nil, fault.New(fault.Invalid, "there is no note key in %s: a node draws it when it starts: %w", dataDir, os.ErrNotExist)
		}
		secret, err = n.drawKey()
	}
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "note key")
	}
	if n.signer, n.public, err = tree.ReadKey(strings.TrimSpace(string(secret))); err != nil {
		return nil, fmt.Errorf("%s: %w", n.path(noteKeyName), err)
	}
	signed, err := os.ReadFile(n.path(checkpointName))
	if errors.Is(err, os.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "kept checkpoint")
	}
	n.unfit = n.adopt(signed)
	if n.unfit == nil || !create {
		return n, nil
	}
	aside := fmt.Sprintf("%s.%d", n.path(checkpointName), time.Now().UnixMilli())
	log.Warn("the kept checkpoint is moved aside", "reason", n.unfit, "to", aside)
	return n, fault.Wrap(fault.Fatal, os.Rename(n.path(checkpointName), aside), "move the kept checkpoint aside")
}

func (n *Notary) path(name string) string { return filepath.Join(n.dir, name) }

// drawKey makes the key's file. It is there whole or not at all.
func (n *Notary) drawKey() ([]byte, error) {
	secret, _, err := tree.NewKey()
	if err != nil {
		return nil, err
	}
	return []byte(secret), writeWhole(n.path(noteKeyName), []byte(secret+"\n"), 0o600)
}

// adopt takes a note as the kept checkpoint, or says why it is none of ours.
func (n *Notary) adopt(signed []byte) error {
	v, err := tree.ReadPublicKey(n.public)
	if err != nil {
		return err
	}
	c, err := tree.OpenCheckpoint(signed, v)
	if err != nil {
		return err
	}
	if c.Origin != n.origin {
		return fault.New(fault.Invalid, "it is about the history %s, the journal's is %s", c.Origin, n.origin)
	}
	n.kept, n.signed = c, signed
	return nil
}

// PublicKey returns the line that checks the notary's signatures.
func (n *Notary) PublicKey() string { return n.public }

// Origin names the journal's present history.
func (n *Notary) Origin() string { return n.origin }

// Kept returns the newest checkpoint that was kept, as a signed note too; its
// size is 0 and the note nil when there is none.
func (n *Notary) Kept() (tree.Checkpoint, []byte) { return n.kept, n.signed }

// Unfit returns why the checkpoint that is there is not used: of grade Corrupt
// when it does not verify, Invalid when it is about another history. Nil when
// it is used, or there is none.
func (n *Notary) Unfit() error { return n.unfit }

// Forget leaves the kept checkpoint out of account: for a copy of a journal
// that was made before it.
func (n *Notary) Forget() { n.kept, n.signed = tree.Checkpoint{}, nil }

// Check compares the kept checkpoint with the journal. That the journal is
// shorter, or that its first events have another root, has grade Corrupt.
func (n *Notary) Check() error {
	c := n.kept
	if c.Size == 0 {
		return nil
	}
	if last := n.journal.Durable().Sequence; last < c.Size {
		return fault.New(fault.Corrupt, "the journal ends at event %d, but %s is a signed checkpoint over %d: acknowledged events are lost; restore a backup (docs/operator.md)",
			last, n.path(checkpointName), c.Size)
	}
	root, err := n.index.Source().Root(c.Size)
	if err == nil && root != c.Root {
		err = fault.New(fault.Corrupt, "the first %d events of the journal have the root %s, but %s is a signed checkpoint with the root %s: the journal is not what was signed; keep both and restore a backup (docs/operator.md)",
			c.Size, root, n.path(checkpointName), c.Root)
	}
	return err
}

// Sign returns a checkpoint over the first size events, after [Notary.Check].
func (n *Notary) Sign(size uint64) (tree.Checkpoint, []byte, error) {
	if last := n.journal.Durable().Sequence; size == 0 || size > last {
		return tree.Checkpoint{}, nil, fault.New(fault.Invalid, "a checkpoint over %d events cannot be signed, the journal has %d", size, last)
	}
	if err := n.Check(); err != nil {
		return tree.Checkpoint{}, nil, err
	}
	root, err := n.index.Source().Root(size)
	if err != nil {
		return tree.Checkpoint{}, nil, err
	}
	c := tree.Checkpoint{Origin: n.origin, Size: size, Root: root}
	signed, err := c.Sign(n.signer)
	return c, signed, err
}

// Keep signs a checkpoint and keeps it in place of a smaller one.
func (n *Notary) Keep(size uint64) error {
	if size <= n.kept.Size {
		return nil
	}
	c, signed, err := n.Sign(size)
	if err != nil {
		return err
	}
	if err := writeWhole(n.path(checkpointName), signed, 0o644); err != nil {
		return fault.Wrap(fault.Temporary, err, "keep a checkpoint")
	}
	n.kept, n.signed = c, signed
	return nil
}

// writeWhole replaces a file, so that a crash leaves the old or the new one.
func writeWhole(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cheapCheck is how many events may be hashed at start to check the kept
// checkpoint; of more, the running node hears once the index is there.
const cheapCheck = 200_000

// openNotary opens the notary of a node. A journal that contradicts what was
// signed is an error.
func (n *Node) openNotary() error {
	if n.index == nil {
		return nil
	}
	notary, err := OpenNotary(n.opt.DataDir, n.journal, n.index, true, n.log)
	if err != nil {
		return err
	}
	n.notary = notary
	if kept := notary.kept.Size; kept > n.index.Position().Sequence+cheapCheck && kept <= n.journal.Durable().Sequence {
		return nil
	}
	return notary.Check()
}

// signCheckpoints signs while the node runs, at most once in a while. A journal
// that is not what was signed stops the node.
func (n *Node) signCheckpoints(ctx context.Context) error {
	ticks := time.NewTicker(signEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err := n.sign(); fault.Is(err, fault.Corrupt) {
			n.stop(err)
			return err
		} else if err != nil {
			n.log.Warn("no checkpoint was signed", "error", err)
		}
	}
}

// sign signs a checkpoint over what is indexed: more would have to be hashed
// again. While the index is being built there is none.
func (n *Node) sign() error {
	if n.notary == nil {
		return nil
	}
	n.notaryLock.Lock()
	defer n.notaryLock.Unlock()
	position := n.index.Position().Sequence
	if position+cheapCheck < max(n.notary.kept.Size, n.journal.Durable().Sequence) {
		return nil
	}
	return n.notary.Keep(position)
}

// signLast signs a checkpoint over all events of a run that ends.
func (n *Node) signLast() error {
	if n.notary == nil || n.journal.Err() != nil || n.indexLag() > cheapCheck {
		return nil
	}
	n.notaryLock.Lock()
	defer n.notaryLock.Unlock()
	return n.notary.Keep(n.journal.Durable().Sequence)
}
