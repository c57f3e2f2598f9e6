// Package admin is the local control socket of a running node: HTTP and JSON
// over a unix socket that only the node's user may open.
//
//	go admin.Serve(ctx, dataDir, admin.Handlers{Status: node.Status, Checkpoint: node.Checkpoint, Ready: node.Ready})
//
//	client, err := admin.Dial(dataDir)
//	if errors.Is(err, admin.ErrNotRunning) { ... read the files of the data directory instead ... }
//	err = client.Status(ctx, &status)
//
// # Requests
//
//	GET  /status                          what Handlers.Status returns
//	POST /checkpoint {"dir": "/abs/path"} what Handlers.Checkpoint returns; the directory must not exist
//	POST /signing/allow {"reason": "..."} 200 {"allowed":true} once the decision is in the journal
//	POST /sync/assume {"reason": "..."}   200 {"assumed":true} once the decision is in the journal
//	POST /signing/statement {"range_end": "0x..."} 200 {"statement":"2:..."} once it is made
//	POST /signing/release {"range_end": "0x...", "statements": [...], "reason": "..."} 200 {"released":true}
//	POST /chain/follow {"root": "0x…", "reason": "..."} 200 {"followed":true} once the branch is the head's
//	POST /chain/keep {"root": "0x…", "reason": "..."} 200 {"kept":true} once the decision is in the journal
//	POST /snapshot {}                     what Handlers.Snapshot returns, once the snapshot is on disk
//	POST /archive {"before": n}           what Handlers.Archive returns
//	GET  /livez                           200 {"live":true}
//	GET  /readyz                          200 {"ready":true} or 503 {"ready":false,"reasons":["..."]}
//
// Every other answer is {"error": "...", "grade": "..."}: 400 for grade invalid,
// 413 for a body above 16 KiB, 409 for a second checkpoint or snapshot at a time
// and for what the node refuses for safety ("refused": true), 503 for
// temporary and cannot judge yet, 500 for the rest, 501 for a request that this
// node does not offer. The client gives errors back with their grade.
//
// # Socket
//
// The socket is admin.sock in the data directory, mode 0600 from the start.
// Where that path is longer than a socket address can be, it is
// alys-<hash of the absolute data directory>.sock in the directory for temporary
// files, so server and client must then agree on TMPDIR. A file left by a killed
// process is replaced once nobody answers there. The client trusts a socket only
// if it belongs to the owner of the data directory, to the caller or to root.
package admin
