// Package fault grades errors by what the receiver should do about them.
//
// Every error that crosses a package border of this module carries one of five
// grades. A grade decides the reaction, the text names the thing concerned
// (height, hash, txid, file, sequence) and what to do:
//
//	Temporary    try again; nothing is wrong with the input
//	Invalid      the peer or the user is wrong; the input is refused for good
//	CannotJudge  a dependency is behind or away; ask again later, never "invalid"
//	Corrupt      stored bytes are not what was written; stop, name the place
//	Fatal        the process cannot go on without risking what is durable
//
// An error without a grade counts as Fatal: code that forgot to grade must not
// be retried by accident.
package fault

import (
	"errors"
	"fmt"
)

// Grade says how the receiver of an error should react to it.
type Grade uint8

// The grades, from the mildest to the most severe.
const (
	Temporary Grade = iota + 1
	CannotJudge
	Invalid
	Corrupt
	Fatal
)

// String returns the grade's name in lower case, as logs and JSON show it.
func (g Grade) String() string {
	switch g {
	case Temporary:
		return "temporary"
	case CannotJudge:
		return "cannot judge yet"
	case Invalid:
		return "invalid"
	case Corrupt:
		return "corrupt"
	default:
		return "fatal"
	}
}

// Error is an error with a grade. Create it with [New] or [Wrap].
type Error struct {
	grade Grade
	text  string
	cause error
}

// New returns an error of grade g. The format follows fmt.Errorf, including %w.
func New(g Grade, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{grade: g, text: err.Error(), cause: errors.Unwrap(err)}
}

// Wrap gives err the grade g and puts what before its text. A nil err stays nil.
func Wrap(g Grade, err error, what string) error {
	if err == nil {
		return nil
	}
	return &Error{grade: g, text: what + ": " + err.Error(), cause: err}
}

// Error returns the text.
func (e *Error) Error() string { return e.text }

// Unwrap returns the wrapped error, if any.
func (e *Error) Unwrap() error { return e.cause }

// Grade returns the grade given at creation.
func (e *Error) Grade() Grade { return e.grade }

// Of returns the grade of the outermost graded error in err's chain: the one
// that was added last, by the code that knew most about the consequences.
// An error without a grade is Fatal. Of(nil) returns zero.
func Of(err error) Grade {
	if err == nil {
		return 0
	}
	var graded *Error
	if errors.As(err, &graded) {
		return graded.grade
	}
	return Fatal
}

// Is reports whether err has grade g.
func Is(err error, g Grade) bool { return err != nil && Of(err) == g }
