package snapshot

import (
	"strconv"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// prune removes what Options.Keep leaves over after m was written. The order of
// steps makes a power cut harmless: a manifest goes before its chunks.
func (s *Store) prune(m Manifest) {
	if err := s.tryPrune(m); err != nil {
		s.log.Warn("old snapshots not removed, the next snapshot tries again", "error", err)
	}
}

func (s *Store) tryPrune(m Manifest) error {
	found, err := s.scan()
	if err != nil {
		return err
	}
	kept, removed := choose(found.manifests, m, s.keep)
	names := found.leftover
	for _, r := range removed {
		names = append(names, r.File)
	}
	names = append(names, damaged(found.unreadable, kept, m)...)
	for _, name := range names {
		if err := s.fs.Remove(s.fs.PathJoin(s.dir, name)); err != nil && !notExist(err) {
			return fault.Wrap(fault.Temporary, err, "removing the snapshot file "+s.fs.PathJoin(s.dir, name))
		}
	}
	if len(names) > 0 {
		if err := s.syncDir(s.dir); err != nil {
			return err
		}
	}
	for _, u := range found.unreadable {
		if !fault.Is(u.err, fault.Corrupt) {
			s.log.Warn("snapshot chunks not removed while a manifest cannot be read", "file", s.fs.PathJoin(s.dir, u.name), "error", u.err)
			return nil
		}
	}
	return s.sweep(kept)
}

// choose splits the snapshots, newest first, after m was written. Snapshots
// above m's sequence stay: they belong to a journal that was longer, or m was
// made of an old position. Those at or below it are counted for each journal,
// beginning with m in m's own.
func choose(all []Manifest, m Manifest, keep int) (kept, removed []Manifest) {
	counts := map[[16]byte]int{m.Journal: 1}
	for _, old := range all {
		switch {
		case old.File == m.File || old.Journal == m.Journal && old.Sequence > m.Sequence:
			kept = append(kept, old)
		case counts[old.Journal] < keep:
			counts[old.Journal]++
			kept = append(kept, old)
		default:
			removed = append(removed, old)
		}
	}
	return kept, removed
}

// damaged returns the damaged manifests that are older than everything kept of
// m's journal; younger ones stay as evidence for the operator.
func damaged(all []unreadable, kept []Manifest, m Manifest) []string {
	oldest := m.Sequence
	for _, k := range kept {
		if k.Journal == m.Journal {
			oldest = min(oldest, k.Sequence)
		}
	}
	var names []string
	for _, u := range all {
		number, _, _ := strings.Cut(u.name, "-")
		sequence, err := strconv.ParseUint(number, 10, 64)
		if err == nil && sequence < oldest && fault.Is(u.err, fault.Corrupt) {
			names = append(names, u.name)
		}
	}
	return names
}

// sweep removes the chunks that no snapshot in kept refers to.
func (s *Store) sweep(kept []Manifest) error {
	used := map[string]bool{}
	for _, m := range kept {
		for _, refs := range m.chunks {
			for _, ref := range refs {
				used[ref.hash.chunkName()] = true
			}
		}
	}
	names, err := s.fs.List(s.chunkDir)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "listing the snapshot directory "+s.chunkDir)
	}
	for _, name := range names {
		if used[name] || !strings.HasSuffix(name, chunkSuffix) && !strings.HasSuffix(name, temporarySuffix) {
			continue
		}
		path := s.fs.PathJoin(s.chunkDir, name)
		if err := s.fs.Remove(path); err != nil && !notExist(err) {
			return fault.Wrap(fault.Temporary, err, "removing the snapshot file "+path)
		}
	}
	return nil
}
