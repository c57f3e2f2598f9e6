package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Append gives the event its place in the journal: it encodes it, chains it and
// queues it with the contents it brings, and returns the new head. It does not
// wait for the disk, except while MaxPendingBytes are queued.
//
// Sequence must be Head().Sequence+1 and Time not less than before. Every
// content must be named by the event and match its hash; one that the journal
// has is not written again. A message, or outputs together, of more than
// [InlineMax] bytes are written as content. An error of grade Invalid leaves the journal
// as it was. Any other is Fatal and stays: nothing will be appended any more.
//
// Neither the event nor the contents are kept after Append returns. It is made
// for one caller; more are safe, but only one can have the next sequence.
func (j *Journal) Append(e *Event, contents []Content) (Head, error) {
	j.appending.Lock()
	defer j.appending.Unlock()
	return j.append(e, contents)
}

// AppendBatch appends events that bring no contents, as Append does one after
// the other, and returns the head after the last of them. They become durable
// together where they fit in one group. On an error the events before the one
// it names are in the journal.
func (j *Journal) AppendBatch(events []Event) (Head, error) {
	j.appending.Lock()
	defer j.appending.Unlock()
	j.hold(true)
	defer j.hold(false)
	head := j.tip
	for i := range events {
		var err error
		if head, err = j.append(&events[i], nil); err != nil {
			return j.tip, err
		}
	}
	return head, nil
}

// hold keeps the committer from taking half of a batch.
func (j *Journal) hold(on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.held = on
	if on {
		j.batches++
		return
	}
	j.work.Signal()
}

// append needs appending.
func (j *Journal) append(e *Event, contents []Content) (Head, error) {
	if j.opt.ReadOnly {
		return Head{}, ErrReadOnly
	}
	if err := j.admit(e, contents); err != nil {
		return Head{}, err
	}
	defer j.trim()
	j.scratch = append(j.scratch[:0], j.tip.Hash[:]...)
	j.scratch = e.encode(j.scratch, EnvelopeVersion, &j.spilled)
	envelope := j.scratch[len(Hash{}):]
	if err := j.fits(e, envelope); err != nil {
		return Head{}, err
	}
	head := Head{Sequence: e.Sequence, Hash: sha256.Sum256(j.scratch)}
	if err := j.prepare(contents); err != nil {
		return Head{}, err
	}
	if err := j.prepare(j.spilled); err != nil {
		return Head{}, err
	}
	if err := j.enqueue(head, envelope); err != nil {
		return Head{}, err
	}
	j.tip, j.time = head, e.Time
	return head, nil
}

// trim forgets what the last Append made, and gives back memory that only a
// large event needs.
func (j *Journal) trim() {
	clear(j.spilled)
	j.spilled, j.fresh, j.values = j.spilled[:0], j.fresh[:0], j.values[:0]
	if cap(j.scratch) > 1<<20 {
		j.scratch = nil
	}
	if cap(j.values) > 4<<20 {
		j.values = nil
	}
}

// fits refuses what no reader would take. It needs gigabytes to get there.
func (j *Journal) fits(e *Event, envelope []byte) error {
	if len(envelope) > MaxEnvelope {
		return fault.New(fault.Invalid, "journal: event %d of type %q names %d contents and takes %d bytes, at most %d fit", e.Sequence, e.Type, len(e.Contents), len(envelope), MaxEnvelope)
	}
	for i := range j.spilled {
		if n := len(j.spilled[i].Data); n > MaxContent {
			return fault.New(fault.Invalid, "journal: event %d of type %q has a message or outputs of %d bytes, at most %d fit", e.Sequence, e.Type, n, MaxContent)
		}
	}
	return nil
}

// freshContent is a content to be written: its value is values[from:to].
type freshContent struct {
	hash     Hash
	from, to int
	size     int // of the content itself
}

// prepare encodes the contents that are not in the journal yet. Those written
// lately are remembered; for the others the database is asked, which costs a
// look at bloom filters for one that is new.
func (j *Journal) prepare(contents []Content) error {
	for i := range contents {
		c := &contents[i]
		known := !j.recent.add(c.Hash)
		if !known {
			var err error
			if known, err = j.holds(c.Hash); err != nil {
				return err
			}
		}
		if known {
			j.stats.suppressed.Add(1)
			continue
		}
		from := len(j.values)
		j.values = AppendContent(j.values, c.Data)
		j.fresh = append(j.fresh, freshContent{hash: c.Hash, from: from, to: len(j.values), size: len(c.Data)})
	}
	return nil
}

