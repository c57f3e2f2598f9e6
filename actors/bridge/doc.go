// Package bridge is the core of the peg: deposits, the federation's wallet on every
// branch, payments and their signatures.
package bridge

import "github.com/AnduroProject/alys-go/actors/core"

// The actor, those it sends to, and the edges of its effects.
const (
	ID          core.ID   = "bridge"
	chain       core.ID   = "chain"
	BitcoinEdge core.Edge = "bitcoin"
	// SignerEdge holds the member's federation key. It is not the edge of block
	// signatures: a remote signer may be slow.
	SignerEdge core.Edge = "peg-signer"
	PeersEdge  core.Edge = "peers"
	TimerEdge  core.Edge = "timer"
	AnswerEdge core.Edge = "answer"
)
