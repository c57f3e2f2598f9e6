package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// maxBatch is how many requests a batch may have.
	maxBatch = 64
	// maxAnswer bounds an answer, in bytes; a batch that reaches it has errors for the rest.
	maxAnswer = 8 << 20
)

// callError is the error of a method: its code, and what a program can go by.
type callError struct {
	Code    int            `json:"code"`
	Message string         `json:"message"`
	Data    map[string]any `json:"data,omitempty"`
}

func (e *callError) Error() string { return e.Message }

func refusedCall(code int, format string, args ...any) error {
	return &callError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// standardAnswer is one JSON-RPC 2.0 answer.
type standardAnswer struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *callError      `json:"error,omitempty"`
	ID      json.RawMessage `json:"id"`
}

// namespaced reports whether a method is of our dialect, known or not.
func namespaced(name string) bool {
	for _, prefix := range []string{"chain_", "mining_", "peg_", "journal_", "node_", "rpc."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// standard answers one request in our dialect; nil for one without an id, which wants
// no answer.
func (s *Server) standard(ctx context.Context, client string, r request) []byte {
	result, err := s.callMethod(ctx, client, r)
	if r.id == nil {
		return nil
	}
	a := standardAnswer{Version: "2.0", ID: canonicalID(r.id)}
	if err == nil {
		a.Result = encode(result)
		if len(a.Result) > maxAnswer {
			a.Result, err = nil, refusedCall(codeTooLarge, "the answer has %d bytes, at most %d are sent; ask for less", len(a.Result), maxAnswer)
		}
	}
	if err != nil {
		a.Error = asCallError(err)
	}
	return encode(a)
}

// asCallError gives an error of the node its code.
func asCallError(err error) *callError {
	var c *callError
	if errors.As(err, &c) {
		return c
	}
	c = &callError{Code: codeUnavailable, Message: err.Error(), Data: map[string]any{"grade": fault.Of(err).String()}}
	if fault.Is(err, fault.Invalid) {
		c.Code = codeInvalidParams
	}
	return c
}

func (s *Server) callMethod(ctx context.Context, client string, r request) (any, error) {
	m, known := table[r.method]
	switch {
	case r.version != "2.0":
		return nil, refusedCall(codeInvalidRequest, `method %q wants "jsonrpc":"2.0"`, r.method)
	case !known:
		return nil, refusedCall(codeUnknownMethod, "there is no method %q; rpc.discover lists them", clip(r.method))
	}
	started, status := time.Now(), statusRefused
	defer func() { s.opt.Observe(m.name, status, time.Since(started)) }()
	params := m.paramsOf()
	if err := readParams(r.params, params); err != nil {
		return nil, refusedCall(codeInvalidParams, "parameters of %s: %v", m.name, err)
	}
	result, err := m.call(s, ctx, call{client: client, params: params})
	if err == nil {
		status = statusOK
	}
	return result, err
}

// readParams reads parameters by position or by name into a struct. Required ones
// must be there, unknown ones must not.
func readParams(raw json.RawMessage, into any) error {
	v := reflect.ValueOf(into).Elem()
	if len(raw) == 0 {
		raw = json.RawMessage("[]")
	}
	given := make([]bool, v.NumField())
	switch raw[0] {
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		if len(list) > v.NumField() {
			return fmt.Errorf("%d are given, there are %d", len(list), v.NumField())
		}
		for i, value := range list {
			if err := readParam(value, v.Field(i), nameOf(v.Type().Field(i))); err != nil {
				return err
			}
			given[i] = string(value) != "null"
		}
	case '{':
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &members); err != nil {
			return err
		}
		for i := range given {
			name := nameOf(v.Type().Field(i))
			value, there := members[name]
			delete(members, name)
			if !there {
				continue
			}
			if err := readParam(value, v.Field(i), name); err != nil {
				return err
			}
			given[i] = string(value) != "null"
		}
		for name := range members {
			return fmt.Errorf("%q is none of them", clip(name))
		}
	default:
		return errors.New("a list or an object is wanted")
	}
	for i, there := range given {
		if !there && !optional(v.Type().Field(i)) {
			return fmt.Errorf("%s is missing", nameOf(v.Type().Field(i)))
		}
	}
	return nil
}

func readParam(value json.RawMessage, into reflect.Value, name string) error {
	d := json.NewDecoder(bytes.NewReader(value))
	if err := d.Decode(into.Addr().Interface()); err != nil {
		return fmt.Errorf("%s is no %s", name, into.Type())
	}
	return nil
}

func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func optional(f reflect.StructField) bool { return strings.Contains(f.Tag.Get("json"), ",omitempty") }

// clip shortens text of a request that is repeated.
func clip(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// batch answers a list of requests in our dialect. ok is false for a list that has
// none, which legacy's dialect does not know either.
func (s *Server) batch(ctx context.Context, client string, body []byte) (answer []byte, ok bool) {
	if wellFormed(body) != nil {
		return nil, false
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil || !anyStandard(list) {
		return nil, false
	}
	if len(list) > maxBatch {
		return encode(standardAnswer{Version: "2.0", ID: json.RawMessage("null"), Error: &callError{
			Code: codeTooLarge, Message: fmt.Sprintf("the batch has %d requests, at most %d are answered", len(list), maxBatch),
		}}), true
	}
	if !s.limits.allow(client, len(list)-1) { // the body counted as one
		return encode(standardAnswer{Version: "2.0", ID: json.RawMessage("null"), Error: &callError{Code: codeRateLimited, Message: tooOften}}), true
	}
	var answers [][]byte
	size := 0
	for _, raw := range list {
		one := s.batched(ctx, client, raw, size)
		if one != nil {
			answers = append(answers, one)
			size += len(one)
		}
	}
	if answers == nil {
		return nil, true
	}
	return append(append([]byte{'['}, bytes.Join(answers, []byte{','})...), ']'), true
}

// batched answers one request of a batch whose answers have size bytes so far.
func (s *Server) batched(ctx context.Context, client string, raw json.RawMessage, size int) []byte {
	r, err := parseRequest(raw)
	var no *callError
	switch {
	case err != nil:
		no = &callError{Code: codeInvalidRequest, Message: err.Error()}
		r.id = json.RawMessage("null")
	case size >= maxAnswer:
		no = &callError{Code: codeTooLarge, Message: "the answers of the batch before this one are too large; ask again in another batch"}
	case ctx.Err() != nil:
		no = &callError{Code: codeUnavailable, Message: "the batch took too long; ask for less"}
	default:
		return s.standard(ctx, client, r)
	}
	if r.id == nil {
		return nil
	}
	return encode(standardAnswer{Version: "2.0", ID: canonicalID(r.id), Error: no})
}

// anyStandard reports whether a list has a request that says it is of JSON-RPC 2.0.
func anyStandard(list []json.RawMessage) bool {
	for _, raw := range list {
		var r struct {
			Version any `json:"jsonrpc"`
		}
		if json.Unmarshal(raw, &r) == nil && r.Version == "2.0" {
			return true
		}
	}
	return false
}
