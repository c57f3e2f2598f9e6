package message

import (
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// PeerConnected is what the peers edge knows of a peer once it can be talked to: after
// our handshake, or when it turned out to speak legacy's protocols only. (docs/formats/peer-protocol.md)
type PeerConnected struct {
	Peer         string // peer id, base58
	Address      string // multiaddr without the peer id
	Inbound      bool
	Legacy       bool     // speaks no protocol of ours: it has no head to tell
	Agent        string   // program and version; empty for legacy
	Protocol     uint32   // version of our protocol; 0 for legacy
	HasAuthority bool     // it proved that it holds the key of Authority
	Authority    uint32   // index into the chain spec's authorities
	Head         *BlockID // nil for legacy
	Finalized    *BlockID // nil for legacy
	Listen       string   // multiaddr without the peer id at which it says it can be dialled; empty when it told none
}

// Type implements core.Message.
func (*PeerConnected) Type() string { return "peer_connected" }

// Schema implements core.Message.
func (*PeerConnected) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerConnected) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Address)
	f.Bool(3, &m.Inbound)
	f.Bool(4, &m.Legacy)
	f.String(5, &m.Agent)
	f.Uint32(6, &m.Protocol)
	f.Bool(7, &m.HasAuthority)
	f.Uint32(8, &m.Authority)
	record.Optional(f, 9, &m.Head)
	record.Optional(f, 10, &m.Finalized)
	f.String(11, &m.Listen)
}

// PeerGone is the end of the last connection to a peer.
type PeerGone struct {
	Peer   string
	Reason string
}

// Type implements core.Message.
func (*PeerGone) Type() string { return "peer_gone" }

// Schema implements core.Message.
func (*PeerGone) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerGone) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Reason)
}

// PeersReported gathers what changed of connected peers since the last report. The edge
// sends one a second at most, whatever peers do. (architecture.md 1.8)
type PeersReported struct {
	Peers []PeerReport // by peer id
}

// Type implements core.Message.
func (*PeersReported) Type() string { return "peers_reported" }

// Schema implements core.Message.
func (*PeersReported) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeersReported) Fields(f *record.Fields) {
	record.List(f, 1, &m.Peers)
}

// PeerReport is what changed of one peer.
type PeerReport struct {
	Peer      string
	Head      *BlockID  // nil when it did not move
	Finalized *BlockID  // nil when it did not move
	RttMs     uint32    // smoothed round trip, milliseconds; 0 when not measured
	Acts      []PeerAct // what it did, good and bad, by kind
}

// Fields implements record.Record.
func (m *PeerReport) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	record.Optional(f, 2, &m.Head)
	record.Optional(f, 3, &m.Finalized)
	f.Uint32(4, &m.RttMs)
	record.List(f, 5, &m.Acts)
}

// PeerAct counts one kind of act of a peer: [ActBlock] and the others. (docs/peer-scores.md)
type PeerAct struct {
	Kind   string
	Count  uint32
	Detail string // of the last one, for people; at most 200 bytes
}

// Fields implements record.Record.
func (m *PeerAct) Fields(f *record.Fields) {
	f.String(1, &m.Kind)
	f.Uint32(2, &m.Count)
	f.String(3, &m.Detail)
}

// PeerFault tells the network actor what another actor found a peer to have done.
type PeerFault struct {
	Peer   string // empty: nobody is to blame, nothing follows
	Kind   string // as in PeerAct
	Detail string
}

// Type implements core.Message.
func (*PeerFault) Type() string { return "peer_fault" }

// Schema implements core.Message.
func (*PeerFault) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerFault) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Kind)
	f.String(3, &m.Detail)
}

// BanPeer is an operator's decision that a peer is not talked to.
type BanPeer struct {
	Request uint64 // answered by OperatorAnswer
	Peer    string // peer id, or empty
	Address string // IP address, or empty
	Seconds uint64 // 0 is for ever
	Reason  string
}

// Type implements core.Message.
func (*BanPeer) Type() string { return "ban_peer" }

// Schema implements core.Message.
func (*BanPeer) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BanPeer) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.String(2, &m.Peer)
	f.String(3, &m.Address)
	f.Uint64(4, &m.Seconds)
	f.String(5, &m.Reason)
}

// UnbanPeer ends a ban.
type UnbanPeer struct {
	Request uint64 // answered by OperatorAnswer
	Peer    string // peer id, or empty
	Address string // IP address, or empty
}

// Type implements core.Message.
func (*UnbanPeer) Type() string { return "unban_peer" }

// Schema implements core.Message.
func (*UnbanPeer) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *UnbanPeer) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.String(2, &m.Peer)
	f.String(3, &m.Address)
}

// PeerJoined is the fact that a peer can be talked to.
type PeerJoined struct {
	Peer         string
	Address      string
	Inbound      bool
	Legacy       bool
	Agent        string
	HasAuthority bool
	Authority    uint32
	Score        int64
}

// Type implements core.Message.
func (*PeerJoined) Type() string { return "peer_joined" }

// Schema implements core.Message.
func (*PeerJoined) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerJoined) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Address)
	f.Bool(3, &m.Inbound)
	f.Bool(4, &m.Legacy)
	f.String(5, &m.Agent)
	f.Bool(6, &m.HasAuthority)
	f.Uint32(7, &m.Authority)
	f.Int64(8, &m.Score)
}

// PeerLeft is the fact that a peer is gone.
type PeerLeft struct {
	Peer   string
	Reason string
	Score  int64
}

// Type implements core.Message.
func (*PeerLeft) Type() string { return "peer_left" }

// Schema implements core.Message.
func (*PeerLeft) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerLeft) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Reason)
	f.Int64(3, &m.Score)
}

