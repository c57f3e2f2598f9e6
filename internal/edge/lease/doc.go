// Package lease keeps two processes of one machine from signing with one key, and one key
// from being used by two journals in turn.
//
//	held, err := lease.Take(dir, lease.Claim{Purpose: "authority", Key: public, Journal: id, DataDir: path})
//	defer held.Close()
//
// What a member signed is in its journal: a process with another journal, or with an older
// copy of the same one, would sign a second block of a slot in good faith. A lease is two
// files of a directory that all nodes of a machine share, named by the key's SHA-256:
//
//	<name>.lock    locked (flock) while a process has the key; empty, never removed
//	<name>.json    which journal, in which data directory, may use the key
//
// The lock ends with its process, however that ends; the binding to a journal and its data
// directory stays. [Take] refuses, and says who else it is, when the lock is held, when the
// binding names another journal, directory or machine, and when the file cannot be read or
// written. An operator ends a binding by [Release].
//
// It sees this machine alone. Elsewhere, other processes are listened for on the network.
// (docs/decisions/0084-key-lease.md)
package lease
