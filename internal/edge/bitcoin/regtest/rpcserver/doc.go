// Package rpcserver serves a regtest chain of this process over JSON-RPC, in the part of
// Bitcoin Core's dialect that nodes of this program and most tools use: a Bitcoin node for
// a development network of many processes, which needs no other program.
//
// # Usage
//
//	cookie, err := rpcserver.WriteCookie(path)
//	s := rpcserver.New(chain, rpcserver.Options{Credentials: cookie, Logger: logger})
//	l, err := rpcserver.Listen(ctx, "127.0.0.1:18443")
//	err = s.Serve(ctx, l) // until ctx ends
//
// A [Client] makes the calls that only this server has.
//
// # Calls
//
// As in Bitcoin Core, with its error codes: getblockchaininfo, getnetworkinfo,
// getindexinfo, getblockcount, getbestblockhash, getblockhash, getblockheader, getblock
// (verbosity 0 only), getrawtransaction, getrawmempool, sendrawtransaction,
// estimatesmartfee, ping.
//
// Of this server only: dev_faucet (height, address and balance), dev_mine (blocks),
// dev_reorg (depth), dev_deposit (script, satoshi, data) and dev_pay (script, satoshi).
//
// # Guarantees
//
//   - No call is answered without the credentials, which are compared in
//     constant time.
//   - A request is at most [MaxRequest] bytes, connections are counted, and header, body
//     and idle time have deadlines: a client can make the server do no more than that.
//   - A block is durable before an answer tells of it: regtest's promise.
package rpcserver
