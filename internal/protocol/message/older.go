package message

import (
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/schema"
)

// upcasters lead payloads of older schemas to the schemas of this program where
// adding fields was not enough. docs/formats/messages.schemas has every schema
// that was ever written; the test that holds it asks for an upcaster here.
var upcasters = []schema.Upcaster{}

var older = schema.New(upcasters...)

// Older returns the upcasters of this program.
func Older() *schema.Upcasters { return older }

// Decode reads a payload of m's type, written in the given schema, into m.
func Decode(m schema.Typed, written uint32, data []byte, resolve record.Resolver) error {
	return older.Decode(m, written, data, resolve)
}
