package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// FollowSync tells the sync actor where the chain actor is: after each turn in which one
// of the fields changed.
type FollowSync struct {
	Head      *BlockID
	Finalized *BlockID
	Backlog   uint32 // blocks that were received by sync and are not executed or refused: what the sync actor has to wait for
	Synced    bool
}

// Type implements core.Message.
func (*FollowSync) Type() string { return "follow_sync" }

// Schema implements core.Message.
func (*FollowSync) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FollowSync) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Head)
	record.Optional(f, 2, &m.Finalized)
	f.Uint32(3, &m.Backlog)
	f.Bool(4, &m.Synced)
}

// FetchRange is an expiring effect to the peers edge: ask one peer for blocks of its head's
// branch by height. The edge checks of the answer what needs no state: encoding, heights without a gap, parent links, slots that rise,
// and the signatures of each block. It answers with RangeFetched or RangeFailed.
type FetchRange struct {
	Peer       string
	From       uint64 // height of the first block wanted
	Count      uint32 // at most 1024 (wire.md 9.5)
	MaxBytes   uint32 // of the answer; one block is taken whatever its size
	DeadlineMs uint64 // for the first block, and between two
	Legacy     bool   // ask by legacy's protocol
}

// Type implements core.Message.
func (*FetchRange) Type() string { return "fetch_range" }

// Schema implements core.Message.
func (*FetchRange) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FetchRange) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.Uint64(2, &m.From)
	f.Uint32(3, &m.Count)
	f.Uint32(4, &m.MaxBytes)
	f.Uint64(5, &m.DeadlineMs)
	f.Bool(6, &m.Legacy)
}

// RangeFetched answers FetchRange with what arrived and was found good: a gapless run of blocks from
// From, perhaps fewer than asked for. Whether it links to what is known is for the sync actor to judge.
type RangeFetched struct {
	Peer   string
	From   uint64
	Blocks []Block     // oldest first, at most Count
	Parent common.Hash // of the first
	Last   common.Hash // root of the last
	Quorum uint32      // how many of them, from the first up to the last that holds Q real approvals: it vouches for those below it
	Fault  string      // why it ended early, as a kind of PeerAct; empty when the peer closed well
	Detail string
	Bytes  uint64
	Ms     uint32      // taken
	Proven common.Hash // root of the last block that Quorum counts; zero when it counts none
}

// Type implements core.Message.
func (*RangeFetched) Type() string { return "range_fetched" }

// Schema implements core.Message.
func (*RangeFetched) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *RangeFetched) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.Uint64(2, &m.From)
	record.List(f, 3, &m.Blocks)
	f.Fixed(4, m.Parent[:])
	f.Fixed(5, m.Last[:])
	f.Uint32(6, &m.Quorum)
	f.String(7, &m.Fault)
	f.String(8, &m.Detail)
	f.Uint64(9, &m.Bytes)
	f.Uint32(10, &m.Ms)
	f.Fixed(11, m.Proven[:])
}

// RangeFailed answers FetchRange when not one good block arrived.
type RangeFailed struct {
	Peer   string
	From   uint64
	Fault  string // a kind of PeerAct; "empty" when the peer has nothing there
	Detail string
	Ms     uint32 // taken
}

// Type implements core.Message.
func (*RangeFailed) Type() string { return "range_failed" }

// Schema implements core.Message.
func (*RangeFailed) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *RangeFailed) Fields(f *record.Fields) {
	f.String(1, &m.Peer)
	f.Uint64(2, &m.From)
	f.String(3, &m.Fault)
	f.String(4, &m.Detail)
	f.Uint32(5, &m.Ms)
}

// SyncProgressed is the fact of how far a download is, told when a range was handed on.
type SyncProgressed struct {
	Head   uint64 // our head
	Handed uint64 // height up to which blocks are handed to the chain actor
	Target uint64 // highest height that a quorum of members or, without members, most peers tell
	Peers  uint32 // asked at the moment
	Bytes  uint64 // since the run began
}

// Type implements core.Message.
func (*SyncProgressed) Type() string { return "sync_progressed" }

// Schema implements core.Message.
func (*SyncProgressed) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SyncProgressed) Fields(f *record.Fields) {
	f.Uint64(1, &m.Head)
	f.Uint64(2, &m.Handed)
	f.Uint64(3, &m.Target)
	f.Uint32(4, &m.Peers)
	f.Uint64(5, &m.Bytes)
}

// SyncStalled is the fact that a download does not get on, and why: nobody has what is
// missing, or what was handed on is not taken. It is told once for each reason, and tried again.
type SyncStalled struct {
	Reason  string
	Head    uint64 // our head
	Target  uint64 // as in SyncProgressed
	RetryMs uint64 // until the next attempt
}

// Type implements core.Message.
func (*SyncStalled) Type() string { return "sync_stalled" }

