// Package backup copies a data directory's history to another place and back.
//
//	m, err := backup.Write(ctx, dir, backup.Source{Journal: checkpoint, ...})
//	m, err := backup.Check(ctx, dir, nil)
//	err = backup.Restore(ctx, dir, dataDir, nil, nil)
//
// A backup is a directory with the layout of a data directory, so every command
// that reads one reads the other, and a file MANIFEST with the size and SHA-256 of
// every file in it (docs/formats/backup.md). Files are copies, never links: damage
// to the original does not reach them.
//
// # Guarantees
//
//  1. The directory appears when every file in it is synced, never before.
//  2. Check and Restore read every byte and name the first file that is not what
//     was written, is missing, or was not there.
//  3. Restore writes to a directory that does not exist or is empty, and leaves
//     an incident in the journal: the node signs nothing until it is answered.
package backup
