// Package bridge is the core of the peg: deposits, the federation's wallet on every
// branch, payments and their signatures.
//
// # Usage
//
// The chain actor tells it what was executed and where head and finalised block are
// (FollowChain), asks for a verdict on the peg's part of a block (JudgePeg), for that
// part of a block to build (PlanPeg), and orders signatures (SignPayments). Bitcoin
// arrives as answers to FollowBitcoin and FetchTransaction.
//
// # Guarantees
//
//   - One wallet for each executed block that is kept: connecting and reverting blocks
//     moves the head and nothing else. (consensus.md C11)
//   - A wallet is a function of the blocks up to it and of the Bitcoin transactions that
//     are here. One that arrives late is applied by computing the wallets again, so
//     the result does not depend on when it arrived.
//   - The sums of a wallet satisfy the identities of [message.PegTotals] at every block
//     of every branch.
//   - Bitcoin being behind, away or of another network never makes a block invalid.
//   - No signature without a durable intent: the turn that asks the signer records it, and
//     what comes back is verified before it is kept or published.
//   - Of two payments that this member signed on different branches at most one can be
//     confirmed. (architecture.md 4, "Bridge")
//
// # Layout
//
// wallet.go has the wallet and derive.go what a block does to it; state.go and load.go
// the state and its snapshot; follow.go the chain; bitcoin.go the Bitcoin chain;
// deposits.go the deposits' life; mint.go the verdict on peg-ins and their planning.
//
// payment.go has a payment and payments.go all of them; judge.go the verdict on a block's
// payments, plan.go what is proposed; sign.go the orders and the signer, collect.go the
// members' signatures, finalize.go the payments of a carrier, broadcast.go Bitcoin,
// conflict.go payments that were signed on another branch.
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
