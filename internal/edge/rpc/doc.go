// Package rpc is the miners' and query interface: JSON-RPC over HTTP on one port.
//
//	server, err := rpc.Listen(rpc.Options{Addr: "127.0.0.1:3000", Backend: node})
//	err = server.Serve(ctx)
//
// # Two dialects, one port
//
// The seven methods of legacy answer byte for byte as legacy did, odd parameter
// shapes and HTTP statuses included (rpc.md); where legacy closed the connection or
// ended its process, the answer is an error object. Methods with a namespace, such
// as chain_head, are ordinary JSON-RPC 2.0, batches included. The method's name
// decides.
//
//	legacy   {"result":…,"error":…,"id":…}            createauxblock submitauxblock getdepositaddress
//	                                                  getheadblock getblockbyheight getblockbyhash getqueuedpow
//	ours     {"jsonrpc":"2.0","result":…,"id":…}      the table of methods.go; rpc.discover describes it
//
// # Guarantees
//
//   - A read never becomes a turn. Asking for work becomes one only when something
//     changed since it was asked for last, whoever asks; handing in work becomes one
//     only when the proof passed every check that can be made without the head.
//   - Answers to the requests of one connection come in order.
//   - Bodies, batches, answers, connections, and requests of one client a second are
//     bounded; a client that does not read or write in time is cut off.
//   - No header allows other origins, and a request that comes from a web page is
//     refused.
//   - No input ends the process.
//
// # Files
//
//	backend.go   what the node must offer
//	server.go    the port: limits of connections, time and size
//	request.go   the body of a request
//	legacy.go    legacy's methods
//	params.go    legacy's parameter shapes and error texts
//	standard.go  JSON-RPC 2.0: calls, parameters, batches
//	methods.go   the table of our methods
//	calls.go     what they do, and answers.go what they answer
//	errors.go    the table of errors
//	openrpc.go   the description made from both tables
//	peg.go       the methods about the peg
//	work.go      work handed out, and proofs judged before they become turns
package rpc
