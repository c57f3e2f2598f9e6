// Package regtest is a Bitcoin regtest chain in this process, on btcd's own chain
// packages: its consensus rules, mempool policy and block templates, without a peer and
// without a port. A development node uses it where others have a Bitcoin node.
//
// # Usage
//
//	chain, err := regtest.Open(regtest.Options{Dir: dir, Logger: logger})
//	defer chain.Close()
//	info, err := chain.Info(ctx) // a bitcoin.Node
//	txid, err := chain.Deposit(ctx, federationScript, 50_000_000, account[:])
//	blocks, err := chain.Mine(ctx, 6)
//
// The first opening mines as many blocks as taproot needs to be active (432), so that
// [Chain.Deposit] and [Chain.Pay] have matured coins at once. [Chain.Run] mines by time.
// [Chain.Reorg] replaces the last blocks by a longer branch.
//
// # Guarantees
//
//   - A block is on disk before anything tells of it; kill -9 loses none.
//   - Only bitcoind's regtest rules decide what is valid: the parameters are btcd's.
//   - What btcd's packages cannot go on from (an error of their database, a panic while a
//     call of this package runs) becomes a Corrupt error, and further calls are refused.
//     The next opening makes their database again from the block file.
//
// The mempool is not kept: after a restart, what was not mined is sent again by who wants
// it, as with btcd.
//
// # Data directory
//
//	blocks    every block in the order in which it was accepted: the 8 bytes "alysbtc1",
//	          then for each block its length and the CRC-32C of its bytes (little-endian,
//	          4 bytes each) and its serialization; locked while open
//	DAMAGED   says why chain/ is made again at the next opening
//	chain/    btcd's database (ffldb), derived from the blocks: may be removed
//
// An incomplete block at the end of the file, from a kill in the middle of a write, is cut
// off. A checksum that differs further in is an error that names file and offset.
package regtest
