package record

// Kind is the form of a field's value on the wire.
type Kind string

// The kinds of fields.
const (
	KindUint64   Kind = "uint64"
	KindUint32   Kind = "uint32"
	KindUint8    Kind = "uint8"
	KindInt64    Kind = "int64" // zig-zag
	KindBool     Kind = "bool"
	KindBytes    Kind = "bytes"
	KindString   Kind = "string"
	KindFixed    Kind = "fixed"
	KindContent  Kind = "content"
	KindUint64s  Kind = "uint64s" // packed
	KindList     Kind = "list"
	KindOptional Kind = "optional"
)

// Described is one field of a record's list.
type Described struct {
	Number int
	Kind   Kind
	Length int    // of KindFixed, in bytes
	Value  any    // points to the field's value, to the first byte of KindFixed
	Nested Record // an empty one of the records in KindList and KindOptional
}

// Describe returns the field list of r. It is how tools and tests learn the
// schema of a record: the list that encodes is the list that is described.
func Describe(r Record) []Described {
	var list []Described
	r.Fields(&Fields{describing: &list})
	return list
}

func (f *Fields) describe(d Described) { *f.describing = append(*f.describing, d) }
