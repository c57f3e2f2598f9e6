package settle

import (
	"context"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Fetch says how something is fetched.
type Fetch struct {
	Peers []Peer
	Dir   string                       // where it is kept; what is there is not fetched again
	Told  func(peer string, err error) // of each peer that is not asked any more, and why; may be nil
	// Progress is called with how much is done of how much: bytes of a state, or blocks. It
	// may be nil.
	Progress func(done, total uint64)
}

func (f *Fetch) progress(done, total uint64) {
	if f.Progress != nil {
		f.Progress(done, total)
	}
}

// State fetches the state of an agreement: its index, and all parts. Errors: Temporary when no
// peer is left, or ctx ended; Corrupt when what was agreed on cannot be read.
func (f *Fetch) State(ctx context.Context, a checkpoint.Agreement) (*checkpoint.Index, error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "directory for the state")
	}
	c := newCrowd(f.Peers, f.Told)
	err := c.each(ctx, 1, func(w *worker, _ int) error {
		return f.part(ctx, w, checkpoint.Part{Hash: a.Index}, checkpoint.MaxIndex)
	})
	if err != nil {
		return nil, err
	}
	encoded, err := os.ReadFile(filepath.Join(f.Dir, partName(a.Index)))
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "index of the state")
	}
	x, err := checkpoint.DecodeIndex(encoded)
	if err != nil || x.Number != a.Number || x.Root != a.Root {
		return nil, fault.New(fault.Corrupt, "the index that a quorum states for block %d cannot be used: %w", a.Number, err)
	}
	parts, total := x.Parts()
	var done counter
	return x, c.each(ctx, len(parts), func(w *worker, i int) error {
		if err := f.part(ctx, w, parts[i], checkpoint.MaxPart); err != nil {
			return err
		}
		f.progress(done.add(uint64(parts[i].Size)), total)
		return nil
	})
}

// Part reads a part that was fetched. Corrupt: it is not there as it was named.
func (f *Fetch) Part(p checkpoint.Part) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(f.Dir, partName(p.Hash)))
	if err != nil || !p.Is(data) {
		return nil, fault.New(fault.Corrupt, "part %x of the state is not the one fetched: %w", p.Hash[:8], err)
	}
	return data, nil
}

// part fetches one part unless it is there. Its size is compared when it is known.
func (f *Fetch) part(ctx context.Context, w *worker, p checkpoint.Part, most int) error {
	path := filepath.Join(f.Dir, partName(p.Hash))
	if info, err := os.Stat(path); err == nil && info.Size() <= int64(most) {
		if data, err := os.ReadFile(path); err == nil && checkpoint.PartOf(data).Hash == p.Hash {
			return nil
		}
	}
	var data []byte
	for size := uint32(1); uint32(len(data)) < size; {
		piece, err := ask[*checkpoint.Piece](ctx, w, &checkpoint.AskPart{Hash: p.Hash, Offset: uint32(len(data))})
		if err != nil {
			return err
		}
		if size = piece.Size; int(size) > most || p.Size != 0 && size != p.Size || len(data)+len(piece.Data) > int(size) {
			return fault.New(fault.Invalid, "peer %s says part %x has %d bytes", w.Name(), p.Hash[:8], size)
		}
		data = append(data, piece.Data...)
	}
	if checkpoint.PartOf(data).Hash != p.Hash {
		return fault.New(fault.Invalid, "peer %s sent other bytes for part %x", w.Name(), p.Hash[:8])
	}
	return local(writeFile(path, data), "keeping a part of the state")
}
