package witness

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/AnduroProject/alys-go/journal/tree"
)

// The kinds of findings.
const (
	// KindFork: two checkpoints of one history over as many events have different roots.
	KindFork = "fork"
	// KindRollback: a history is shorter than it was, or is one that ended before.
	KindRollback = "rollback"
	// KindUnproven: the owner does not show that the newer checkpoint continues the older.
	KindUnproven = "unproven"
)

// judge compares a checkpoint with the one seen before. An empty kind: it continues it, or
// begins another history, as after a repair or in a new data directory, which is no secret.
func judge(last, now tree.Checkpoint, path []byte) (kind, text string) {
	if last.Origin != now.Origin {
		before, n, ok := history(last.Origin)
		after, m, fine := history(now.Origin)
		if ok && fine && before == after && m < n {
			return KindRollback, fmt.Sprintf("it shows the history %s, seen was %s, which came later", now.Origin, last.Origin)
		}
		return "", ""
	}
	switch {
	case now.Size < last.Size:
		return KindRollback, fmt.Sprintf("it has %d events, seen were %d", now.Size, last.Size)
	case now.Size == last.Size && now.Root != last.Root:
		return KindFork, fmt.Sprintf("over %d events it has the root %s, seen was %s", now.Size, now.Root, last.Root)
	case now.Size == last.Size:
		return "", ""
	}
	hashes := make([]tree.Hash, 0, len(path)/32)
	for ; len(path) >= 32; path = path[32:] {
		hashes = append(hashes, tree.Hash(path))
	}
	if err := tree.VerifyConsistency(last.Size, now.Size, hashes, last.Root, now.Root); err != nil {
		return KindUnproven, fmt.Sprintf("its %d events are not shown to continue the %d that were seen: %v", now.Size, last.Size, err)
	}
	return "", ""
}

// history splits an origin into the journal and the number of incidents.
func history(origin string) (id string, incidents int, ok bool) {
	i := strings.LastIndexByte(origin, '/')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(origin[i+1:])
	return origin[:i], n, err == nil
}
