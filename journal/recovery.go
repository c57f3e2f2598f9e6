package journal

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// position relates the head record to the last event of the database.
type position uint8

const (
	positionEqual  position = iota // the record names the last event
	positionBehind                 // events follow the record
	positionAhead                  // the record names an event that is not there
)

// chainState is what checking the last events found.
type chainState uint8

const (
	chainOK chainState = iota
	chainBroken
)

// findings is everything the decision depends on.
type findings struct {
	database bool      // the database exists
	empty    bool      // it holds no event
	head     headState // what the head file holds
	foreign  bool      // a readable record names another journal
	position position  // only where head is ok and not foreign
	chain    chainState
}

// decision is what opening does.
type decision uint8

const (
	decideCreate       decision = iota + 1 // make a new journal
	decideOpen                             // open it as it is
	decideAdvance                          // open; the record moves to the last event
	decideRestoreEmpty                     // open; write the missing record of an empty journal
	decideLost                             // refuse: acknowledged events are gone
	decideDamagedHead                      // refuse: the head file cannot be trusted
	decideForeign                          // refuse: database and head file of two journals
	decideNewer                            // refuse: written by a newer program
	decideDamaged                          // refuse: the events do not chain
)

var decisionNames = map[decision]string{
	decideCreate: "create", decideOpen: "open", decideAdvance: "advance",
	decideRestoreEmpty: "restore-empty", decideLost: "refuse-lost",
	decideDamagedHead: "refuse-head", decideForeign: "refuse-foreign",
	decideNewer: "refuse-newer", decideDamaged: "refuse-chain",
}

// String returns the name used in docs/decisions/0011-journal-head-file.md.
func (d decision) String() string {
	if s := decisionNames[d]; s != "" {
		return s
	}
	return fmt.Sprintf("decision(%d)", uint8(d))
}

// opens reports whether the decision leads to an open journal.
func (d decision) opens() bool { return d >= decideCreate && d <= decideRestoreEmpty }

// decide is the recovery table: exactly one decision for every combination,
// drawn in docs/decisions/0011-journal-head-file.md and compared with it by a
// test. The order of the rules is the order of their severity to the operator:
// what another program must judge first, what is lost before what is damaged.
func decide(f findings) decision {
	switch {
	case f.head == headNewer:
		return decideNewer
	case !f.database && f.head == headAbsent:
		return decideCreate
	case !f.database:
		return decideLost
	case f.head == headOK && f.foreign:
		return decideForeign
	case f.head == headConflict:
		return decideDamagedHead
	case f.head == headOK && f.position == positionAhead:
		return decideLost
	case f.chain == chainBroken:
		return decideDamaged
	case f.head == headOK && f.position == positionEqual:
		return decideOpen
	case f.head == headOK:
		return decideAdvance
	case f.empty:
		return decideRestoreEmpty
	default:
		return decideDamagedHead
	}
}

// Plan is what opening a journal finds and does. [Inspect] makes one without
// changing anything; an open journal returns its own with [Journal.Opened].
type Plan struct {
	Dir      string
	ID       ID     // zero when there is no database
	Decision string // a decision of docs/decisions/0011-journal-head-file.md
	Record   Head   // the head file's record; zero when it has none
	Last     Head   // the last event of the database
	Checked  uint64 // first event whose link was checked; 0 for none
	Warnings []string
	Refusal  error // why the journal does not open; nil when it does
}

// String returns the plan in one line.
func (p *Plan) String() string {
	s := fmt.Sprintf("%s: %s, record %d, last event %d", p.Dir, p.Decision, p.Record.Sequence, p.Last.Sequence)
	if p.Checked != 0 {
		s += fmt.Sprintf(", links checked from %d", p.Checked)
	}
	for _, w := range p.Warnings {
		s += "; " + w
	}
	if p.Refusal != nil {
		s += "; " + p.Refusal.Error()
	}
	return s
}

// refusal turns a decision into the error that Open returns.
func (p *Plan) refusal(d decision, head headRead, headPath string, chain error) error {
	switch d {
	case decideNewer:
		return fmt.Errorf("journal %s: %w", p.Dir, head.detail)
	case decideForeign:
		return &CorruptError{Key: headPath, What: fmt.Sprintf(
			"it belongs to journal %s, the database beside it to journal %s; put the files of one journal together", head.record.id, p.ID)}
	case decideDamagedHead:
		if head.state == headAbsent {
			return &CorruptError{Key: headPath, What: fmt.Sprintf(
				"it is missing, and the database holds events up to %s; without it nobody can tell whether acknowledged events are lost", p.Last)}
		}
		return &CorruptError{Key: headPath, What: fmt.Sprintf("it cannot be read, and the database holds events up to %s", p.Last), Cause: head.detail}
	case decideLost:
		if p.ID == (ID{}) {
			return &CorruptError{Key: headPath, What: fmt.Sprintf("head file is there (%s) but the database is gone: acknowledged events are lost", recordText(head))}
		}
		return &CorruptError{Sequence: p.Last.Sequence + 1, Key: headPath, What: fmt.Sprintf(
			"head record is %s, the database ends at %s: acknowledged events %d to %d are lost",
			p.Record, p.Last, p.Last.Sequence+1, p.Record.Sequence), Cause: chain}
	case decideDamaged:
		return chain
	default:
		return fault.New(fault.Fatal, "journal %s: no rule for %v", p.Dir, d)
	}
}

func recordText(h headRead) string {
	if h.state != headOK {
		return "unreadable"
	}
	return "head " + h.record.head.String()
}
