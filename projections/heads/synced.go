package heads

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Synced is whether this node makes blocks beside others, and what it waits for.
// (docs/decisions/0083-synced.md)
type Synced struct {
	Synced  bool   `json:"synced"`
	Needs   string `json:"needs,omitempty"`
	Members uint32 `json:"members"` // whose heads agree with ours, ourselves included
	Quorum  uint32 `json:"quorum"`
	Assumed string `json:"assumed,omitempty"` // what an operator said
}

// Members is what this node found out about members of the federation.
type Members struct {
	Equivocations uint64 `json:"equivocations"` // two blocks of one slot signed by one member
	Last          string `json:"last_equivocation,omitempty"`
	KeyInUse      string `json:"key_in_use,omitempty"` // another process signs with our key
}

// foldSynced takes a fact about other members.
func (v *View) foldSynced(m any) {
	switch m := m.(type) {
	case *message.SyncedChanged:
		next := Synced{Synced: m.Synced, Needs: m.Needs, Members: m.Members, Quorum: m.Quorum}
		if v.Synced != nil {
			next.Assumed = v.Synced.Assumed
		}
		v.Synced = &next
	case *message.SyncAssumed:
		next := Synced{Assumed: m.Reason}
		if v.Synced != nil {
			next = *v.Synced
			next.Assumed = m.Reason
		}
		v.Synced = &next
	case *message.Equivocation:
		v.Members.Equivocations++
		v.Members.Last = fmt.Sprintf("member %d signed %s and %s, both of slot %d", m.Authority, m.First, m.Second, m.Slot)
	case *message.KeyInUse:
		v.Members.KeyInUse = fmt.Sprintf("block %s of slot %d has a signature of member %d that this node did not make", m.Root, m.Slot, m.Authority)
	}
}
