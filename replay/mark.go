package replay

import (
	"fmt"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/schema"
	"github.com/AnduroProject/alys-go/journal"
)

// Origin says where the re-execution of a journal can begin, and which version
// of the cores' rules it is for.
type Origin struct {
	Mark      actors.Mark // of the newest mark; Sequence 0 for none: begin at genesis
	Hash      journal.Hash
	Behaviour uint32 // in force at the end; 0 when the journal does not tell
	Software  string // version of the program of the newest run, if it told
}

// FindOrigin looks for the newest mark at or below a sequence, 0 for the head.
// It reads backward: the newest run when the journal's first run had the same
// behaviour, for behaviours only rise; else up to the mark.
func FindOrigin(j *journal.Journal, atMost uint64) (o Origin, err error) {
	if last := j.Durable().Sequence; atMost == 0 || atMost > last {
		atMost = last
	}
	if atMost == 0 {
		return o, nil
	}
	first, unmarked, err := firstBehaviour(j)
	if err != nil {
		return o, err
	}
	it := j.Iterate(atMost, true)
	defer it.Close()
	told := false
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return o, err
		}
		switch e.Type {
		case configuredType:
			if told || !e.Stored { // those sent on carry no message
				continue
			}
			var m message.NodeConfigured
			if err := decode(e, &m); err != nil {
				return o, err
			}
			told = true
			o.Behaviour, o.Software = m.Behaviour, m.Software
			if unmarked && first == m.Behaviour {
				return o, nil
			}
		case upgradedType, checkpointType:
			mark, err := markOf(j, e)
			if err != nil {
				return o, err
			}
			o.Mark = mark
			if !told {
				o.Behaviour = mark.Behaviour
			}
			_, o.Hash, err = before(j, mark.Sequence)
			return o, err
		}
	}
	return o, it.Err()
}

var (
	configuredType = (*message.NodeConfigured)(nil).Type()
	upgradedType   = (*message.BehaviourUpgraded)(nil).Type()
	checkpointType = (*message.CheckpointStarted)(nil).Type()
)

// firstBehaviour reads the beginning of the journal: its behaviour, and whether
// it began at genesis, not with the states of another node.
func firstBehaviour(j *journal.Journal) (behaviour uint32, genesis bool, err error) {
	e, _, err := j.Event(1)
	if err != nil || e.Type != configuredType {
		return 0, false, err
	}
	var m message.NodeConfigured
	err = decode(e, &m)
	return m.Behaviour, err == nil, err
}

// before returns the time and the chain hash of the event before a sequence.
func before(j *journal.Journal, sequence uint64) (time int64, hash journal.Hash, err error) {
	if sequence <= 1 {
		return 0, journal.Origin(j.ID()), nil
	}
	e, hash, err := j.Event(sequence - 1)
	if err != nil {
		return 0, hash, err
	}
	return e.Time, hash, nil
}

// markOf decodes an event that is a mark, without the states it carries.
func markOf(j *journal.Journal, e *journal.Event) (actors.Mark, error) {
	var m schema.Typed = new(message.BehaviourUpgraded)
	if e.Type == checkpointType {
		m = new(message.CheckpointStarted)
	}
	if err := decode(e, m); err != nil {
		return actors.Mark{}, err
	}
	mark, _ := actors.MarkOf(m)
	mark.Sequence = e.Sequence
	var err error
	mark.Time, _, err = before(j, e.Sequence)
	return mark, err
}

// BehaviourError says that a journal's turns belong to another version of the
// cores' rules than the program's. It is graded Invalid.
type BehaviourError struct {
	Journal  uint32 // behaviour in force in the journal
	Program  uint32
	Since    uint64 // sequence of the mark that began it, 0 for genesis
	Software string // version of the program of its newest run, if known
}

// Error says what can be done.
func (e *BehaviourError) Error() string {
	who := "the program that wrote it"
	if e.Software != "" {
		who += " (version " + e.Software + ")"
	}
	since := "from its beginning"
	if e.Since > 0 {
		since = fmt.Sprintf("since event %d", e.Since)
	}
	return fmt.Sprintf("the journal is of behaviour %d %s, this program is of behaviour %d and cannot re-execute its turns: use %s", e.Journal, since, e.Program, who)
}

// Unwrap grades the error.
func (e *BehaviourError) Unwrap() error { return fault.New(fault.Invalid, "another behaviour") }

// Foreign returns a *BehaviourError unless turns at the origin are of the
// program's behaviour; a journal that tells none passes.
func (o Origin) Foreign(program uint32) error {
	if program == 0 || o.Behaviour == 0 || o.Behaviour == program {
		return nil
	}
	return &BehaviourError{Journal: o.Behaviour, Program: program, Since: o.Mark.Sequence, Software: o.Software}
}

func decode(e *journal.Event, m schema.Typed) error {
	if err := message.Decode(m, e.Schema, e.Message, nil); err != nil {
		return fmt.Errorf("event %d, %s: %w", e.Sequence, e.Type, err)
	}
	return nil
}

// LoadMark brings a machine at sequence 0 to the states that a mark of the
// journal carries.
func LoadMark(j *journal.Journal, m *actors.Machine, mark actors.Mark) error {
	return m.LoadMark(mark, func(h [32]byte) ([]byte, error) { return j.Content(h) })
}
