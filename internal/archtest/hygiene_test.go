package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxLines is the length at which a hand-written file that is no test has to
// be split.
const maxLines = 500

// topDirectories are all that may lie beside go.mod, apart from hidden ones
// and what the root's .gitignore names.
var topDirectories = []string{
	"actors", "cmd", "deploy", "docs", "internal", "journal", "migration", "projections", "replay", "snapshot", "testdata",
}

// emptyNames say nothing about what a package is for.
var emptyNames = []string{"utils", "util", "common", "manager", "managers", "helper", "helpers", "misc", "shared"}

// panicsEnd lists the files that may call recover, and what for. Everywhere
// else a panic is a defect that must end the process.
var panicsEnd = map[string]string{
	"actors/machine.go":                      "the turn boundary: a handler that panics ends its turn as failed (architecture, one turn, one event)",
	"journal/fatal.go":                       "Pebble calls Fatalf where its disk fails, which becomes an error of the journal",
	"journal/derived/database.go":            "Pebble panics on files of a damaged database, which is built again",
	"internal/edge/engine/gethlog.go":        "go-ethereum calls log.Crit where it cannot go on, which becomes an error of the engine",
	"internal/edge/bitcoin/regtest/guard.go": "btcd's packages panic where their database is not what they wrote; it is made again",
	"internal/edge/rpc/server.go":            "a request that panics is answered with an error; the node goes on",
	"internal/edge/admin/server.go":          "a request that panics is answered with an error; the node goes on",
	"internal/sim/reorg/run.go":              "a check that fails deep inside a scenario becomes the scenario's failure",
	"internal/sim/peg/run.go":                "a check that fails deep inside a run becomes the run's failure",
	"journal/salvage/table.go":               "Pebble's table reader panics on some damaged tables; the blocks are then found without it",
	"migration/store.go":                     "goleveldb panics on contents of a damaged store that its checksums let pass",
}

// unfinished are the words that mark work left undone; put together here so
// that this file passes.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

// checkLength wants short files.
func checkLength(s *source) []finding {
	if s.test || s.lines < maxLines || ast.IsGenerated(s.file) {
		return nil
	}
	return []finding{{s.pos(s.file.Package), "length", fmt.Sprintf("%d lines; split it below %d", s.lines, maxLines)}}
}

// checkPackageName wants a name that says what the package is.
func checkPackageName(s *source) []finding {
	name := strings.TrimSuffix(s.file.Name.Name, "_test")
	if !slices.Contains(emptyNames, name) && !slices.Contains(emptyNames, path.Base(s.dir)) {
		return nil
	}
	return []finding{{s.pos(s.file.Package), "name", "a package called " + name + " says nothing of what it is for"}}
}

// checkUnfinished wants no note of work left undone.
func checkUnfinished(s *source) []finding {
	var out []finding
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			if word := unfinished.FindString(c.Text); word != "" {
				out = append(out, finding{s.pos(c.Pos()), "unfinished", word + " in a comment: do it, or open an issue"})
			}
		}
	}
	return out
}

// checkRecover wants recover only where it is listed.
func checkRecover(s *source) []finding {
	if _, listed := panicsEnd[s.name]; listed || s.test {
		return nil
	}
	var out []finding
	for _, call := range recovers(s.file) {
		out = append(out, finding{s.pos(call), "recover", "a panic is a defect and ends the process; list the file in panicsEnd if it must not"})
	}
	return out
}

func recovers(file *ast.File) []token.Pos {
	var out []token.Pos
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if id, ok := ast.Unparen(call.Fun).(*ast.Ident); ok && id.Name == "recover" && len(call.Args) == 0 {
			out = append(out, call.Pos())
		}
		return true
	})
	return out
}

// checkDocumented wants a comment on every exported declaration of a library:
// types, functions, methods of exported types, constants and variables. A
// comment on a group covers the group. Fields are left to their type's comment.
func checkDocumented(s *source) []finding {
	if s.test || s.file.Name.Name == "main" || ast.IsGenerated(s.file) {
		return nil
	}
	var out []finding
	missing := func(at token.Pos, name string) {
		out = append(out, finding{s.pos(at), "documentation", "exported " + name + " has no comment"})
	}
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				missing(d.Pos(), d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch v := spec.(type) {
				case *ast.TypeSpec:
					if v.Name.IsExported() {
						if d.Doc == nil && v.Doc == nil && v.Comment == nil {
							missing(v.Pos(), v.Name.Name)
						}
					}
				case *ast.ValueSpec:
					for _, name := range v.Names {
						if name.IsExported() && d.Doc == nil && v.Doc == nil && v.Comment == nil {
							missing(name.Pos(), name.Name)
						}
					}
				}
			}
		}
	}
	return out
}

// exportedReceiver is true for functions and for methods of exported types.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch v := t.(type) {
		case *ast.StarExpr:
			t = v.X
		case *ast.IndexExpr:
			t = v.X
		case *ast.IndexListExpr:
			t = v.X
		case *ast.Ident:
			return v.IsExported()
		default:
			return false
		}
	}
}

