package message

import "github.com/AnduroProject/alys-go/internal/protocol/record"

// NodeConfigured brings configuration into the journal: the first turn of every
// run. A value that is not in it cannot reach a core. (architecture.md 1.10)
type NodeConfigured struct {
	ChainSpec      record.Content // chain spec as canonical JSON (consensus.md C1)
	GenesisPayload record.Content // execution payload of block 0, MessagePack (C3)
	Producing      bool           // slots are to be used
	HasAuthority   bool           // this node holds the key of Authority
	Authority      uint32         // index into the chain spec's authorities
	Judging        bool           // validator: peg and fee rules are judged (C1 "Validator")
	Importing      bool           // blocks come from a legacy store
	Behaviour      uint32         // version of the cores' rules
	Software       string         // version of the program, for readers of the journal
	BuildWaitMs    uint64         // time given to the execution layer between build and fetch
	Bitcoin        bool           // this node has a Bitcoin node to ask
	HasPegKey      bool           // this node holds the federation key of PegMember
	PegMember      uint32         // index into the chain spec's federation keys
	// Fee rates of payments, satoshi per 1000 vbytes: what this member signs at
	// least and at most, and proposes when Bitcoin has no estimate.
	MinFeeRate, MaxFeeRate, FallbackFeeRate uint64
	PayoutConfirmations                     uint32 // after which a payment is not broadcast again
	// Peers: this node talks to others. Then it produces and approves when it is synced
	// only, and listens for ListenSlots slots of a run before its first signature.
	Peers       bool
	ListenSlots uint32
}

// Type implements core.Message.
func (*NodeConfigured) Type() string { return "node_configured" }

// Schema implements core.Message.
func (*NodeConfigured) Schema() uint32 { return 3 }

// Fields implements record.Record.
func (m *NodeConfigured) Fields(f *record.Fields) {
	f.Content(1, &m.ChainSpec)
	f.Content(2, &m.GenesisPayload)
	f.Bool(3, &m.Producing)
	f.Bool(4, &m.HasAuthority)
	f.Uint32(5, &m.Authority)
	f.Bool(6, &m.Judging)
	f.Bool(7, &m.Importing)
	f.Uint32(8, &m.Behaviour)
	f.String(9, &m.Software)
	f.Uint64(10, &m.BuildWaitMs)
	f.Bool(11, &m.Bitcoin)
	f.Bool(12, &m.HasPegKey)
	f.Uint32(13, &m.PegMember)
	f.Uint64(14, &m.MinFeeRate)
	f.Uint64(15, &m.MaxFeeRate)
	f.Uint64(16, &m.FallbackFeeRate)
	f.Uint32(17, &m.PayoutConfirmations)
	f.Bool(18, &m.Peers)
	f.Uint32(19, &m.ListenSlots)
}

// NodeStopped is the last turn of a run that ended cleanly.
type NodeStopped struct {
	Reason string
}

// Type implements core.Message.
func (*NodeStopped) Type() string { return "node_stopped" }

// Schema implements core.Message.
func (*NodeStopped) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *NodeStopped) Fields(f *record.Fields) { f.String(1, &m.Reason) }

// SnapshotBegun marks the turn whose resulting states a snapshot holds.
type SnapshotBegun struct {
	Reason string // "turns", "bytes", "time" or "stop"
}

// Type implements core.Message.
func (*SnapshotBegun) Type() string { return "snapshot_begun" }

// Schema implements core.Message.
func (*SnapshotBegun) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SnapshotBegun) Fields(f *record.Fields) { f.String(1, &m.Reason) }

// SnapshotTaken records the digests of the states right after turn At, so that
// replay can check them. (architecture.md 3)
type SnapshotTaken struct {
	At      uint64 // sequence of the SnapshotBegun turn
	Root    [32]byte
	Digests []StateDigest
}

// StateDigest is the digest of one actor's state.
type StateDigest struct {
	Name   string
	Digest [32]byte
}

// Fields implements record.Record.
func (d *StateDigest) Fields(f *record.Fields) {
	f.String(1, &d.Name)
	f.Fixed(2, d.Digest[:])
}

// Type implements core.Message.
func (*SnapshotTaken) Type() string { return "snapshot_taken" }

// Schema implements core.Message.
func (*SnapshotTaken) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SnapshotTaken) Fields(f *record.Fields) {
	f.Uint64(1, &m.At)
	f.Fixed(2, m.Root[:])
	record.List(f, 3, &m.Digests)
}

// StopProcess is the effect by which a core ends the process.
type StopProcess struct {
	Reason string
	Exit   uint32 // exit code of the process; zero is that of a failure
}

// Type implements core.Message.
func (*StopProcess) Type() string { return "stop_process" }

// Schema implements core.Message.
func (*StopProcess) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *StopProcess) Fields(f *record.Fields) {
	f.String(1, &m.Reason)
	f.Uint32(2, &m.Exit)
}
