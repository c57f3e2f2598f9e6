// Package archive owns the files that a journal's oldest events move into.
//
// A segment holds consecutive events of one journal and the content objects
// that they name, compressed, with an index for access by sequence and by hash.
// It knows envelopes and contents as bytes only: package journal checks what
// they mean.
//
//	err := storage.Put(ctx, name, func(w io.Writer) error {
//		s, err := archive.NewWriter(w, start)
//		... s.Event(time, value) ..., s.Content(hash, data) ...
//		info, err = s.Finish()
//	})
//
//	r, err := archive.Open(ctx, storage, name)
//	value, err := r.Event(ctx, sequence)
//	data, found, err := r.Content(ctx, hash)
//	err = r.Check(ctx, archive.Visitor{}) // every byte
//
// # Guarantees
//
//  1. A segment appears in its storage as a whole and durably, or not at all,
//     and is never changed.
//  2. A flipped bit anywhere in a segment is found: by the block's checksum
//     when the block is read, and by Check wherever it is. The error has grade
//     Corrupt and names the file and the offset.
//  3. Memory is bounded by what the file can justify: a block is inflated only
//     after its checksum agreed, and never to more than it could hold.
//  4. A storage that does not answer is an error of grade Temporary, which says
//     nothing about the bytes.
//
// # Layout
//
// header, event blocks, content blocks, index, footer; docs/formats/archive.md
// draws every byte.
package archive
