// Package signerpb is the gRPC interface of a federation signer, generated from
// signer.proto by make generate-proto. docs/formats/signer.md is its page.
package signerpb
