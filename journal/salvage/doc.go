// Package salvage reads the files of a journal that does not open, and finds
// every event whose hash chain verifies.
//
// # Usage
//
//	f, err := salvage.Scan(ctx, salvage.Options{Dir: dir, Scratch: tmp})
//	defer f.Close()
//	for _, run := range f.Runs {
//		err := f.Each(run, func(e salvage.Event) error { ... })
//	}
//	f.Gaps()    // what no file holds
//	f.Damage    // where the files are not what they should be
//
// Nothing in the directory is changed. No list of live files is needed (no
// MANIFEST, CURRENT or marker): every table and every log that is there is
// read, whatever its name.
//
// # How files are read
//
//   - A log is read chunk by chunk. A damaged chunk loses the entries whose
//     bytes are in it: the chunks behind it are found by their checksums, and
//     the next entry by how entries start.
//   - What has moved into the archive is in files of its own and not missed here.
//   - A table is read block by block, from its index; where footer or index
//     cannot be read, blocks are found by their checksums alone. A damaged block
//     loses itself.
//   - Nothing that was read is believed for its place. An event counts when it
//     links to the one before it, a content when it hashes to its name. So stale
//     logs, tables replaced long ago and files named by a file system check are
//     welcome, and bytes that only look like an event do no harm.
//
// # What is proven
//
// A run is a stretch of events without a gap, each linked by SHA-256 to the
// one before. A run that starts at the journal's origin, or behind an event
// whose hash is known from elsewhere (the head file), is proven wholly: no other
// bytes give these hashes. A run behind a gap is proven from its second event
// on. Its first event decodes and has the right sequence, but that its bytes are
// those that were written cannot be told without the hash of the lost event
// before it; it is marked as not proven. Where a run holds an event that the
// head file names with the same hash, it is what the journal acknowledged.
//
// # Memory
//
// What is found is sorted in a scratch database on disk. In memory are one
// block or record at a time, the whole of a table whose index is lost, and some
// hundred bytes for every gap.
package salvage
