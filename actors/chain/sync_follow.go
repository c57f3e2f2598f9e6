package chain

import "github.com/AnduroProject/alys-go/internal/protocol/message"

// leftToSync is how far above the head a missing block may be for this actor to ask for it
// by root. What is further away is a download, which is the sync actor's: it asks several
// peers by height and in order.
const leftToSync = 64

// tellSync tells the sync actor where this one is, at the start of a run and whenever that
// changed. Only a node that talks to others has anything to bring.
func (x *turn) tellSync(started bool) {
	if x.rules == nil || !x.Config.Peers || x.Conflict != nil {
		return
	}
	now := Followed{Head: x.Head, Finalized: x.Finalized, Backlog: uint32(len(x.Executing)), Synced: x.Gate.Synced}
	if now == x.ToldSync && !started {
		return
	}
	x.ToldSync = now
	x.out.Send(download, &message.FollowSync{Head: &now.Head, Finalized: &now.Finalized, Backlog: now.Backlog, Synced: now.Synced})
}

// Followed is what the sync actor knows of this one.
type Followed struct {
	Head, Finalized message.BlockID
	Backlog         uint32
	Synced          bool
}

// isDownload reports whether a missing block is the sync actor's to bring.
func (x *turn) isDownload(missing Fetch) bool {
	return x.Config.Peers && missing.Number > x.Head.Number+leftToSync
}
