package actors

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Schema describes what a machine takes, answers and remembers: for each actor
// its messages and the type of its state, then the fields of every type of ours
// that these lead to. Programs whose cores were built of other types have another text.
func (m *Machine) Schema() string {
	var b strings.Builder
	seen := make(map[reflect.Type]bool)
	for _, id := range m.order {
		a := m.actors[id]
		fmt.Fprintf(&b, "actor %s\n", id)
		for _, typ := range sortedNames(a.accepts) {
			fmt.Fprintf(&b, "\ttakes %s\n", m.versioned(typ))
		}
		state := reflect.TypeOf(a.state)
		fmt.Fprintf(&b, "\tstate %s\n", state)
		reach(state, seen)
	}
	for _, typ := range sortedNames(m.types) {
		fmt.Fprintf(&b, "message %s\n", m.versioned(typ))
		reach(m.types[typ], seen)
	}
	reach(reflect.TypeFor[waiting](), seen)
	reach(reflect.TypeFor[position](), seen)
	var types []string
	for t := range seen {
		if t.Kind() == reflect.Struct && ofOurs(t.PkgPath()) {
			types = append(types, structText(t))
		}
	}
	slices.Sort(types)
	for _, t := range slices.Compact(types) {
		b.WriteString(t)
	}
	return b.String()
}

// Fingerprint identifies the cores of a program: the SHA-256 of the version of
// their rules and of [Machine.Schema]. That a change of rules alone raises the
// version is for the golden journals to catch, which then no longer replay.
func (m *Machine) Fingerprint(behaviour uint32) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "behaviour %d\n%s", behaviour, m.Schema()))
}

func (m *Machine) versioned(typ string) string {
	return fmt.Sprintf("%s/%d", typ, newMessage(m.types[typ]).Schema())
}

// ourModule is the import path that all packages of this module begin with.
var ourModule = strings.TrimSuffix(reflect.TypeFor[Machine]().PkgPath(), "actors")

func ofOurs(path string) bool { return path == "main" || strings.HasPrefix(path, ourModule) }

// reach adds t and every type that its fields and elements lead to.
func reach(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		reach(t.Elem(), seen)
	case reflect.Map:
		reach(t.Key(), seen)
		reach(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			reach(t.Field(i).Type, seen)
		}
	}
}

func structText(t reflect.Type) string {
	var b strings.Builder
	fmt.Fprintf(&b, "type %s.%s\n", t.PkgPath(), t.Name())
	for i := range t.NumField() {
		f := t.Field(i)
		fmt.Fprintf(&b, "\t%s %s\n", f.Name, f.Type)
	}
	return b.String()
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
