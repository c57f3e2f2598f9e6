package journal

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Event returns a durable event and its hash, after checking the hash against
// the event before it. A sequence that is not durable is [ErrNotFound];
// anything wrong with the stored event is a *[CorruptError].
func (j *Journal) Event(sequence uint64) (*Event, Hash, error) {
	if err := j.enter(); err != nil {
		return nil, Hash{}, err
	}
	defer j.leave()
	if last := j.Durable().Sequence; sequence == 0 || sequence > last {
		return nil, Hash{}, fault.New(fault.Invalid, "journal: event %d, the last durable one is %d: %w", sequence, last, ErrNotFound)
	}
	c := chain{next: sequence, resolve: j.content}
	var err error
	if c.hash, err = j.hashBefore(sequence); err != nil {
		return nil, Hash{}, err
	}
	value, err := j.eventValue(sequence)
	if err != nil {
		return nil, Hash{}, err
	}
	e := new(Event)
	if err := c.step(appendEventKey(nil, sequence), value, e); err != nil {
		return nil, Hash{}, err
	}
	return e, c.hash, nil
}

// hashBefore returns the hash that a durable event is linked to. That of the
// first event in the database is known without the archive.
func (j *Journal) hashBefore(sequence uint64) (Hash, error) {
	switch start := j.history.start(); {
	case sequence == start.first:
		return start.hash, nil
	case sequence == 1:
		return Origin(j.id), nil
	}
	before, err := j.eventValue(sequence - 1)
	if err != nil {
		return Hash{}, err
	}
	_, hash, ok := splitEvent(before)
	if !ok {
		return Hash{}, corruptEvent(sequence-1, nil, "its value has %d bytes, fewer than a hash", len(before))
	}
	return hash, nil
}

// eventValue returns the stored value of a durable event, which must not be
// changed, from the database or the archive.
func (j *Journal) eventValue(sequence uint64) ([]byte, error) {
	if value, found, err := j.history.value(sequence); found {
		return value, err
	}
	value, err := attempt(j.dblog, func() ([]byte, error) { return readKey(j.db, appendEventKey(nil, sequence)) })
	if errors.Is(err, pebble.ErrNotFound) {
		// It may have been archived since the first look.
		if value, found, err := j.history.value(sequence); found {
			return value, err
		}
		return nil, corruptEvent(sequence, nil, "it is missing")
	}
	if err != nil && !fault.Is(err, fault.Fatal) {
		err = corruptEvent(sequence, err, "it cannot be read")
	}
	return value, err
}
