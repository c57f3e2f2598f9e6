package rpc

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// maxDepth is how deep a request may nest, as in legacy's decoder.
const maxDepth = 128

// request is one request object. Raw members are as sent.
type request struct {
	version string          // text of jsonrpc, empty when it is absent or no text
	method  string          //
	params  json.RawMessage // nil when absent or null
	id      json.RawMessage // nil when absent; null is a value
}

// parseRequest reads one request object: method a text, id present, member names
// exact and once each. Unknown members are passed over. (rpc.md)
func parseRequest(body []byte) (request, error) {
	var r request
	if err := wellFormed(body); err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return r, malformed("it is no object")
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return r, malformed(err.Error())
		}
		key, _ := name.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return r, malformed(err.Error())
		}
		switch key {
		case "method", "params", "id", "jsonrpc":
			if seen[key] {
				return r, malformed("member " + key + " is there twice")
			}
			seen[key] = true
		}
		if err := r.take(key, value); err != nil {
			return r, err
		}
	}
	if _, err := d.Token(); err != nil {
		return r, malformed(err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return r, malformed("something follows the object")
	}
	if !seen["method"] {
		return r, malformed("it has no method")
	}
	return r, nil
}

func (r *request) take(key string, value json.RawMessage) error {
	switch key {
	case "method":
		if value[0] != '"' {
			return malformed("method is no text")
		}
		return json.Unmarshal(value, &r.method)
	case "params":
		if string(value) != "null" {
			r.params = value
		}
	case "id":
		r.id = value
	case "jsonrpc":
		if value[0] == '"' {
			return json.Unmarshal(value, &r.version)
		}
	}
	return nil
}

func malformed(why string) error {
	return fault.New(fault.Invalid, "malformed request: %s", why)
}

// wellFormed refuses what a decoder would take for more than it is: text that is
// not UTF-8, which would be mended in silence, and nesting that takes stack.
func wellFormed(body []byte) error {
	if !utf8.Valid(body) {
		return malformed("it is not UTF-8")
	}
	depth, text, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case text:
			escaped = c == '\\'
			text = c != '"'
		case c == '"':
			text = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return malformed("it nests deeper than 128")
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// canonicalID is an id as it is answered: without white space, members sorted, as
// legacy's own value type writes it.
func canonicalID(id json.RawMessage) json.RawMessage {
	if len(id) == 0 {
		return json.RawMessage("null")
	}
	if id[0] != '{' && id[0] != '[' && id[0] != '"' {
		return id
	}
	d := json.NewDecoder(bytes.NewReader(id))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return json.RawMessage("null")
	}
	return encode(v)
}

// encode writes a value as JSON without escaping for HTML.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
