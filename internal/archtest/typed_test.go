package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// deterministicRoots are the directories whose packages must give the same
// outputs for the same inputs, on every machine and in every replay.
var deterministicRoots = []string{"internal/protocol", "actors/*", contractDir}

// typedPackage is a package with the types of its expressions.
type typedPackage struct {
	dir   string
	files []*source
	info  *types.Info
}

// listed is what the go command says of a package.
type listed struct {
	ImportPath, Dir, Name, Export string
	GoFiles, CgoFiles             []string
	IgnoredGoFiles                []string
}

// listing is one answer of the go command: the deterministic packages, and
// where the compiled types of everything they import are.
type listing struct {
	packages []listed
	exports  map[string]string
}

// refusedImports are packages that samples of the rules' tests import.
var refusedImports = []string{"sync", "time"}

var listDeterministic = sync.OnceValues(func() (listing, error) {
	args := []string{"list", "-e", "-export", "-deps", "-json=ImportPath,Dir,Name,Export,GoFiles,CgoFiles,IgnoredGoFiles"}
	for _, root := range []string{"internal/protocol", runtimeDir} {
		if _, err := os.Stat(filepath.Join(moduleRoot(), root)); err == nil {
			args = append(args, "./"+root+"/...")
		}
	}
	args = slices.Concat(args, slices.Sorted(maps.Keys(pureImports)), refusedImports)
	all, err := goList[listed](args...)
	if err != nil {
		return listing{}, err
	}
	out := listing{exports: map[string]string{}}
	for _, p := range all {
		out.exports[p.ImportPath] = p.Export
		if deterministic(own(p.ImportPath)) {
			out.packages = append(out.packages, p)
		}
	}
	slices.SortFunc(out.packages, func(a, b listed) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	return out, nil
})

// deterministic tells whether the rules of purity hold for a directory.
func deterministic(dir string) bool {
	if dir == "" {
		return false
	}
	for _, support := range testSupport {
		if within(dir, support) {
			return false
		}
	}
	entry, _, ok := area(dir)
	return ok && slices.Contains(deterministicRoots, entry)
}

// typeImporter reads the types of imported packages from the compiler's
// export data, which the go command has made or finds in its cache.
func typeImporter(fset *token.FileSet, exports map[string]string) types.Importer {
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		name, ok := exports[path]
		if !ok || name == "" {
			return nil, fmt.Errorf("package %s does not compile, or is not listed: run go build ./...", path)
		}
		return os.Open(name)
	})
}

// typecheck gives types to parsed files of one package.
func typecheck(importPath string, files []*source, from types.Importer) (*typedPackage, error) {
	p := &typedPackage{files: files, info: &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Uses:       map[*ast.Ident]types.Object{},
		Defs:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	var parsed []*ast.File
	for _, s := range files {
		p.dir = s.dir
		parsed = append(parsed, s.file)
	}
	var problems []error
	conf := types.Config{Importer: from, Error: func(err error) { problems = append(problems, err) }}
	_, err := conf.Check(importPath, files[0].fset, parsed, p.info)
	if err != nil {
		return nil, fmt.Errorf("types of %s: %w", importPath, errors.Join(problems...))
	}
	return p, nil
}

// deterministicPackages are the typed packages that must be pure.
func deterministicPackages(t *testing.T) []*typedPackage {
	t.Helper()
	list, err := listDeterministic()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*source{}
	all := sources(t)
	for _, s := range all {
		byName[s.name] = s
	}
	from := typeImporter(all[0].fset, list.exports)
	var out []*typedPackage
	for _, l := range list.packages {
		dir := own(l.ImportPath)
		if len(l.CgoFiles) > 0 {
			t.Errorf("%s: C code in a deterministic package: %v", dir, l.CgoFiles)
		}
		for _, name := range l.IgnoredGoFiles {
			if !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s/%s: left out by a build constraint: a deterministic package is the same on every machine", dir, name)
			}
		}
		var files []*source
		for _, name := range l.GoFiles {
			if s := byName[dir+"/"+name]; s != nil {
				files = append(files, s)
			}
		}
		if len(files) == 0 {
			continue
		}
		p, err := typecheck(l.ImportPath, files, from)
		if err != nil {
			t.Error(err)
			continue
		}
		out = append(out, p)
	}
	return out
}

// typedSample type-checks a small source as if it lay in a directory.
func typedSample(t *testing.T, dir, text string) *typedPackage {
	t.Helper()
	list, err := listDeterministic()
	if err != nil {
		t.Fatal(err)
	}
	s := sample(t, dir+"/p.go", text)
	p, err := typecheck(modulePath+"/"+dir, []*source{s}, typeImporter(s.fset, list.exports))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}
