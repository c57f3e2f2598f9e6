package chain

// considerApproval is where this member decides about a block that came by gossip
// or is its own. Its own it has approved by signing it. (C5.10)
func (x *turn) considerApproval(*Entry) {}
