package journal

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// databaseSource reads a damaged journal through its own database.
type databaseSource struct {
	db       *pebble.DB
	id       ID
	archived []byte
}

func openDatabaseSource(o Options, cache *pebble.Cache) (*databaseSource, error) {
	db, id, err := openChecked(o, o.FS.PathJoin(o.Dir, databaseName), cache, &databaseLog{log: o.Logger})
	if err != nil {
		return nil, err
	}
	archived, err := readKey(db, metaArchive)
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return nil, errors.Join(corruptRead(0, err), guarded(db.Close))
	}
	return &databaseSource{db, id, archived}, nil
}

func (s *databaseSource) ID() ID { return s.id }

func (s *databaseSource) Archived() []byte { return s.archived }

func (s *databaseSource) ArchivedContents(visit func(Hash, []byte) error) error {
	if s.archived == nil {
		return nil
	}
	err := guarded(func() (err error) {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixContent}, UpperBound: []byte{prefixContent + 1}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for it.First(); it.Valid(); it.Next() {
			if len(it.Key()) != contentKeyLen {
				continue
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			// Not those in the archive only: one that a later event names too stayed.
			if err := visit(Hash(it.Key()[1:]), value); err != nil {
				return err
			}
		}
		return it.Error()
	})
	if err != nil && fault.Of(err) != fault.Corrupt {
		err = corruptRead(0, err)
	}
	return err
}

// Events visits what is stored. A damaged block ends the walk.
func (s *databaseSource) Events(next uint64, visit func(uint64, []byte, Hash) error) error {
	err := guarded(func() (err error) {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEvent}, UpperBound: []byte{prefixEvent + 1}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for it.First(); it.Valid(); it.Next() {
			sequence, ok := eventSequence(it.Key())
			if !ok || sequence != next {
				return corruptEvent(next, nil, "it is missing; the next one there is key %x", it.Key())
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			envelope, hash, ok := splitEvent(value)
			if !ok {
				return corruptEvent(next, nil, "its value has %d bytes, fewer than a hash", len(value))
			}
			if err := visit(sequence, envelope, hash); err != nil {
				return err
			}
			next++
		}
		return it.Error()
	})
	if err != nil && fault.Of(err) != fault.Corrupt && fault.Of(err) != fault.Temporary && !errors.Is(err, errEnough) && !errors.Is(err, ErrNewerFormat) {
		err = corruptRead(next, err)
	}
	return err
}

func (s *databaseSource) Stored(h Hash) ([]byte, error) {
	value, err := readKey(s.db, appendContentKey(nil, h))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fault.New(fault.Invalid, "journal: content %s: %w", h, ErrNotFound)
	}
	if err != nil {
		return nil, &CorruptError{Key: contentKeyText(h), What: "it cannot be read", Cause: err}
	}
	return value, nil
}

// Close closes the database.
func (s *databaseSource) Close() error { return guarded(s.db.Close) }
