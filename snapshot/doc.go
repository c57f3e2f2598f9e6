// Package snapshot keeps the states of all actors at a position of the journal.
//
// A state is a set of named sections, each a walk over entries in strictly
// ascending key order. Taking and reading back a snapshot:
//
//	store, err := snapshot.Open(snapshot.Options{Dir: dir, Keep: 3})
//	manifest, err := store.Write(position, sections)
//	...
//	manifest, found, err := store.Newest(func(m snapshot.Manifest) error {
//		if !journalHolds(m.Position) {
//			return snapshot.ErrSkip
//		}
//		return store.Load(m, func(section string, key, value []byte) error { ... })
//	})
//
// # Digest
//
// The digest of a section is a Merkle root (RFC 6962 section 2.1, SHA-256) over
// its chunks. Where chunks end depends on the entries alone, never on how the
// state was built, so equal states have equal digests and a change of one entry
// touches one chunk. The digest is a streaming computation in O(entries) time
// and in memory of one chunk. [Root] binds the sections of one position.
//
// # Guarantees
//
//   - [Store.Write] returns only after every byte it depends on is synced: chunks,
//     their directory, then the manifest under a temporary name, its rename and
//     the directory. A power cut at any moment leaves every older snapshot as it
//     was and the new one either whole or absent.
//   - A chunk is used again only if this process has written it or has read and
//     hashed it; a damaged one is written anew.
//   - [Store.Load] hands out nothing of a chunk before its checksum, hash, size,
//     entry count, key order and place of the cuts are checked.
//   - Pruning removes manifests first and chunks afterwards, never the snapshot
//     just written, nothing newer than it, and no chunk while a manifest stands
//     that this binary cannot read for another reason than damage.
//   - A format newer than this binary is refused by its number, see [ErrNewerFormat].
//
// One process writes at a time; the lock of the journal in the same data
// directory sees to that. Any number of processes may read with ReadOnly.
//
// # Layout
//
//	DIR/00000000000000004711-1f2e3d4c5b6a7988.manifest    position, sections, list of chunks
//	DIR/chunks/1f2e...(64 hex digits).chunk               some entries, zstd
//
// Both formats are drawn in docs/formats/snapshot.md.
package snapshot