// holds reports whether the database has a content. One that only the archive
// has comes back with the event that names it: what is new must not depend on a
// storage elsewhere.
func (j *Journal) holds(h Hash) (bool, error) {
	if err := j.Err(); err != nil {
		return false, err
	}
	if err := j.enter(); err != nil {
		return false, err
	}
	defer j.leave()
	held, err := attempt(j.dblog, func() (bool, error) {
		value, closer, err := j.db.Get(appendContentKey(nil, h))
		if errors.Is(err, pebble.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		_, away := ArchivedContent(h, value)
		return !away, closer.Close()
	})
	if err == nil {
		return held, nil
	}
	err = fault.Wrap(fault.Fatal, err, fmt.Sprintf("journal %s: look for content %s", j.opt.Dir, h))
	j.fail(err)
	return false, err
}

// admit checks what the caller must get right.
func (j *Journal) admit(e *Event, contents []Content) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if e.Sequence != j.tip.Sequence+1 {
		return fault.New(fault.Invalid, "journal: event %d does not follow event %d", e.Sequence, j.tip.Sequence)
	}
	if j.tip.Sequence != 0 && e.Time < j.time {
		return fault.New(fault.Invalid, "journal: event %d has time %d, the event before %d", e.Sequence, e.Time, j.time)
	}
	if err := j.admitIncident(e); err != nil {
		return err
	}
	for i := range contents {
		c := &contents[i]
		if len(c.Data) > MaxContent {
			return fault.New(fault.Invalid, "journal: event %d: content %s has %d bytes, at most %d are stored", e.Sequence, c.Hash, len(c.Data), MaxContent)
		}
		if !contains(e.Contents, c.Hash) {
			return fault.New(fault.Invalid, "journal: event %d does not name content %s that comes with it", e.Sequence, c.Hash)
		}
		if got := SumContent(c.Data); got != c.Hash {
			return fault.New(fault.Invalid, "journal: event %d: content %s hashes to %s", e.Sequence, c.Hash, got)
		}
	}
	return nil
}

func contains(list []Hash, h Hash) bool {
	for i := range list {
		if list[i] == h {
			return true
		}
	}
	return false
}

// enqueue puts an event into the group that the committer takes next.
func (j *Journal) enqueue(head Head, envelope []byte) error {
	size := eventKeyLen + len(envelope) + len(Hash{})
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.pending >= j.opt.MaxPendingBytes && j.Err() == nil && !j.closing {
		j.stats.waits.Add(1)
		j.hasten()
		if j.held { // the batch is larger than a group
			j.held = false
			j.work.Signal()
		}
		j.space.Wait()
	}
	if err := j.Err(); err != nil {
		return err
	}
	if j.closing {
		return ErrClosed
	}
	b := j.queue.batch
	op := b.SetDeferred(eventKeyLen, len(envelope)+len(Hash{}))
	appendEventKey(op.Key[:0], head.Sequence)
	copy(op.Value[copy(op.Value, envelope):], head.Hash[:])
	if err := op.Finish(); err != nil {
		return fault.Wrap(fault.Fatal, err, fmt.Sprintf("queue event %d", head.Sequence))
	}
	for i := range j.fresh {
		c := &j.fresh[i]
		op := b.SetDeferred(contentKeyLen, c.to-c.from)
		appendContentKey(op.Key[:0], c.hash)
		copy(op.Value, j.values[c.from:c.to])
		if err := op.Finish(); err != nil {
			return fault.Wrap(fault.Fatal, err, fmt.Sprintf("queue content %s of event %d", c.hash, head.Sequence))
		}
		size += contentKeyLen + c.to - c.from
		j.stats.wrote(c)
	}
	wake := j.queue.first == 0
	if wake {
		j.queue.first = head.Sequence
	}
	j.queue.last = head
	j.queue.bytes += size
	j.pending += size
	j.last = head
	if wake && !j.held {
		j.work.Signal()
	}
	return nil
}

// recentLimit bounds the memory of recently written contents: 8192 hashes are
// some hundred kilobytes and reach back over many blocks.
const recentLimit = 8192

// recentHashes remembers the contents written last, the oldest leaving first.
type recentHashes struct {
	set  map[Hash]struct{}
	ring []Hash
	next int
}

// add reports whether the hash is new, and remembers it.
func (r *recentHashes) add(h Hash) bool {
	if _, ok := r.set[h]; ok {
		return false
	}
	if r.set == nil {
		r.set = make(map[Hash]struct{})
	}
	if len(r.ring) < recentLimit {
		r.ring = append(r.ring, h)
	} else {
		delete(r.set, r.ring[r.next])
		r.ring[r.next] = h
		r.next = (r.next + 1) % recentLimit
	}
	r.set[h] = struct{}{}
	return true
}
