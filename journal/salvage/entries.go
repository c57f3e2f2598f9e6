package salvage

import (
	"bytes"
	"encoding/binary"
	"math"
)

// batchHeader is the length of what precedes the entries of a batch in the
// log: its database sequence (8) and the number of entries (4).
const batchHeader = 12

// kindSet is the only kind of entry a journal's data is written with.
const kindSet = 1

// readEntries hands on the entries of a part of a batch. If start is set, an
// entry starts at the beginning of data; else they are looked for. If last is
// not set, more of the batch may follow: then rest is the length of what was
// not used, and synced says whether an entry starts there.
func readEntries(data []byte, start, last bool, entry func(kind byte, key, value []byte)) (rest int, synced bool) {
	at := 0
	synced = start
	for at < len(data) {
		if !synced {
			next := findEntry(data[at:])
			if next < 0 {
				// A start may be cut off at the end.
				return min(len(data)-at, contentEntryHead), false
			}
			at += next
			synced = true
		}
		kind, key, value, n, state := parseEntry(data[at:])
		switch state {
		case entryCut:
			if !last {
				return len(data) - at, true
			}
			// Not necessarily the end: a length may be what is damaged.
			at, synced = at+1, false
		case entryBad:
			at, synced = at+1, false
		default:
			entry(kind, key, value)
			at += n
		}
	}
	return 0, synced
}

type entryState uint8

const (
	entryWhole entryState = iota
	entryCut
	entryBad
)

// parseEntry reads one entry of a batch: kind, key, and the value if the kind
// has one.
func parseEntry(data []byte) (kind byte, key, value []byte, n int, state entryState) {
	kind = data[0]
	n = 1
	switch kind {
	case 0, 7: // deletion of one key, single deletion: a key only
	case kindSet, 2, 15, 18, 19, 20, 21, 23, 24: // key and value
	case 3: // log data: bytes only
	default:
		return kind, nil, nil, 0, entryBad
	}
	if key, n, state = parseString(data, n); state != entryWhole {
		return kind, nil, nil, 0, state
	}
	if kind == 0 || kind == 7 || kind == 3 {
		return kind, key, nil, n, entryWhole
	}
	value, n, state = parseString(data, n)
	return kind, key, value, n, state
}

func parseString(data []byte, at int) ([]byte, int, entryState) {
	size, n := binary.Uvarint(data[at:])
	switch {
	case n == 0:
		return nil, 0, entryCut
	case n < 0 || size > math.MaxUint32:
		return nil, 0, entryBad
	case size > uint64(len(data)-at-n):
		return nil, 0, entryCut
	}
	at += n
	return data[at : at+int(size)], at + int(size), entryWhole
}

// contentEntryHead is the longest start that is looked for: kind, length of the
// key, key.
const contentEntryHead = 1 + 1 + 1 + 32

// findEntry returns where the next event or content starts, -1 for nowhere. A
// start found in the bytes of a value does no harm: the chain and the hashes
// decide about what follows it.
func findEntry(data []byte) int {
	for at := 0; ; at++ {
		next := bytes.IndexByte(data[at:], kindSet)
		if next < 0 || at+next+2 >= len(data) {
			return -1
		}
		at += next
		switch {
		case data[at+1] == 1+8 && data[at+2] == prefixEvent, data[at+1] == 1+32 && data[at+2] == prefixContent:
			return at
		}
	}
}
