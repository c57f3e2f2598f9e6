package message

import "github.com/AnduroProject/alys-go/internal/protocol/record"

// BehaviourUpgraded begins the turns of another behaviour. It carries the states
// of all actors as they are right before it, made of a snapshot of the old
// behaviour, so that later replays can start here. (architecture.md 3)
type BehaviourUpgraded struct {
	From            uint32   // behaviour of the turns before
	To              uint32   // behaviour of this turn and those after it
	FromFingerprint [32]byte // of the program that took the snapshot; zero if it told none
	Fingerprint     [32]byte // of the program that migrated
	SnapshotAt      uint64   // sequence of the snapshot that was migrated
	SnapshotRoot    [32]byte // its root
	Previous        uint64   // sequence of the mark before this one, 0 for none
	Root            [32]byte // of the states carried
	States          []StatePack
}

// StatePack is a run of entries of one actor's state, in snapshot encoding.
type StatePack struct {
	Name    string // of the section; several packs of one section follow each other
	Entries record.Content
}

// Fields implements record.Record.
func (d *StatePack) Fields(f *record.Fields) {
	f.String(1, &d.Name)
	f.Content(2, &d.Entries)
}

// Type implements core.Message.
func (*BehaviourUpgraded) Type() string { return "behaviour_upgraded" }

// Schema implements core.Message.
func (*BehaviourUpgraded) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BehaviourUpgraded) Fields(f *record.Fields) {
	f.Uint32(1, &m.From)
	f.Uint32(2, &m.To)
	f.Fixed(3, m.FromFingerprint[:])
	f.Fixed(4, m.Fingerprint[:])
	f.Uint64(5, &m.SnapshotAt)
	f.Fixed(6, m.SnapshotRoot[:])
	f.Uint64(7, &m.Previous)
	f.Fixed(8, m.Root[:])
	record.List(f, 9, &m.States)
}

// CheckpointStarted is the first turn of a journal that began from the states of
// another node's snapshot instead of genesis. It carries what of them depends on
// blocks alone; nothing that the other node signed, locked or waited for is in
// it. (architecture.md 2)
type CheckpointStarted struct {
	Journal     [16]byte // identity of the journal the states came from
	Sequence    uint64   // their position there
	Hash        [32]byte // of that journal's chain at Sequence
	OriginRoot  [32]byte // root of the snapshot there
	Behaviour   uint32   // of the states carried
	Fingerprint [32]byte // of the program that carried them over
	Root        [32]byte // of the states carried
	States      []StatePack
	Contents    []StateContent // that the states refer to, beside those of the turns before
}

// StateContent is something that a state has by its hash: the receipts of a block, a
// Bitcoin transaction.
type StateContent struct {
	Content record.Content
}

// Fields implements record.Record.
func (d *StateContent) Fields(f *record.Fields) { f.Content(1, &d.Content) }

// Type implements core.Message.
func (*CheckpointStarted) Type() string { return "checkpoint_started" }

// Schema implements core.Message.
func (*CheckpointStarted) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *CheckpointStarted) Fields(f *record.Fields) {
	f.Fixed(1, m.Journal[:])
	f.Uint64(2, &m.Sequence)
	f.Fixed(3, m.Hash[:])
	f.Fixed(4, m.OriginRoot[:])
	f.Uint32(5, &m.Behaviour)
	f.Fixed(6, m.Fingerprint[:])
	f.Fixed(7, m.Root[:])
	record.List(f, 8, &m.States)
	record.List(f, 9, &m.Contents)
}

// CheckpointBlocks carries blocks into a journal that begins from another node's
// snapshot: each is published as a fact again, so that the execution layer can be
// built from this journal alone. These turns come before [CheckpointStarted].
type CheckpointBlocks struct {
	ChainSpec      record.Content // of the first of these turns; none in others
	GenesisPayload record.Content // likewise
	Blocks         []BlockConnected
}

// Type implements core.Message.
func (*CheckpointBlocks) Type() string { return "checkpoint_blocks" }

// Schema implements core.Message.
func (*CheckpointBlocks) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *CheckpointBlocks) Fields(f *record.Fields) {
	f.Content(1, &m.ChainSpec)
	f.Content(2, &m.GenesisPayload)
	record.List(f, 3, &m.Blocks)
}
