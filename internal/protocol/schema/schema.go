// Package schema decodes journal payloads of every schema version that was ever
// written. A payload stands in the journal for ever in the schema of its day.
//
// A new schema of a message either adds fields, and then today's field list
// decodes the old bytes as they are (absent is zero); or it changes what was
// there, and then an [Upcaster] leads the old bytes to the next schema:
//
//	older := schema.New(
//		schema.Step("timer_fired", 2, func(old *timerFired2) *message.TimerFired { ... }),
//	)
//	err := older.Decode(&m, 1, data, resolve) // 1 → 2 by adding fields, 2 → 3 by the step
//
// A schema above that of the program is refused by name. The old records stay in
// the program as plain types with their field lists. What was written is never
// rewritten: hashes are over the bytes as stored.
//
// # Limits
//
// A turn is encoded in the schema of the program that handles it. So raising a
// schema changes what a core writes, and a journal from before is re-executed by
// the program of its behaviour only; every later program decodes it.
package schema

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Typed is a message, fact or effect: a record with a name and a schema version.
type Typed interface {
	record.Record
	Type() string
	Schema() uint32
}

// Upcaster leads the bytes of one type from schema From to From + 1. Create it
// with [Step].
type Upcaster struct {
	Type string
	From uint32
	Up   func(old []byte) ([]byte, error)
}

// Step makes an upcaster of a function from the record as it was to the record
// as the next schema has it. Contents keep their hash and are not read.
func Step[Old, New any, O interface {
	*Old
	record.Record
}, N interface {
	*New
	record.Record
}](typ string, from uint32, up func(*Old) *New) Upcaster {
	return Upcaster{Type: typ, From: from, Up: func(data []byte) ([]byte, error) {
		old := new(Old)
		if err := record.Decode(data, O(old), nil); err != nil {
			return nil, err
		}
		next, _ := record.Encode(N(up(old)))
		return next, nil
	}}
}

// Upcasters are those of a program. The nil value has none: every older schema
// decodes by adding fields.
type Upcasters struct{ steps map[step]Upcaster }

type step struct {
	typ  string
	from uint32
}

// New returns the upcasters of a program. A list that names one step twice is a
// defect of the program, and panics.
func New(list ...Upcaster) *Upcasters {
	u := &Upcasters{steps: make(map[step]Upcaster, len(list))}
	for _, c := range list {
		at := step{c.Type, c.From}
		if _, twice := u.steps[at]; twice {
			panic(fmt.Sprintf("two upcasters of %q from schema %d", c.Type, c.From))
		}
		u.steps[at] = c
	}
	return u
}

// Has reports whether there is an upcaster of a type from a schema.
func (u *Upcasters) Has(typ string, from uint32) bool {
	if u == nil {
		return false
	}
	_, ok := u.steps[step{typ, from}]
	return ok
}

// Decode reads the bytes of a message of m's type, written in the given schema,
// into m. Errors are graded Invalid; those of resolve keep their grade.
func (u *Upcasters) Decode(m Typed, schema uint32, data []byte, resolve record.Resolver) error {
	if schema > m.Schema() {
		return fault.New(fault.Invalid, "message type %q has schema %d, this program reads up to %d: use a newer program", m.Type(), schema, m.Schema())
	}
	if u != nil && len(u.steps) > 0 {
		for at := schema; at < m.Schema(); at++ {
			c, ok := u.steps[step{m.Type(), at}]
			if !ok {
				continue
			}
			var err error
			if data, err = c.Up(data); err != nil {
				return fault.New(fault.Invalid, "message type %q of schema %d does not go up to schema %d: %w", m.Type(), schema, at+1, err)
			}
		}
	}
	if err := record.Decode(data, m, resolve); err != nil {
		return fmt.Errorf("message type %q of schema %d: %w", m.Type(), schema, err)
	}
	return nil
}
