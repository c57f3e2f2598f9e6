package journal

import (
	"crypto/sha256"
	"fmt"
)

// chain follows the hash chain over stored events, in order.
type chain struct {
	next    uint64 // sequence expected
	hash    Hash   // of the event before it
	time    int64  // of the event before it
	started bool   // time is known
	resolve Resolver
	buf     []byte
}

// step checks one stored event against the chain and decodes it into e. Its
// error is a *CorruptError naming the event, ErrNewerFormat, or Temporary when a
// part of the event is in an archive that does not answer.
func (c *chain) step(key, value []byte, e *Event) error {
	seq, ok := eventSequence(key)
	if !ok {
		return &CorruptError{Sequence: c.next, Key: fmt.Sprintf("key %x", key), What: "it is no event key"}
	}
	if seq != c.next {
		return corruptEvent(c.next, nil, "it is missing; the next one there is event %d", seq)
	}
	envelope, stored, ok := splitEvent(value)
	if !ok {
		return corruptEvent(seq, nil, "its value has %d bytes, fewer than a hash", len(value))
	}
	c.buf = append(append(c.buf[:0], c.hash[:]...), envelope...)
	if sum := Hash(sha256.Sum256(c.buf)); sum != stored {
		return corruptEvent(seq, nil, "its hash is stored as %s, the chain gives %s", stored, sum)
	}
	if err := DecodeEventInto(e, envelope, c.resolve); err != nil {
		return undecodable(seq, err)
	}
	if e.Sequence != seq {
		return corruptEvent(seq, nil, "its envelope is that of event %d", e.Sequence)
	}
	if c.started && e.Time < c.time {
		return corruptEvent(seq, nil, "its time %d is before %d, that of the event before", e.Time, c.time)
	}
	c.next, c.hash, c.time, c.started = seq+1, stored, e.Time, true
	return nil
}
