package rpc

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
)

// openRPC is the description of our dialect in the OpenRPC form, version 1.3.
type openRPC struct {
	OpenRPC string          `json:"openrpc"`
	Info    openRPCInfo     `json:"info"`
	Methods []openRPCMethod `json:"methods"`
}

type openRPCInfo struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

type openRPCMethod struct {
	Name           string         `json:"name"`
	Summary        string         `json:"summary"`
	ParamStructure string         `json:"paramStructure"`
	Params         []openRPCValue `json:"params"`
	Result         openRPCValue   `json:"result"`
	Errors         []openRPCError `json:"errors"`
}

type openRPCValue struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Required    bool       `json:"required,omitempty"`
	Schema      jsonSchema `json:"schema"`
}

type openRPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// version of our dialect: the first number changes when a client must.
const version = "1.0.0"

// discover answers with the description of the table.
func (s *Server) discover(context.Context, call) (any, error) { return Discover(), nil }

// Discover returns the OpenRPC description of our dialect, made from the table that
// answers.
func Discover() json.RawMessage {
	d := openRPC{
		OpenRPC: "1.3.2",
		Info: openRPCInfo{
			Title: "Alys node", Version: version,
			Description: "JSON-RPC 2.0 beside the seven methods of legacy on the same port, which docs/formats/rpc.md describes.",
		},
	}
	for _, m := range methods() {
		described := openRPCMethod{
			Name: m.name, Summary: m.summary, ParamStructure: "either", Params: []openRPCValue{},
			Result: openRPCValue{Name: "result", Schema: schemaOf(reflect.TypeOf(m.result))},
		}
		t := reflect.TypeOf(m.params)
		for i := range t.NumField() {
			f := t.Field(i)
			described.Params = append(described.Params, openRPCValue{
				Name: nameOf(f), Description: f.Tag.Get("doc"), Required: !optional(f), Schema: schemaOf(f.Type),
			})
		}
		for _, code := range m.allErrors() {
			described.Errors = append(described.Errors, openRPCError{code, errorKind(code).Name})
		}
		d.Methods = append(d.Methods, described)
	}
	return encode(d)
}

// allErrors are the codes that a method can answer with.
func (m *method) allErrors() []int {
	return slices.Concat([]int{codeInvalidRequest, codeInvalidParams, codeRateLimited}, m.errors)
}

// jsonSchema is a JSON Schema.
type jsonSchema struct {
	Type        any                   `json:"type,omitempty"` // a name or a list of names
	Description string                `json:"description,omitempty"`
	Properties  map[string]jsonSchema `json:"properties,omitempty"`
	Required    []string              `json:"required,omitempty"`
	Items       *jsonSchema           `json:"items,omitempty"`
}

var rawType = reflect.TypeFor[json.RawMessage]()

// schemaOf describes a type as its JSON form.
func schemaOf(t reflect.Type) jsonSchema {
	if t == nil || t == rawType {
		return jsonSchema{} // anything
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := schemaOf(t.Elem())
		s.Type = []any{s.Type, "null"}
		return s
	case reflect.Struct:
		s := jsonSchema{Type: "object", Properties: map[string]jsonSchema{}}
		for i := range t.NumField() {
			f := t.Field(i)
			member := schemaOf(f.Type)
			member.Description = f.Tag.Get("doc")
			s.Properties[nameOf(f)] = member
			if !optional(f) {
				s.Required = append(s.Required, nameOf(f))
			}
		}
		return s
	case reflect.Slice:
		items := schemaOf(t.Elem())
		return jsonSchema{Type: "array", Items: &items}
	case reflect.Map:
		return jsonSchema{Type: "object"}
	case reflect.Bool:
		return jsonSchema{Type: "boolean"}
	case reflect.String:
		return jsonSchema{Type: "string"}
	default:
		return jsonSchema{Type: "integer"}
	}
}
