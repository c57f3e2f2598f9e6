package eventjson

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// payloadWriter renders journal payloads as JSON, field by field under their
// names in snake case: byte strings as 0x hex, contents as content:hash.
type payloadWriter struct {
	limit int // bytes shown of a byte string, and zero fields left out; 0 for everything
	buf   []byte
}

var contentType = reflect.TypeFor[record.Content]()

// Payload returns a payload as JSON, field by field under their names in snake
// case: byte strings as 0x hex, contents as content:hash. A limit bounds what is shown of byte
// strings and leaves zero fields out; 0 shows all.
func Payload(v any, limit int) json.RawMessage {
	w := payloadWriter{limit: limit}
	w.value(reflect.ValueOf(v))
	return w.buf
}

func (w *payloadWriter) value(v reflect.Value) {
	if !v.IsValid() {
		w.buf = append(w.buf, "null"...)
		return
	}
	if v.Type() == contentType {
		w.content(v.Interface().(record.Content))
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		w.value(v.Elem())
	case reflect.Struct:
		w.fields(v)
	case reflect.Array, reflect.Slice:
		w.list(v)
	case reflect.String:
		w.text(v.String())
	case reflect.Bool:
		w.buf = strconv.AppendBool(w.buf, v.Bool())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		w.buf = strconv.AppendUint(w.buf, v.Uint(), 10)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.buf = strconv.AppendInt(w.buf, v.Int(), 10)
	default:
		w.text(fmt.Sprint(v.Interface()))
	}
}

func (w *payloadWriter) text(s string) {
	quoted, _ := json.Marshal(s) // a string always has a JSON form
	w.buf = append(w.buf, quoted...)
}

func (w *payloadWriter) content(c record.Content) {
	if c.None() {
		w.buf = append(w.buf, "null"...)
		return
	}
	w.text("content:" + hex.EncodeToString(c.Hash[:]))
}

func (w *payloadWriter) fields(v reflect.Value) {
	w.buf = append(w.buf, '{')
	first := true
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || w.limit > 0 && v.Field(i).IsZero() {
			continue
		}
		if !first {
			w.buf = append(w.buf, ',')
		}
		first = false
		w.text(snakeCase(field.Name))
		w.buf = append(w.buf, ':')
		w.value(v.Field(i))
	}
	w.buf = append(w.buf, '}')
}

func (w *payloadWriter) list(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		w.bytes(v)
		return
	}
	w.buf = append(w.buf, '[')
	for i := range v.Len() {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.value(v.Index(i))
	}
	w.buf = append(w.buf, ']')
}

func (w *payloadWriter) bytes(v reflect.Value) {
	data := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(data), v)
	if w.limit > 0 && len(data) > w.limit {
		w.text(fmt.Sprintf("0x%x... (%d bytes)", data[:w.limit], len(data)))
		return
	}
	w.text("0x" + hex.EncodeToString(data))
}

// snakeCase turns ChainSpec into chain_spec and BuildWaitMs into build_wait_ms.
func snakeCase(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
