package journal

import (
	"fmt"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Two goroutines commit: one writes groups to the database, the other records
// them in the head file and tells those who wait. So the next group is being
// synced while the head of the one before is, and neither waits for the other
// unless it is two groups ahead. The order is what recovery relies on: the head
// file names an event only after the event was synced.

// group is what one commit writes: the events and contents of one batch.
type group struct {
	batch *pebble.Batch
	first uint64 // first event
	last  Head
	bytes int // counted in Journal.pending
}

// applied is a group that is in the database and not in the head file yet.
type applied struct {
	first  uint64
	last   Head
	bytes  int
	start  time.Time
	synced time.Time
	err    error // why it is not in the database
}

func (j *Journal) newGroup() *group {
	return &group{batch: j.db.NewBatch(
		pebble.WithInitialSizeBytes(256<<10),
		pebble.WithMaxRetainedSizeBytes(2*j.opt.MaxPendingBytes))}
}

func (g *group) empty() bool { return g.batch.Empty() }

func (g *group) reset() {
	g.batch.Reset()
	g.first, g.last, g.bytes = 0, Head{}, 0
}

// commitLoop takes everything that waits and writes it to the database, group
// after group. It ends when the journal is closed and nothing is left, or with
// the first error, after headLoop did.
func (j *Journal) commitLoop() {
	ended := make(chan struct{})
	go j.headLoop(ended)
	defer func() {
		close(j.applied)
		<-ended
		close(j.done)
	}()
	busy := false
	var last time.Duration
	for {
		if busy {
			j.gather()
		}
		g := j.take(last)
		if g == nil {
			return
		}
		a := applied{first: g.first, last: g.last, bytes: g.bytes, start: time.Now()}
		a.err = guarded(func() error { return j.db.Apply(g.batch, pebble.Sync) })
		a.synced = time.Now()
		if a.err != nil {
			j.hand(a)
			return
		}
		last = a.synced.Sub(a.start)
		g.reset()
		j.mu.Lock()
		j.spare = g
		j.mu.Unlock()
		j.hand(a)
		j.mu.Lock()
		busy = !j.queue.empty()
		j.mu.Unlock()
	}
}

// take waits for events and takes them as the next group; nil ends committing.
func (j *Journal) take(last time.Duration) *group {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.queue.empty() && !j.closing && j.Err() == nil {
		j.work.Wait()
	}
	j.settle(last)
	if j.queue.empty() || j.Err() != nil {
		return nil
	}
	g := j.queue
	j.queue, j.spare = j.spare, nil
	return g
}

// settle lets those who append at this moment, most often because one commit
// woke them together, come into one group: the first of them would else be
// synced alone while the others wait for two syncs. It goes on while events
// come, for a part of what the last sync took. It needs mu.
func (j *Journal) settle(last time.Duration) {
	const largest = time.Millisecond
	limit := min(last/4, largest)
	start := time.Now()
	open := func() bool { return !j.closing && j.Err() == nil && j.pending < j.opt.MaxPendingBytes }
	for open() {
		for batch := j.batches; j.held && j.batches == batch && open(); {
			j.work.Wait()
		}
		if time.Since(start) > limit {
			return
		}
		before := j.queue.bytes
		j.mu.Unlock()
		runtime.Gosched()
		j.mu.Lock()
		if j.queue.bytes == before && !j.held {
			return
		}
	}
}

// gather lets events come for the next group.
func (j *Journal) gather() {
	if j.opt.CommitDelay == 0 {
		return
	}
	enough := time.NewTimer(j.opt.CommitDelay)
	defer enough.Stop()
	select {
	case <-enough.C:
	case <-j.hurry:
	}
}

// hasten ends gathering: it is for those who wait for the next commit.
func (j *Journal) hasten() {
	select {
	case j.hurry <- struct{}{}:
	default:
	}
}

// hand passes a group on to headLoop, which is not there after a failure.
func (j *Journal) hand(a applied) {
	select {
	case j.applied <- a:
	case <-j.failed:
	}
}

// headLoop records what is in the database in the head file, tells OnDurable,
// then those who wait. It ends when commitLoop did and nothing is left, or with
// the first error, after which commitLoop may be stuck in the database.
func (j *Journal) headLoop(ended chan<- struct{}) {
	defer close(ended)
	for {
		select {
		case a, more := <-j.applied:
			if !more {
				return
			}
			j.acknowledge(a)
		case <-j.failed:
			return
		}
	}
}

// acknowledge makes a group count, and with it the next one if that is in the
// database by now. After the first error none does.
func (j *Journal) acknowledge(a applied) {
	if j.Err() != nil {
		return
	}
	if a.err == nil && len(j.applied) > 0 {
		b := <-j.applied
		if b.err != nil {
			defer j.acknowledge(b)
		} else {
			a.last, a.synced, a.bytes = b.last, b.synced, a.bytes+b.bytes
		}
	}
	start := time.Now()
	err := a.err
	if err == nil {
		err = j.head.write(a.last)
	}
	if err != nil {
		j.fail(fault.Wrap(fault.Fatal, err, fmt.Sprintf(
			"journal %s: events %d to %d could not be written, the last durable one is %d; free or repair the disk and start again",
			j.opt.Dir, a.first, a.last.Sequence, j.Durable().Sequence)))
		return
	}
	j.stats.committed(a, start, time.Now())
	head := a.last
	j.durable.Store(&head)
	if j.opt.OnDurable != nil {
		j.opt.OnDurable(head)
	}
	j.mu.Lock()
	j.pending -= a.bytes
	j.space.Broadcast()
	j.wakeWaiters(head.Sequence)
	j.mu.Unlock()
}
