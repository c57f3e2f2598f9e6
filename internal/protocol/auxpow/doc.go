// Package auxpow judges proofs of merge-mined work: their structure, the work in
// them, and how much work the next one needs.
//
// # Usage
//
//	proof, err := auxpow.ParseNamecoin(raw)              // as a miner submits it
//	bits, err := auxpow.NextBits(chain.Retarget, lastBits, lastHeight, headHeight)
//	if !proof.CheckWork(bits) { ... }
//	err = proof.CheckStructure(auxpow.Commitment(roots), chain.ChainID)
//
// # Guarantees
//
//   - Pure functions; the same arguments give the same answer on every machine.
//     No floating point.
//   - A proof of any shape is judged or refused with an error; legacy aborts its
//     process on some. Decoders check every count against the bytes that are left
//     before making room for it.
//   - Both encodings are canonical: what decodes without error re-encodes to the
//     same bytes.
//
// # Layout
//
// A proof travels in two forms, MessagePack inside blocks ([AuxPow.AppendTo]) and
// Namecoin's layout on RPC ([AuxPow.Namecoin]). Both carry the same fields.
// Hashes are in internal byte order in both. (consensus.md C2, C8, C9; wire.md 9.4)
package auxpow
