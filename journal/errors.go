package journal

import (
	"errors"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Errors that callers tell apart with errors.Is. All have grade Invalid: the
// journal is as it should be, the request is not.
var (
	// ErrLocked is returned by Open when another process, or another open
	// journal of this one, uses the directory.
	ErrLocked = fault.New(fault.Invalid, "the journal is in use")
	// ErrNotFound is returned for a sequence that is not durable yet, and for a
	// content object that no event brought.
	ErrNotFound = fault.New(fault.Invalid, "not in the journal")
	// ErrNewerFormat is returned for a journal or event that a newer program
	// wrote.
	ErrNewerFormat = fault.New(fault.Invalid, "written by a newer program; use that one")
	// ErrSpilled is returned for an event that is not whole without contents
	// when no way to read them was given.
	ErrSpilled = fault.New(fault.Invalid, "it is kept outside the envelope, and nothing was given to read it with")
	// ErrClosed is returned by every method of a closed journal.
	ErrClosed = fault.New(fault.Invalid, "the journal is closed")
	// ErrReadOnly is returned by Append and Checkpoint on a journal opened for
	// reading.
	ErrReadOnly = fault.New(fault.Invalid, "the journal is open for reading only")
	// ErrAbsent is returned by Open with ReadOnly set where there is no journal.
	ErrAbsent = fault.New(fault.Invalid, "there is no journal")
)

// CorruptError says that stored bytes are not what was written, and where. Its
// grade is Corrupt.
type CorruptError struct {
	Sequence uint64 // the event concerned; 0 when it is no single event
	Key      string // database key or file; "" when it is neither
	What     string // what is wrong
	Cause    error  // what the layer below said, or nil
}

// errCorrupt gives every CorruptError its grade.
var errCorrupt = fault.New(fault.Corrupt, "the journal is damaged")

const corruptAdvice = "; keep the directory as it is; alys journal plan shows what opening finds, and docs/operator.md what to do"

// Error returns place, damage and what to do.
func (e *CorruptError) Error() string { return e.place() + corruptAdvice }

func (e *CorruptError) place() string {
	text := "journal is damaged"
	if e.Sequence != 0 {
		text += fmt.Sprintf(" at event %d", e.Sequence)
	}
	if e.Key != "" {
		text += " (" + e.Key + ")"
	}
	text += ": " + e.What
	var below *CorruptError
	switch {
	case errors.As(e.Cause, &below):
		text += ": " + below.place()
	case e.Cause != nil:
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap makes the error grade Corrupt and shows the error below.
func (e *CorruptError) Unwrap() []error {
	if e.Cause == nil {
		return []error{errCorrupt}
	}
	return []error{errCorrupt, e.Cause}
}

// corruptEvent is a CorruptError about one event.
func corruptEvent(sequence uint64, cause error, format string, args ...any) error {
	return &CorruptError{
		Sequence: sequence, Key: eventKeyText(sequence),
		What: fmt.Sprintf(format, args...), Cause: cause,
	}
}

// undecodable reports an envelope whose hash is right but that this program
// cannot read: written by a newer program, or by a defect of an older one, or
// with a part in an archive that does not answer, which is no damage.
func undecodable(sequence uint64, err error) error {
	if errors.Is(err, ErrNewerFormat) {
		return fmt.Errorf("journal: event %d: %w", sequence, err)
	}
	if away(err) {
		return fault.Wrap(fault.Of(err), err, fmt.Sprintf("journal: event %d: a part of it that is kept as content", sequence))
	}
	if fault.Of(err) == fault.Corrupt || errors.Is(err, ErrNotFound) {
		return corruptEvent(sequence, err, "a part of it that is kept as content cannot be read")
	}
	return corruptEvent(sequence, err, "its envelope does not decode")
}
