package message

// Kinds of acts of a peer, as in [PeerAct], [PeerFault], [RangeFetched] and [RangeFailed].
// What each weighs, and in whose words: docs/peer-scores.md.
const (
	// Good acts.
	ActBlock     = "block"     // first to send a block that passed the stateless checks
	ActApproval  = "approval"  // first to send an approval whose signature is right
	ActSignature = "signature" // first to send a payment signature that is right
	ActWork      = "work"      // first to send a proof of work that passed the stateless checks
	ActRange     = "range"     // served a range of blocks as asked
	ActContent   = "content"   // served content that was asked for by hash

	// Bad acts in gossip.
	ActMalformed        = "malformed"         // bytes that do not decode, or not back to themselves
	ActForwarded        = "forwarded"         // passed on what another signed and is malformed: legacy forwards before it looks (wire.md 9.2)
	ActOversized        = "oversized"         // more bytes than the kind may have
	ActInvalidSignature = "invalid_signature" // a signature that does not verify, or of an authority that does not exist
	ActFarSlot          = "far_slot"          // a slot further ahead than clocks may differ
	ActSpam             = "spam"              // more than the token bucket of the kind allows
	ActDuplicate        = "duplicate"         // the same message again and again
	ActInvalidBlock     = "invalid_block"     // a block whose root covers what the rules refuse
	ActInvalidWork      = "invalid_work"      // a proof of work that the rules refuse

	// Bad acts in answers.
	ActEmpty      = "empty"       // has nothing where it was asked: no fault by itself
	ActStaleHead  = "stale_head"  // has nothing where it told to have a head
	ActGap        = "gap"         // a range with a height left out
	ActOrder      = "order"       // a range out of order
	ActForged     = "forged"      // a range of which blocks do not belong to what was asked, or whose quorum is not one
	ActUnwanted   = "unwanted"    // more than was asked for, or an answer nobody asked for
	ActTimeout    = "timeout"     // no answer within the deadline
	ActSlow       = "slow"        // an answer that drips
	ActReset      = "reset"       // closed in the middle of an answer
	ActWrongBytes = "wrong_bytes" // content whose hash is not the one asked for

	// Bad acts of a connection.
	ActProtocol     = "protocol"      // breaks our protocol: frames, versions, order of messages
	ActWrongGenesis = "wrong_genesis" // of another chain
	ActFalseProof   = "false_proof"   // its proof to be a member does not verify
	ActFlood        = "flood"         // more streams or connections than the limits allow
)
