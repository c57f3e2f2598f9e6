package heads

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Approving tells of what this member approved. Locks, statements and the last slot are
// all that bind it; the counters are those of a run.
type Approving struct {
	Made         uint64   `json:"made"`
	Withheld     uint64   `json:"withheld"`
	LastWithheld string   `json:"last_withheld,omitempty"` // rule and reason
	LastSlot     uint64   `json:"last_slot,omitempty"`     // the highest in which a block was approved, its own ones too
	Locks        []Lock   `json:"locks,omitempty"`         // that finality has not passed
	LocksEnded   uint64   `json:"locks_ended"`
	Statements   []string `json:"statements,omitempty"` // range ends that it stated never to approve
}

// Lock is a range end that binds this member. (architecture.md 4, Approving)
type Lock struct {
	RangeEnd      string `json:"range_end"`
	Number        uint64 `json:"number,omitempty"` // of the range end; zero until a restart, for no fact has it
	Carrier       string `json:"carrier"`          // the first approved carrier; empty for payments of the range alone
	CarrierNumber uint64 `json:"carrier_number,omitempty"`
	Slot          uint64 `json:"slot,omitempty"` // of the carrier: since when it binds
}

// maxShown bounds what is shown of locks and of statements. Locks end with the
// finality of their range, so there are a few.
const maxShown = 256

func (a *Approving) made(m *message.ApprovalMade) {
	a.Made++
	a.LastSlot = max(a.LastSlot, m.Slot)
	if m.RangeEnd == (common.Hash{}) {
		return
	}
	a.AddLock(Lock{RangeEnd: m.RangeEnd.Hex(), Carrier: m.Root.Hex(), CarrierNumber: m.Number, Slot: m.Slot})
}

// AddLock adds a lock unless its range end is locked already; one by payments alone becomes
// that of the first carrier.
func (a *Approving) AddLock(l Lock) {
	a.drop(func(have Lock) bool { return have.RangeEnd == l.RangeEnd && have.Carrier == "" })
	if len(a.Locks) < maxShown && !slices.ContainsFunc(a.Locks, func(have Lock) bool { return have.RangeEnd == l.RangeEnd }) {
		a.Locks = append(slices.Clone(a.Locks), l) // readers hold the old list
	}
}

// AddStatement adds a range end that this member stated never to approve.
func (a *Approving) AddStatement(end common.Hash) {
	if text := end.Hex(); len(a.Statements) < maxShown && !slices.Contains(a.Statements, text) {
		a.Statements = append(slices.Clone(a.Statements), text)
	}
}

func (a *Approving) withheld(m *message.ApprovalWithheld) {
	a.Withheld++
	a.LastWithheld = m.Rule + ": " + m.Reason
}

func (a *Approving) lockEnded(m *message.LockEnded) {
	a.LocksEnded++
	end := m.RangeEnd.Hex()
	a.drop(func(l Lock) bool { return l.RangeEnd == end })
}

// finalized drops the locks that finality passed. One that conflicts with the finalised
// block ends by a fact of its own.
func (a *Approving) finalized(m *message.BlockFinalized) {
	end := m.Root.Hex()
	a.drop(func(l Lock) bool {
		return l.RangeEnd == end || l.CarrierNumber > 0 && l.CarrierNumber <= m.Number
	})
}

func (a *Approving) drop(passed func(Lock) bool) {
	if slices.ContainsFunc(a.Locks, passed) {
		a.Locks = slices.DeleteFunc(slices.Clone(a.Locks), passed)
	}
}
