package journal

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Plan is what opening a journal finds and does. [Inspect] makes one without
// changing anything; an open journal returns its own with [Journal.Opened].
type Plan struct {
	Dir      string
	ID       ID     // zero when no database could be read
	Decision string // a decision of docs/decisions/0018-journal-recovery.md
	Findings Findings
	Slots    [2]string // what each slot of the head file holds
	Record   Head      // the head file's record; zero when it has none
	Last     Head      // the last event of the database
	Checked  uint64    // first event whose link was checked; 0 for none
	Contents uint64    // contents that were read and hashed
	Index    Head      // position of the index; zero when it has none
	Pending  *Incident // what the next event must tell of; nil for nothing
	Does     string    // what opening does, in words
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

// does says what an opening with this decision does.
func (p *Plan) does(d decision) string {
	behind := p.Last.Sequence - p.Record.Sequence
	switch d {
	case decideCreate:
		return "makes a new journal"
	case decideOpen:
		return "opens it as it is"
	case decideAdvance:
		return fmt.Sprintf("opens it and moves the head record from %d to %d: a crash came between writing %d events and their record; they chain, so they stay",
			p.Record.Sequence, p.Last.Sequence, behind)
	case decideCut:
		s := "opens it and cuts the torn end of the newest log, of which nobody was told"
		if behind > 0 {
			s += fmt.Sprintf("; moves the head record from %d to %d", p.Record.Sequence, p.Last.Sequence)
		}
		return s
	case decideRestoreEmpty:
		return "opens it and writes the head record of an empty journal"
	default:
		return "refuses"
	}
}

// refusal turns a decision into the error that Open returns.
func (x *examined) refusal(d decision, headPath string) error {
	p := &x.plan
	switch d {
	case decideNewer:
		if x.head.state == headNewer {
			return fmt.Errorf("journal %s: %w", p.Dir, x.head.detail)
		}
		if x.unreadable != nil {
			return x.unreadable
		}
		return x.tail.broken
	case decideDatabase:
		return x.unreadable
	case decideForeign:
		return &CorruptError{Key: headPath, What: fmt.Sprintf(
			"it belongs to journal %s, the database beside it to journal %s; put the files of one journal together", x.head.record.id, p.ID)}
	case decideDamagedHead:
		if x.head.state == headAbsent {
			return &CorruptError{Key: headPath, What: fmt.Sprintf(
				"it is missing, and the database holds events up to %s; without it nobody can tell whether acknowledged events are lost", p.Last)}
		}
		return &CorruptError{Key: headPath, What: fmt.Sprintf("it cannot be read, and the database holds events up to %s", p.Last), Cause: x.head.detail}
	case decideLost:
		return x.lost(headPath)
	case decideDamaged:
		return x.tail.broken
	case decideContent:
		return x.content
	default:
		return fault.New(fault.Fatal, "journal %s: no rule for %v", p.Dir, d)
	}
}

// lost says which acknowledged events are gone and who knows of them.
func (x *examined) lost(headPath string) error {
	p := &x.plan
	switch {
	case p.Findings.Database == isAbsent && p.Findings.Head == isAbsent:
		return &CorruptError{Key: headPath, What: fmt.Sprintf("database and head file are gone, the index had followed events up to %s", p.Index)}
	case p.Findings.Database == isAbsent:
		return &CorruptError{Key: headPath, What: fmt.Sprintf("head file is there (%s) but the database is gone: acknowledged events are lost", recordText(x.head))}
	case p.Findings.Head == isOK && p.Findings.Position == isAhead:
		return &CorruptError{Sequence: p.Last.Sequence + 1, Key: headPath, What: fmt.Sprintf(
			"head record is %s, the database ends at %s: acknowledged events %d to %d are lost",
			p.Record, p.Last, p.Last.Sequence+1, p.Record.Sequence), Cause: x.tail.broken}
	case p.Findings.Index == isAhead:
		return &CorruptError{Sequence: p.Last.Sequence + 1, Key: indexName, What: fmt.Sprintf(
			"the index had followed events up to %s, the database ends at %s: acknowledged events %d to %d are lost",
			p.Index, p.Last, p.Last.Sequence+1, p.Index.Sequence)}
	default:
		return &CorruptError{Sequence: p.Index.Sequence, Key: indexName, What: fmt.Sprintf(
			"the index had followed it as %s, and the event there has another hash: acknowledged events were replaced", p.Index)}
	}
}

func recordText(h headRead) string {
	if h.state != headOK {
		return "unreadable"
	}
	return "head " + h.record.head.String()
}
