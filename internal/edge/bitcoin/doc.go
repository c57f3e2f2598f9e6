// Package bitcoin is the edge to a Bitcoin node: Bitcoin Core or btcd over JSON-RPC.
//
// # Usage
//
//	client, err := bitcoin.Dial(bitcoin.ClientOptions{URL: "http://127.0.0.1:8332", CookieFile: cookie})
//	reader := bitcoin.NewReader(client, federation, "main")
//	followed, away := bitcoin.NewWatch(reader, log).Follow(ctx, request)
//	fetched, err := reader.Fetch(ctx, request)
//	result := reader.Broadcast(ctx, txid, raw)
//
// # Guarantees
//
//   - Start order does not matter: Dial asks nothing, and a node that is away or warming
//     up is an error graded [fault.Temporary].
//   - What the node lacks now (a height beyond its tip, a pruned or unknown block) is
//     [fault.CannotJudge]; what an operator has to mend (password, certificate, network)
//     is [fault.Invalid] and names the setting. Passwords are in no error.
//   - Answers are bounded in size and time, and checked: a block has the hash that was
//     asked for and its transactions are those that its header commits to; blocks of one
//     answer follow each other. A node that reorganises in between is asked anew.
//   - An answer depends on the node's chain and the request alone.
//
// # Layout
//
// [Node] is what a Bitcoin node can do, [Client] does it over JSON-RPC, [Reader] answers
// the effects of the bridge actor with any Node, and [Watch] waits until it can.
package bitcoin
