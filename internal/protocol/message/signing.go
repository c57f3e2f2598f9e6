package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// JournalIncident is the first turn of a journal that does not go on where its
// node left it: cut by a repair, restored from a backup, or begun at another
// node's checkpoint. What this node signed after that point nobody knows any
// more, so signing is off until it is safe again. (architecture.md 2)
type JournalIncident struct {
	Number     uint32   // of the incident record in the journal
	Kind       string   // "repair", "restore" or "checkpoint-start"
	After      uint64   // last sequence kept
	HeadBefore uint64   // last sequence known before the incident, 0 when not known
	HashBefore [32]byte // chain hash there
	At         int64    // when the journal was changed, Unix milliseconds
	Text       string   // what was done and by whom, for readers
}

// Type implements core.Message.
func (*JournalIncident) Type() string { return "journal_incident" }

// Schema implements core.Message.
func (*JournalIncident) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *JournalIncident) Fields(f *record.Fields) {
	f.Uint32(1, &m.Number)
	f.String(2, &m.Kind)
	f.Uint64(3, &m.After)
	f.Uint64(4, &m.HeadBefore)
	f.Fixed(5, m.HashBefore[:])
	f.Int64(6, &m.At)
	f.String(7, &m.Text)
}

// AllowSigning is an operator's decision that this node may sign again: no other
// copy of it runs, and nothing that it signed before the incident matters.
type AllowSigning struct {
	Request uint64 // names the connection's request; the answer carries it back
	Reason  string // what the operator says, for readers of the journal
}

// Type implements core.Message.
func (*AllowSigning) Type() string { return "allow_signing" }

// Schema implements core.Message.
func (*AllowSigning) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *AllowSigning) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.String(2, &m.Reason)
}

// SigningAnswer is the connection-bound answer to AllowSigning.
type SigningAnswer struct {
	Request  uint64
	Released bool
	Reason   string // why not
}

// Type implements core.Message.
func (*SigningAnswer) Type() string { return "signing_answer" }

// Schema implements core.Message.
func (*SigningAnswer) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SigningAnswer) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Bool(2, &m.Released)
	f.String(3, &m.Reason)
}

// SigningHold is why and since when nothing is signed.
type SigningHold struct {
	Incident uint32 // number of the incident
	Kind     string
	After    uint64 // last sequence kept
	Sequence uint64 // of the turn that holds
	Time     int64  // nothing signed before is known, Unix milliseconds
	Changed  int64  // when the journal was changed, at the latest the time of the turn, Unix milliseconds
	Text     string
	Slot     uint64 // a carrier of a later slot, finalised without us, releases; 0 before slots have a length
}

// Fields implements record.Record.
func (m *SigningHold) Fields(f *record.Fields) {
	f.Uint32(1, &m.Incident)
	f.String(2, &m.Kind)
	f.Uint64(3, &m.After)
	f.Uint64(4, &m.Sequence)
	f.Int64(5, &m.Time)
	f.Int64(6, &m.Changed)
	f.String(7, &m.Text)
	f.Uint64(8, &m.Slot)
}

// SigningHeld is the fact that this node signs nothing from now on.
type SigningHeld struct {
	Hold *SigningHold
}

// Type implements core.Message.
func (*SigningHeld) Type() string { return "signing_held" }

// Schema implements core.Message.
func (*SigningHeld) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SigningHeld) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Hold)
}

// SigningReleased is the fact that this node may sign again.
type SigningReleased struct {
	Incident uint32
	By       string      // "carrier" or "operator"
	Carrier  common.Hash // the block that was finalised without us
	Number   uint64      // its height
	Slot     uint64      // its slot
	Reason   string      // what the operator said
}

// Type implements core.Message.
func (*SigningReleased) Type() string { return "signing_released" }

// Schema implements core.Message.
func (*SigningReleased) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SigningReleased) Fields(f *record.Fields) {
	f.Uint32(1, &m.Incident)
	f.String(2, &m.By)
	f.Fixed(3, m.Carrier[:])
	f.Uint64(4, &m.Number)
	f.Uint64(5, &m.Slot)
	f.String(6, &m.Reason)
}
