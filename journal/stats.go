package journal

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// counters are written by Append and the committer and read by anyone.
type counters struct {
	events, commits, bytes      atomic.Uint64
	contents, suppressed, waits atomic.Uint64
	contentBytes, contentStored atomic.Uint64
	commitTime, slowest         atomic.Int64 // nanoseconds
	databaseTime, headTime      atomic.Int64 // of commitTime
	largest                     atomic.Uint64
}

// committed counts a group whose head was written from start to end.
func (c *counters) committed(a applied, start, end time.Time) {
	c.commits.Add(1)
	n := a.last.Sequence - a.first + 1
	c.events.Add(n)
	c.largest.Store(max(c.largest.Load(), n)) // headLoop alone writes it
	c.bytes.Add(uint64(a.bytes))
	c.databaseTime.Add(int64(a.synced.Sub(a.start)))
	c.headTime.Add(int64(end.Sub(start)))
	took := int64(end.Sub(a.start))
	c.commitTime.Add(took)
	c.slowest.Store(max(c.slowest.Load(), took))
}

func (c *counters) wrote(f *freshContent) {
	c.contents.Add(1)
	c.contentBytes.Add(uint64(f.size))
	c.contentStored.Add(uint64(f.to - f.from))
}

// Stats are figures for metrics and status pages. Counters start at zero when
// the journal is opened.
type Stats struct {
	Head, Durable Head
	PendingBytes  int           // appended and not durable yet
	Events        uint64        // made durable
	Commits       uint64        // groups; Events/Commits is the mean group size
	Bytes         uint64        // keys and values of those groups
	Contents      uint64        // content objects written
	ContentBytes  uint64        // of these contents
	ContentStored uint64        // of these as they are stored
	Suppressed    uint64        // contents not written again
	Waits         uint64        // times Append waited for the disk
	CommitTime    time.Duration // spent in commits, two of which may overlap
	DatabaseTime  time.Duration // of these, for the database's write and sync
	HeadTime      time.Duration // of these, for the head file's
	SlowestCommit time.Duration
	LargestGroup  uint64 // events
	Waiting       int    // calls of WaitDurable under way
	DiskBytes     uint64 // size of all files of the database
	LogBytes      uint64 // of these, log that a crash now would replay
	Compacted     uint64 // bytes written by compactions
	// Damaged counts reads, background work included, that met a damaged block
	// on disk. Above zero, verify the journal.
	Damaged uint64
}

// Stats returns current figures. Those of the database are zero once the
// journal is closed.
func (j *Journal) Stats() Stats {
	s := Stats{
		Durable:       j.Durable(),
		Events:        j.stats.events.Load(),
		Commits:       j.stats.commits.Load(),
		Bytes:         j.stats.bytes.Load(),
		Contents:      j.stats.contents.Load(),
		ContentBytes:  j.stats.contentBytes.Load(),
		ContentStored: j.stats.contentStored.Load(),
		Suppressed:    j.stats.suppressed.Load(),
		Waits:         j.stats.waits.Load(),
		CommitTime:    time.Duration(j.stats.commitTime.Load()),
		DatabaseTime:  time.Duration(j.stats.databaseTime.Load()),
		HeadTime:      time.Duration(j.stats.headTime.Load()),
		LargestGroup:  j.stats.largest.Load(),
		SlowestCommit: time.Duration(j.stats.slowest.Load()),
		Damaged:       j.dblog.damaged.Load(),
	}
	j.mu.Lock()
	s.Head, s.PendingBytes, s.Waiting = j.last, j.pending, len(j.waiters)
	j.mu.Unlock()
	if j.Err() != nil || j.enter() != nil {
		return s
	}
	defer j.leave()
	m, err := attempt(j.dblog, func() (*pebble.Metrics, error) { return j.db.Metrics(), nil })
	if err != nil {
		return s
	}
	s.DiskBytes = m.DiskSpaceUsage()
	s.LogBytes = m.WAL.Size
	for i := range m.Levels {
		s.Compacted += m.Levels[i].TableBytesCompacted
	}
	return s
}
