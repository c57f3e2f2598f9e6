package journal

import "fmt"

// Findings is everything that the decision of opening depends on. Its values
// are those of the table in docs/decisions/0018-journal-recovery.md.
type Findings struct {
	Database string `json:"database"` // absent, damaged, newer, empty, events
	Head     string `json:"head"`     // the head file: absent, bad, conflict, newer, foreign, ok
	Position string `json:"position"` // of the head record to the last event: none, equal, behind, ahead
	Tail     string `json:"tail"`     // end of the newest log: whole, torn
	Chain    string `json:"chain"`    // links of the last events: ok, broken, newer
	Content  string `json:"content"`  // what the last events name: ok, missing, damaged
	Index    string `json:"index"`    // absent, damaged, behind, equal, ahead, differs
}

// Values of Findings. A finding that does not apply has the harmless value.
const (
	isAbsent   = "absent"
	isDamaged  = "damaged"
	isNewer    = "newer"
	isEmpty    = "empty"
	hasEvents  = "events"
	isBad      = "bad"
	inConflict = "conflict"
	isForeign  = "foreign"
	isOK       = "ok"
	isNone     = "none"
	isEqual    = "equal"
	isBehind   = "behind"
	isAhead    = "ahead"
	isWhole    = "whole"
	isTorn     = "torn"
	isBroken   = "broken"
	isMissing  = "missing"
	isOther    = "differs"
)

// decision is what opening does.
type decision uint8

const (
	decideCreate       decision = iota + 1 // make a new journal
	decideOpen                             // open it as it is
	decideAdvance                          // open; the record moves to the last event
	decideCut                              // open; the torn end of the log is cut
	decideRestoreEmpty                     // open; write the missing record of an empty journal
	decideLost                             // refuse: acknowledged events are gone
	decideDamagedHead                      // refuse: the head file cannot be trusted
	decideForeign                          // refuse: database and head file of two journals
	decideNewer                            // refuse: written by a newer program
	decideDamaged                          // refuse: the events do not chain
	decideContent                          // refuse: what an event names is not there
	decideDatabase                         // refuse: the database cannot be read
)

var decisionNames = map[decision]string{
	decideCreate: "create", decideOpen: "open", decideAdvance: "advance", decideCut: "cut-tail",
	decideRestoreEmpty: "restore-empty", decideLost: "refuse-lost",
	decideDamagedHead: "refuse-head", decideForeign: "refuse-foreign",
	decideNewer: "refuse-newer", decideDamaged: "refuse-chain",
	decideContent: "refuse-content", decideDatabase: "refuse-database",
}

// String returns the name that docs/decisions/0018-journal-recovery.md uses.
func (d decision) String() string {
	if s := decisionNames[d]; s != "" {
		return s
	}
	return fmt.Sprintf("decision(%d)", uint8(d))
}

// opens reports whether the decision leads to an open journal.
func (d decision) opens() bool { return d >= decideCreate && d <= decideRestoreEmpty }

// decide is the recovery table: exactly one decision for every combination,
// drawn in docs/decisions/0018-journal-recovery.md and compared with it by a
// test. The order of the rules is the order of their severity to the operator:
// what another program must judge first, what is lost before what is damaged.
func decide(f Findings) decision {
	switch {
	case f.Head == isNewer, f.Database == isNewer:
		return decideNewer
	case f.Database == isDamaged:
		return decideDatabase
	case f.Database == isAbsent && f.Head == isAbsent && !indexKnowsMore(f.Index):
		return decideCreate
	case f.Database == isAbsent:
		return decideLost
	case f.Head == isForeign:
		return decideForeign
	case f.Head == inConflict:
		return decideDamagedHead
	case f.Head == isOK && f.Position == isAhead:
		return decideLost
	case f.Chain == isNewer:
		return decideNewer
	case f.Chain == isBroken:
		return decideDamaged
	case indexKnowsMore(f.Index):
		return decideLost
	case f.Content != isOK:
		return decideContent
	default:
		return decideWhole(f)
	}
}

// decideWhole decides where what is stored is as it was written.
func decideWhole(f Findings) decision {
	switch {
	case f.Head != isOK && f.Database == isEmpty:
		return decideRestoreEmpty
	case f.Head != isOK:
		return decideDamagedHead
	case f.Tail == isTorn:
		return decideCut
	case f.Position == isBehind:
		return decideAdvance
	default:
		return decideOpen
	}
}

// indexKnowsMore reports whether the index, which follows acknowledged events
// only, has seen one that is not there.
func indexKnowsMore(index string) bool { return index == isAhead || index == isOther }