// PeerScored is the fact that a peer's score changed, and by which acts since the score
// was told last. Routine changes are told when they add up to something; the formula is in
// docs/peer-scores.md.
type PeerScored struct {
	Peer  string
	Score int64     // thousandths of a point
	Acts  []PeerAct // by kind
}

// Type implements core.Message.
func (*PeerScored) Type() string { return "peer_scored" }

// Schema implements core.Message.
func (*PeerScored) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerScored) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.Int64(2, &m.Score)
	record.List(f, 3, &m.Acts)
}

// PeerBanned is the fact that a peer or an address is not talked to until a time.
type PeerBanned struct {
	Peer     string // or empty
	Address  string // IP address, or empty
	Until    int64  // Unix milliseconds; 0 is for ever
	Reason   string
	Operator bool
}

// Type implements core.Message.
func (*PeerBanned) Type() string { return "peer_banned" }

// Schema implements core.Message.
func (*PeerBanned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerBanned) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Address)
	f.Int64(3, &m.Until)
	f.String(4, &m.Reason)
	f.Bool(5, &m.Operator)
}

// PeerUnbanned is the fact that a ban ended.
type PeerUnbanned struct {
	Peer     string // or empty
	Address  string // or empty
	Operator bool
}

// Type implements core.Message.
func (*PeerUnbanned) Type() string { return "peer_unbanned" }

// Schema implements core.Message.
func (*PeerUnbanned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeerUnbanned) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Address)
	f.Bool(3, &m.Operator)
}

// GuideConnections is an effect to the peers edge, until-done: who may not connect, and
// whom to dial. It leaves at each start of a run and whenever one of the lists changes;
// the edge answers with ConnectionsGuided.
type GuideConnections struct {
	Bans  []PeerBan
	Known []KnownPeer // best first
}

// Type implements core.Message.
func (*GuideConnections) Type() string { return "guide_connections" }

// Schema implements core.Message.
func (*GuideConnections) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *GuideConnections) Fields(f *record.Fields) {
	record.List(f, 1, &m.Bans)
	record.List(f, 2, &m.Known)
}

// ConnectionsGuided answers GuideConnections.
type ConnectionsGuided struct {
}

// Type implements core.Message.
func (*ConnectionsGuided) Type() string { return "connections_guided" }

// Schema implements core.Message.
func (*ConnectionsGuided) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (*ConnectionsGuided) Fields(*record.Fields) {}

// PeerBan is one ban in force.
type PeerBan struct {
	Peer    string // or empty
	Address string // IP address, or empty
	Until   int64  // Unix milliseconds; 0 is for ever
}

// Fields implements record.Record.
func (m *PeerBan) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Address)
	f.Int64(3, &m.Until)
}

// KnownPeer is an entry of the address book.
type KnownPeer struct {
	Peer         string // empty when only the address is known
	Address      string // multiaddr
	HasAuthority bool
	Authority    uint32
}

// Fields implements record.Record.
func (m *KnownPeer) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Address)
	f.Bool(3, &m.HasAuthority)
	f.Uint32(4, &m.Authority)
}

// DisconnectPeer is a fire-and-forget effect: say goodbye and close.
type DisconnectPeer struct {
	Peer   string
	Reason string
}

// Type implements core.Message.
func (*DisconnectPeer) Type() string { return "disconnect_peer" }

// Schema implements core.Message.
func (*DisconnectPeer) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *DisconnectPeer) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.String(2, &m.Reason)
}

// PeersSeen tells the sync actor which peers can be asked, and what they have.
type PeersSeen struct {
	Peers []SyncPeer // new and changed ones
	Gone  []GonePeer
}

// Type implements core.Message.
func (*PeersSeen) Type() string { return "peers_seen" }

// Schema implements core.Message.
func (*PeersSeen) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PeersSeen) Fields(f *record.Fields) {
	record.List(f, 1, &m.Peers)
	record.List(f, 2, &m.Gone)
}

// SyncPeer is a peer that can be asked for blocks.
type SyncPeer struct {
	Peer      string
	Legacy    bool
	Head      *BlockID // nil for legacy
	Finalized *BlockID
	Score     int64 // thousandths of a point
	RttMs     uint32
	// HasAuthority: it proved that it holds the key of Authority.
	HasAuthority bool
	Authority    uint32
}

// Fields implements record.Record.
func (m *SyncPeer) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.Bool(2, &m.Legacy)
	record.Optional(f, 3, &m.Head)
	record.Optional(f, 4, &m.Finalized)
	f.Int64(5, &m.Score)
	f.Uint32(6, &m.RttMs)
	f.Bool(7, &m.HasAuthority)
	f.Uint32(8, &m.Authority)
}

// GonePeer is a peer that cannot be asked any more.
type GonePeer struct {
	Peer string
}

// Fields implements record.Record.
func (m *GonePeer) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
}

// MemberHeads tells the chain actor where the members are to whose proven connections
// this node has: the whole list, at each change.
type MemberHeads struct {
	Heads []MemberHead // by authority; the newest of a member with two connections
}

// Type implements core.Message.
func (*MemberHeads) Type() string { return "member_heads" }

// Schema implements core.Message.
func (*MemberHeads) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *MemberHeads) Fields(f *record.Fields) {
	record.List(f, 1, &m.Heads)
}

// MemberHead is the head that a member told.
type MemberHead struct {
	Authority uint32
	Head      *BlockID
	Finalized *BlockID
}

// Fields implements record.Record.
func (m *MemberHead) Fields(f *record.Fields) {
	f.Uint32(1, &m.Authority)
	record.Optional(f, 2, &m.Head)
	record.Optional(f, 3, &m.Finalized)
}
