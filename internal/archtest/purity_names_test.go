package archtest

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A name that no package declares would guard nothing: a spelling mistake, or
// a dependency that renamed it.
func TestListedNamesExist(t *testing.T) {
	list, err := listDeterministic()
	if err != nil {
		t.Fatal(err)
	}
	from := typeImporter(token.NewFileSet(), list.exports)
	paths := slices.Concat(slices.Collect(maps.Keys(pureImports)), refusedImports)
	for _, path := range paths {
		if _, err := from.Import(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, group := range []map[string]string{impureNames, mapIterators} {
		for name := range group {
			if !declared(from, paths, name) {
				t.Errorf("%s: no such name", name)
			}
		}
	}
	for name := range inPlace {
		if !declared(from, paths, name) {
			t.Errorf("%s: no such name", name)
		}
	}
}

// declared looks for path.Name or path.Type.Method in the listed packages.
func declared(from types.Importer, paths []string, full string) bool {
	for _, path := range paths {
		rest, ok := strings.CutPrefix(full, path+".")
		if !ok {
			continue
		}
		pkg, err := from.Import(path)
		if err != nil {
			return false
		}
		name, method, isMethod := strings.Cut(rest, ".")
		obj := pkg.Scope().Lookup(name)
		if obj == nil || !isMethod {
			return obj != nil
		}
		found, _, _ := types.LookupFieldOrMethod(obj.Type(), true, pkg, method)
		return found != nil
	}
	return false
}
