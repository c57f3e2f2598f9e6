package archtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// modulePath is the import path of the module these rules are about.
const modulePath = "github.com/AnduroProject/alys-go"

// finding is one breach of a rule.
type finding struct {
	pos  token.Position
	rule string
	text string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.pos.Filename, f.pos.Line, f.rule, f.text)
}

// report fails the test with one line for each finding.
func report(t *testing.T, found []finding) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

// source is one Go file of the module.
type source struct {
	dir   string // slash-separated, relative to the module's root
	name  string // the file's path relative to the module's root
	test  bool   // name ends in _test.go
	lines int
	file  *ast.File
	fset  *token.FileSet
}

// pos turns a position of the file into one that a reader can open.
func (s *source) pos(p token.Pos) token.Position {
	at := s.fset.Position(p)
	at.Filename = s.name
	return at
}

// imports lists the file's import paths.
func (s *source) imports() []string {
	var out []string
	for _, spec := range s.file.Imports {
		out = append(out, importPath(spec))
	}
	return out
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}

// parseSource parses one file under the name it is reported by.
func parseSource(fset *token.FileSet, name string, text []byte) (*source, error) {
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{
		dir:   path.Dir(name),
		name:  name,
		test:  strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")),
		file:  file,
		fset:  fset,
	}, nil
}

// moduleRoot is the directory of go.mod, two above this package.
func moduleRoot() string { return filepath.Join("..", "..") }

// moduleSources parses every Go file of the module, whatever its build
// constraints, in lexical order. testdata and hidden directories are left out.
var moduleSources = sync.OnceValues(func() ([]*source, error) {
	fset := token.NewFileSet()
	var out []*source
	err := filepath.WalkDir(moduleRoot(), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(moduleRoot(), p)
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if rel != "." && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		s, err := parseSource(fset, filepath.ToSlash(rel), text)
		if err != nil {
			return err
		}
		out = append(out, s)
		return nil
	})
	return out, err
})

// sources are the module's files, or the end of the test.
func sources(t *testing.T) []*source {
	t.Helper()
	all, err := moduleSources()
	if err != nil {
		t.Fatalf("read the module's source: %v", err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file found: run the test inside the module")
	}
	return all
}

// sample parses a small source under the given name, for the tests of rules.
func sample(t *testing.T, name, text string) *source {
	t.Helper()
	s, err := parseSource(token.NewFileSet(), name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own gives the directory of an import path of this module, "" for others.
func own(importPath string) string {
	if importPath == modulePath {
		return "."
	}
	dir, ok := strings.CutPrefix(importPath, modulePath+"/")
	if !ok {
		return ""
	}
	return dir
}

// within tells whether a directory is root or lies below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

// goList runs the go command in the module's root and decodes its output.
func goList[T any](args ...string) ([]T, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = moduleRoot()
	var problems bytes.Buffer
	cmd.Stderr = &problems
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	var out []T
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var v T
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
		out = append(out, v)
	}
	return out, nil
}

// expectRules checks that a bad sample breaks exactly these rules, in any
// order and each any number of times.
func expectRules(t *testing.T, found []finding, want ...string) {
	t.Helper()
	var got []string
	for _, f := range found {
		got = append(got, f.rule)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("rules that fired: %q, want %q\n%v", got, want, found)
	}
}
