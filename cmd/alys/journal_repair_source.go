package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/salvage"
)

// salvagedSource is what the files of a journal hold whose database does not
// open, for a repair.
type salvagedSource struct {
	*salvage.Found
	temporary string
}

// salvaged returns the function that reads the files of a journal directory.
func salvaged(ctx context.Context, dir string) func() (journal.RepairSource, error) {
	return func() (journal.RepairSource, error) {
		temporary, err := os.MkdirTemp(filepath.Dir(dir), ".alys-repair-*")
		if err != nil {
			return nil, fault.Wrap(fault.Fatal, err, "directory to sort what is salvaged in")
		}
		found, err := salvage.Scan(ctx, salvage.Options{Dir: dir, Scratch: filepath.Join(temporary, "scratch")})
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(temporary))
		}
		s := salvagedSource{found, temporary}
		if !found.FromOrigin() || s.Archived() != nil {
			return nil, errors.Join(fault.New(fault.Corrupt,
				"journal %s: its database does not open, and what its files hold does not begin with event 1; alys journal salvage writes it out", dir), s.Close())
		}
		return s, nil
	}
}

// ID is the journal's identity as the files tell it.
func (s salvagedSource) ID() journal.ID { return s.Found.ID }

// Archived is the record of archived events.
func (s salvagedSource) Archived() []byte { return s.Meta["marchive"] }

// ArchivedContents visits nothing: such a journal is refused.
func (s salvagedSource) ArchivedContents(func(journal.Hash, []byte) error) error { return nil }

// Events visits the run of events that begins at the origin.
func (s salvagedSource) Events(from uint64, visit func(uint64, []byte, journal.Hash) error) error {
	return s.Each(s.Runs[0], func(e salvage.Event) error {
		if e.Sequence < from {
			return nil
		}
		return visit(e.Sequence, e.Envelope, e.Hash)
	})
}

// Stored returns a content.
func (s salvagedSource) Stored(h journal.Hash) ([]byte, error) { return s.Content(h) }

// Close removes what was sorted.
func (s salvagedSource) Close() error {
	return errors.Join(s.Found.Close(), fault.Wrap(fault.Temporary, os.RemoveAll(s.temporary), "removing "+s.temporary))
}