// checkPackageDocs wants a package comment in one file of each package.
func checkPackageDocs(all []*source) []finding {
	first := map[string]*source{}
	documented := map[string]bool{}
	for _, s := range all {
		if s.test {
			continue
		}
		if first[s.dir] == nil {
			first[s.dir] = s
		}
		if s.file.Doc != nil && strings.TrimSpace(s.file.Doc.Text()) != "" {
			documented[s.dir] = true
		}
	}
	var out []finding
	for _, dir := range slices.Sorted(maps.Keys(first)) {
		if s := first[dir]; !documented[dir] {
			out = append(out, finding{s.pos(s.file.Package), "documentation", "package " + dir + " has no package comment"})
		}
	}
	return out
}

func TestSourceHygiene(t *testing.T) {
	all := sources(t)
	for _, s := range all {
		report(t, checkLength(s))
		report(t, checkPackageName(s))
		report(t, checkUnfinished(s))
		report(t, checkRecover(s))
		report(t, checkDocumented(s))
	}
	report(t, checkPackageDocs(all))
}

// An exception that nothing needs any more would hide the next breach.
func TestRecoverListIsNeeded(t *testing.T) {
	for _, s := range sources(t) {
		if reason, listed := panicsEnd[s.name]; listed {
			if reason == "" {
				t.Errorf("%s: listed without a reason", s.name)
			}
			if len(recovers(s.file)) == 0 {
				t.Errorf("%s: listed in panicsEnd and calls no recover: take it off the list", s.name)
			}
		}
	}
}

func TestTopDirectories(t *testing.T) {
	entries, err := os.ReadDir(moduleRoot())
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := os.ReadFile(path.Join(moduleRoot(), ".gitignore"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			report(t, checkTop(e.Name(), string(ignored)))
		}
	}
}

// checkTop judges a directory beside go.mod.
func checkTop(name, gitignore string) []finding {
	if strings.HasPrefix(name, ".") || slices.Contains(topDirectories, name) {
		return nil
	}
	for line := range strings.Lines(gitignore) {
		if strings.Trim(strings.TrimSpace(line), "/") == name {
			return nil
		}
	}
	return []finding{{token.Position{Filename: name}, "layout", fmt.Sprintf("top directories are %s; put this below one of them", strings.Join(topDirectories, ", "))}}
}

func TestSourceHygieneFires(t *testing.T) {
	long := "package p\n" + strings.Repeat("\n", maxLines)
	expectRules(t, checkLength(sample(t, "p/p.go", long)), "length")
	expectRules(t, checkLength(sample(t, "p/p_test.go", long)))
	expectRules(t, checkLength(sample(t, "p/p.go", "// Code generated by x. DO NOT EDIT.\n\n"+long)))

	expectRules(t, checkPackageName(sample(t, "p/utils/p.go", "package utils\n")), "name")
	expectRules(t, checkPackageName(sample(t, "p/p.go", "package helper_test\n")), "name")
	expectRules(t, checkPackageName(sample(t, "p/chain/p.go", "package chain\n")))

	expectRules(t, checkUnfinished(sample(t, "p/p_test.go", "package p\n\n// TO"+"DO: later\n")), "unfinished")
	expectRules(t, checkUnfinished(sample(t, "p/p.go", "package p\n\nvar a int // a mastodon\n")))

	expectRules(t, checkRecover(sample(t, "p/p.go", "package p\n\nfunc f() { defer func() { _ = recover() }() }\n")), "recover")
	expectRules(t, checkRecover(sample(t, "journal/fatal.go", "package p\n\nfunc f() { defer func() { _ = recover() }() }\n")))

	expectRules(t, checkTop("pkg", "/bin/\n"), "layout")
	expectRules(t, checkTop("bin", "/bin/\n"))
	expectRules(t, checkTop("journal", ""))

	expectRules(t, checkPackageDocs([]*source{sample(t, "p/p.go", "package p\n")}), "documentation")
	expectRules(t, checkPackageDocs([]*source{sample(t, "p/p.go", "// Package p is.\npackage p\n"), sample(t, "p/q.go", "package p\n")}))
}

func TestDocumentationFires(t *testing.T) {
	for _, bad := range []string{
		"func F() {}",
		"type T struct{}",
		"var V int",
		"const C = 1",
		"// T is.\ntype T struct{}\n\nfunc (T) M() {}",
		"// T is.\ntype T[K any] struct{}\n\nfunc (*T[K]) M() {}",
		"type (\n\tT int\n)",
	} {
		if found := checkDocumented(sample(t, "p/p.go", "package p\n\n"+bad+"\n")); len(found) != 1 {
			t.Errorf("%s: %v, want one finding", bad, found)
		}
	}
	for _, good := range []string{
		"func f() {}",
		"type t struct{ F int }\n\nfunc (t) M() {}",
		"// Group.\nconst (\n\tA = 1\n\tB = 2\n)",
		"// T is.\ntype T struct{ F int }",
	} {
		if found := checkDocumented(sample(t, "p/p.go", "package p\n\n"+good+"\n")); len(found) != 0 {
			t.Errorf("%s: %v, want none", good, found)
		}
	}
}