// Schema implements core.Message.
func (*SyncStalled) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SyncStalled) Fields(f *record.Fields) {
	f.String(1, &m.Reason)
	f.Uint64(2, &m.Head)
	f.Uint64(3, &m.Target)
	f.Uint64(4, &m.RetryMs)
}

// SyncedChanged is the fact that this node has become synced, or is it no more: the
// production gate. Needs is what is waited for, for people.
type SyncedChanged struct {
	Synced  bool
	Needs   string
	Members uint32 // distinct members whose heads agree with ours, ourselves included
	Quorum  uint32
}

// Type implements core.Message.
func (*SyncedChanged) Type() string { return "synced_changed" }

// Schema implements core.Message.
func (*SyncedChanged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SyncedChanged) Fields(f *record.Fields) {
	f.Bool(1, &m.Synced)
	f.String(2, &m.Needs)
	f.Uint32(3, &m.Members)
	f.Uint32(4, &m.Quorum)
}

// AssumeSynced is an operator's statement that the federation's head is this node's: the
// way out of a cold start in which too few members are there.
type AssumeSynced struct {
	Request uint64 // answered by OperatorAnswer
	Reason  string
}

// Type implements core.Message.
func (*AssumeSynced) Type() string { return "assume_synced" }

// Schema implements core.Message.
func (*AssumeSynced) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *AssumeSynced) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.String(2, &m.Reason)
}

// SyncAssumed is the fact of AssumeSynced.
type SyncAssumed struct {
	Head   *BlockID
	Reason string
}

// Type implements core.Message.
func (*SyncAssumed) Type() string { return "sync_assumed" }

// Schema implements core.Message.
func (*SyncAssumed) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SyncAssumed) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Head)
	f.String(2, &m.Reason)
}

// BitcoinCurrent tells the chain actor whether the bridge actor follows Bitcoin to its tip:
// when it changes, and at each start of a run.
type BitcoinCurrent struct {
	Current bool
	Reason  string // why not
}

// Type implements core.Message.
func (*BitcoinCurrent) Type() string { return "bitcoin_current" }

// Schema implements core.Message.
func (*BitcoinCurrent) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BitcoinCurrent) Fields(f *record.Fields) {
	f.Bool(1, &m.Current)
	f.String(2, &m.Reason)
}

// FetchApprovals is a fire-and-forget effect: ask peers for single approvals of a block.
// They come as ApprovalReceived. (docs/formats/peer-protocol.md)
type FetchApprovals struct {
	Root   common.Hash
	Number uint64
}

// Type implements core.Message.
func (*FetchApprovals) Type() string { return "fetch_approvals" }

// Schema implements core.Message.
func (*FetchApprovals) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FetchApprovals) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
}

// FetchSignatures is a fire-and-forget effect: ask peers for their signatures of payments.
// They come as SignaturesReceived.
type FetchSignatures struct {
	Payments []PaymentID
}

// Type implements core.Message.
func (*FetchSignatures) Type() string { return "fetch_signatures" }

// Schema implements core.Message.
func (*FetchSignatures) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FetchSignatures) Fields(f *record.Fields) {
	record.List(f, 1, &m.Payments)
}

// Equivocation is the fact that an authority signed two blocks of one slot: both roots, and
// both signatures over them, which anybody can check with the two blocks: a block has its
// slot in what its root covers. (consensus.md C5; internal/protocol/evidence)
type Equivocation struct {
	Authority       uint32
	Slot            uint64
	First           common.Hash
	FirstSignature  []byte // 96 bytes, G2 compressed
	Second          common.Hash
	SecondSignature []byte
	FirstBlock      record.Content // as this node has it; none when it has it no more
	SecondBlock     record.Content
}

// Type implements core.Message.
func (*Equivocation) Type() string { return "equivocation" }

// Schema implements core.Message.
func (*Equivocation) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *Equivocation) Fields(f *record.Fields) {
	f.Uint32(1, &m.Authority)
	f.Uint64(2, &m.Slot)
	f.Fixed(3, m.First[:])
	f.Bytes(4, &m.FirstSignature)
	f.Fixed(5, m.Second[:])
	f.Bytes(6, &m.SecondSignature)
	f.Content(7, &m.FirstBlock)
	f.Content(8, &m.SecondBlock)
}

// KeyInUse is the fact that a signature by our authority key was received that this
// journal did not ask for: another process signs with the key. It ends the process with exit code 4.
type KeyInUse struct {
	Authority uint32
	Root      common.Hash
	Slot      uint64
	Signature []byte
}

// Type implements core.Message.
func (*KeyInUse) Type() string { return "key_in_use" }

// Schema implements core.Message.
func (*KeyInUse) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *KeyInUse) Fields(f *record.Fields) {
	f.Uint32(1, &m.Authority)
	f.Fixed(2, m.Root[:])
	f.Uint64(3, &m.Slot)
	f.Bytes(4, &m.Signature)
}
