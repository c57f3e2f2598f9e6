// Package pegsigner is the edge that holds a member's federation key, or reaches the
// process that does, and signs payments with it.
//
// # Usage
//
//	secret, err := pegsigner.OpenSealed(file, passphrase) // or ParseSecret
//	signer, err := pegsigner.NewLocal(secret, federation)
//	signer, err := pegsigner.Dial(pegsigner.Remote{Address: "unix:/run/alys/signer.sock", PublicKey: key})
//	signed, err := pegsigner.Answer(ctx, signer, federation, request)
//	err = pegsigner.DryRun(ctx, signer)
//
// # Guarantees
//
//   - No signer signs a hash that it was given. It reads the payment and the outputs
//     that it spends, checks that the payment is what it is called and spends only
//     coins of the federation, and computes the sighashes by itself. (BIP 341, 342)
//   - A signature is checked before it is handed out, one made elsewhere too.
//   - [Secret] formats as a placeholder with every verb, in JSON and in logs. No error
//     repeats a key or a passphrase.
//   - Whatever a signer is given or a signer process answers, of any size, ends in a
//     graded error: Temporary while the process is away or slow, CannotJudge when its
//     policy refuses, which an operator can change, Invalid when the request is wrong.
//
// A local signer has no memory: that a payment may be signed is the bridge actor's
// decision, durable before the request leaves the journal. A signer process keeps a
// record of its own (package keeper).
//
// # Layout
//
// Signatures are those of BIP 340 over the default sighash with 32 fresh random bytes
// as auxiliary data, so that two signatures of one hash differ, and neither a bad
// random source alone nor a fault of the machine alone gives the key away. A dry run
// signs a hash with a tag of its own, which no transaction's sighash has.
//
// A sealed key is a file in the format of age with a passphrase (scrypt), whose
// content is the line "alys-federation-key-1", a space and 64 hex digits.
package pegsigner
