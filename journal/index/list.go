package index

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// errExchanged ends the use of an index that was built again meanwhile.
var errExchanged = errors.New("the index was built again meanwhile")

// list walks over the events that have one term. It holds one block of
// postings and nothing of the database.
type list struct {
	term    []byte
	block   uint64
	offsets []uint16
	// The block is the nearest from asked on, in the query's direction; none
	// means that there is no such block.
	asked  uint64
	loaded bool
	none   bool
}

// seek returns the event nearest to at that has the term: at or after it, or at
// or before it in a reverse query.
func (l *list) seek(r *Results, at uint64) (uint64, bool, error) {
	for want := at / blockEvents; ; {
		if err := l.load(r, want); err != nil || l.none {
			return 0, false, err
		}
		if sequence, ok := l.inBlock(at, r.query.Reverse); ok {
			return sequence, true, nil
		}
		if r.query.Reverse {
			if l.block == 0 {
				return 0, false, nil
			}
			want = l.block - 1
		} else {
			want = l.block + 1
		}
	}
}

// inBlock looks in the block at hand.
func (l *list) inBlock(at uint64, reverse bool) (uint64, bool) {
	first := l.block * blockEvents
	i := 0
	switch {
	case !reverse && at > first:
		i, _ = slices.BinarySearch(l.offsets, uint16(min(at-first, blockEvents)))
	case reverse && at < first:
		return 0, false
	case reverse:
		var exact bool
		if i, exact = slices.BinarySearch(l.offsets, uint16(min(at-first, blockEvents))); !exact {
			i--
		}
	}
	if i < 0 || i >= len(l.offsets) {
		return 0, false
	}
	return first + uint64(l.offsets[i]), true
}

// load reads the block nearest to want that the term has.
func (l *list) load(r *Results, want uint64) error {
	if l.loaded && !l.none {
		low, high := l.asked, l.block
		if r.query.Reverse {
			low, high = l.block, l.asked
		}
		if low <= want && want <= high {
			return nil
		}
	}
	l.loaded, l.none, l.asked = true, true, want
	return r.x.read(func(d *database) error {
		if r.x.generation != r.generation {
			return errExchanged
		}
		return l.fetch(d, want, r.query.Reverse)
	})
}

// fetch reads the nearest block.
func (l *list) fetch(d *database, want uint64, reverse bool) error {
	o := &pebble.IterOptions{LowerBound: appendBlock(bytes.Clone(l.term), 0), UpperBound: appendBlock(bytes.Clone(l.term), 1<<(8*blockLen)-1)}
	if reverse {
		o.UpperBound = appendBlock(bytes.Clone(l.term), want+1)
	} else {
		o.LowerBound = appendBlock(bytes.Clone(l.term), want)
	}
	it, err := d.DB().NewIter(o)
	if err != nil {
		return err
	}
	found := false
	if reverse {
		found = it.Last()
	} else {
		found = it.First()
	}
	if found && sameTerm(it.Key(), l.term) {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			l.block, l.none = blockOf(it.Key()), false
			l.offsets, err = offsets(it.Key(), value)
		}
	}
	return errors.Join(err, it.Close())
}

// union walks over the events that have one of several terms.
type union struct{ lists []*list }

func (u *union) seek(r *Results, at uint64) (nearest uint64, found bool, err error) {
	for _, l := range u.lists {
		sequence, ok, err := l.seek(r, at)
		if err != nil {
			return 0, false, err
		}
		if ok && (!found || (sequence < nearest) != r.query.Reverse) {
			nearest, found = sequence, true
		}
	}
	return nearest, found, nil
}
