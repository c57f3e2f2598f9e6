// Package keeper is the reference signer process: it holds a member's federation key
// away from the node, and a record of its own of what it signed.
//
// # Usage
//
//	log, err := keeper.OpenLog(path, publicKey, false)
//	k := keeper.New(secret, federation, policy, log, logger)
//	listener, err := keeper.ListenUnix(ctx, path) // or ListenTLS
//	err = k.Serve(ctx, listener, nil)
//
// # Guarantees
//
//   - A payment is in the log, and the log on disk, before its signature leaves. A
//     process that is killed at any moment has a record of all that it signed.
//   - An output is not spent by a second payment, unless the request names the first one
//     as one that the second replaces, or the operator allowed the second by its txid.
//   - A second payment at a height is refused unless it shares an input with the first,
//     or a payment signed since does: at most one of the two can confirm.
//   - Fee rate, satoshi of one payment and satoshi of a period are bounded, on what the
//     keeper computes from the transaction itself.
//   - Nobody else is asked or believed: a wrong request, of any size, is refused with a
//     status, and a client that hangs holds nobody up.
//   - A damaged log ends the process before it signs anything: see [OpenLog].
//
// What a keeper cannot know is whether a payment was asked for by the sidechain: it
// bounds what a node that was taken over can do, and stops one that forgot what it
// signed. It is no second judge of blocks.
//
// # Layout
//
// docs/formats/signer.md has the interface, docs/formats/signer-log.md the file.
package keeper
