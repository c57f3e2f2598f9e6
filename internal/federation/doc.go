// Package federation makes what the members of a new federation need to start: their keys,
// the chain specification, the genesis, and a configuration for each node.
//
// # Usage
//
//	l, err := federation.Init(dir, federation.Options{Members: 3, Full: 1, Chain: spec.Dev(), Accounts: true})
//	l, err = federation.Open(dir)
//	for _, n := range l.Nodes { … n.Config, n.P2P … }
//
// # Guarantees
//
//   - All of a directory or nothing: it is made beside its place and renamed to it. A
//     directory that is there is refused ([ErrExists]) and left as it is.
//   - Secret keys come from the system's generator, are in files that only their owner can
//     read, and are in no result, error or public file. [Init] proves each key before it
//     says that all is well: the files are read again by what the node reads them with.
//   - A node's directory is whole by itself: it can be carried to another machine, where
//     --config-dir and --data-dir say what it will be called.
//
// # Layout
//
//	federation.json     what is public: members, keys, addresses and ports
//	chain.json          chain specification        } copies are in each
//	genesis.json        genesis of the execution layer } node's directory
//	member-N/, full-N/
//	  config.toml       settings: alys node --config config.toml
//	  authority.key     BLS secret key, hex           members only
//	  federation.key    Bitcoin secret key, sealed    members only
//	  passphrase        that opens it; move it to where the machine keeps secrets
//	  secrets.env       instead of the last two: ALYS_FEDERATION_KEY=… (Options.Plain)
//	  fees.key          secret key of the account that gets the member's fees, hex
//	  data/peer.key     Ed25519 key of the peer id, as libp2p writes it; the rest of the data
//	                    directory is the node's own
package federation
