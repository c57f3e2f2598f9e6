package archtest

import (
	"fmt"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// aheadOfUse are direct dependencies that nothing imports yet, and what for.
// They may do without a page until they are used.
var aheadOfUse = map[string]string{}

// throughOthers are modules that are imported although go.mod lists them as
// indirect, and why.
var throughOthers = map[string]string{}

// testOnly are modules that must not reach the binary (decision 0022).
var testOnly = []string{
	"github.com/cockroachdb/datadriven", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "pgregory.net/rapid",
}

// checkTestOnly judges the imports of one file.
func checkTestOnly(s *source) []finding {
	if s.test {
		return nil
	}
	var out []finding
	for _, spec := range s.file.Imports {
		// What only tests import may speak to a test.
		support := longestPrefix(testSupport, s.dir) != ""
		if p := importPath(spec); p == "testing" && !support || longestPrefix(testOnly, p) != "" {
			out = append(out, finding{s.pos(spec.Pos()), "test library", p + " is for test files only"})
		}
	}
	return out
}

// goMod is what go.mod says, as the go command prints it.
type goMod struct {
	Module  struct{ Path string }
	Require []struct {
		Path     string
		Indirect bool
	}
	Replace []struct {
		Old struct{ Path string }
	}
}

// page is one file of docs/decisions.
type page struct {
	name string
	text string
}

// modulesUsed maps each required module that the sources import to a file
// that does.
func modulesUsed(mod goMod, all []*source) map[string]string {
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	used := map[string]string{}
	for _, s := range all {
		if ofOtherModule(s.dir) {
			continue
		}
		for _, p := range s.imports() {
			if m := longestPrefix(paths, p); m != "" && used[m] == "" {
				used[m] = s.name
			}
		}
	}
	return used
}

// ofOtherModule reports whether a directory has a go.mod above it before ours: what it
// imports is that module's to require.
func ofOtherModule(dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := os.Stat(filepath.Join(moduleRoot(), filepath.FromSlash(dir), "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// longestPrefix finds the module that a package path lies in.
func longestPrefix(modules []string, p string) string {
	var best string
	for _, m := range modules {
		if within(p, m) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// checkModules holds go.mod, the imports and the pages to each other.
func checkModules(mod goMod, used map[string]string, pages []page) []finding {
	var out []finding
	add := func(file, rule, format string, args ...any) {
		out = append(out, finding{token.Position{Filename: file}, rule, fmt.Sprintf(format, args...)})
	}
	for _, r := range mod.Replace {
		add("go.mod", "replace", "%s is replaced: nobody who installs the module gets that", r.Old.Path)
	}
	named := modulesNamed(mod, pages)
	for _, r := range mod.Require {
		file := used[r.Path]
		switch {
		case !r.Indirect && file == "" && aheadOfUse[r.Path] == "":
			add("go.mod", "unused", "%s is a direct dependency and nothing imports it", r.Path)
		case r.Indirect && file != "" && throughOthers[r.Path] == "":
			add(file, "indirect", "%s is imported and go.mod lists it as indirect: run go mod tidy", r.Path)
		}
		if file != "" && !named[r.Path] {
			add(file, "decision", "%s is imported and no page of docs/decisions names it", r.Path)
		}
	}
	for _, p := range pages {
		for _, m := range declaredModules(p) {
			if used[m] == "" && aheadOfUse[m] == "" {
				add("docs/decisions/"+p.name, "decision", "the page is about %s, which no source imports", m)
			}
		}
	}
	return out
}

var (
	pathText     = regexp.MustCompile(`[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9_.-]+)+`)
	modulesLine  = regexp.MustCompile(`(?m)^Modules: (.*)$`)
	quoted       = regexp.MustCompile("`([^`]+)`")
	pageName     = regexp.MustCompile(`^(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md$`)
	pageSections = []*regexp.Regexp{
		regexp.MustCompile(`(?m)^## Context$`),
		regexp.MustCompile(`(?m)^## (Options refused|Options|Rejected)$`),
		regexp.MustCompile(`(?m)^## Decision$`),
	}
)

// modulesNamed are the modules whose path, or a package of them, occurs in the
// text of a page.
func modulesNamed(mod goMod, pages []page) map[string]bool {
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	named := map[string]bool{}
	for _, p := range pages {
		for _, word := range pathText.FindAllString(p.text, -1) {
			if m := longestPrefix(paths, strings.TrimRight(word, ".")); m != "" {
				named[m] = true
			}
		}
	}
	return named
}

// declaredModules are the modules a page says it is about.
func declaredModules(p page) []string {
	var out []string
	for _, line := range modulesLine.FindAllStringSubmatch(p.text, -1) {
		for _, m := range quoted.FindAllStringSubmatch(line[1], -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// checkPages wants pages with a number of their own, the title under it, and
// the three sections that make a decision worth reading later.
func checkPages(pages []page) []finding {
	var out []finding
	holder := map[string]string{}
	for _, p := range pages {
		add := func(format string, args ...any) {
			out = append(out, finding{token.Position{Filename: "docs/decisions/" + p.name}, "page", fmt.Sprintf(format, args...)})
		}
		m := pageName.FindStringSubmatch(p.name)
		if m == nil {
			add("call it NNNN-title.md, in lower case")
			continue
		}
		if other := holder[m[1]]; other != "" {
			add("number %s is taken by %s", m[1], other)
		}
		holder[m[1]] = p.name
		if !strings.HasPrefix(p.text, "# "+m[1]+": ") {
			add("the first line is not \"# %s: Title\"", m[1])
		}
		for i, name := range []string{"Context", "Options refused", "Decision"} {
			if !pageSections[i].MatchString(p.text) {
				add("no section \"## %s\"", name)
			}
		}
		for _, link := range regexp.MustCompile(`\]\((\d{4}[^)#]*)`).FindAllStringSubmatch(p.text, -1) {
			if !slices.ContainsFunc(pages, func(q page) bool { return q.name == link[1] }) {
				add("links to %s, which does not exist", link[1])
			}
		}
	}
	return out
}

// decisionPages reads docs/decisions.
func decisionPages(t *testing.T) []page {
	t.Helper()
	dir := filepath.Join(moduleRoot(), "docs", "decisions")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []page
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page{e.Name(), string(text)})
	}
	return out
}

// readGoMod asks the go command, and reads the file as well so that a change
// of it is seen by the cache of test results.
func readGoMod(t *testing.T) goMod {
	t.Helper()
	if _, err := os.ReadFile(filepath.Join(moduleRoot(), "go.mod")); err != nil {
		t.Fatal(err)
	}
	mod, err := goList[goMod]("mod", "edit", "-json")
	if err != nil {
		t.Fatal(err)
	}
	if len(mod) != 1 || mod[0].Module.Path != modulePath {
		t.Fatalf("go.mod is not that of %s", modulePath)
	}
	return mod[0]
}

func TestModulesAndDecisions(t *testing.T) {
	mod := readGoMod(t)
	used := modulesUsed(mod, sources(t))
	pages := decisionPages(t)
	for _, s := range sources(t) {
		report(t, checkTestOnly(s))
	}
	report(t, checkPages(pages))
	report(t, checkModules(mod, used, pages))
	// Only logged: go.mod, the page and the first use come in separate commits.
	for _, m := range slices.Sorted(maps.Keys(aheadOfUse)) {
		if used[m] != "" {
			t.Logf("%s imports %s: take it off aheadOfUse", used[m], m)
		}
	}
	for _, m := range slices.Sorted(maps.Keys(throughOthers)) {
		if used[m] == "" {
			t.Errorf("nothing imports %s: take it off throughOthers", m)
		}
	}
}

// modSample is a go.mod with direct requirements; a name that starts with "-"
// is indirect.
func modSample(paths ...string) goMod {
	var mod goMod
	for _, p := range paths {
		bare, indirect := strings.CutPrefix(p, "-")
		mod.Require = append(mod.Require, struct {
			Path     string
			Indirect bool
		}{bare, indirect})
	}
	return mod
}

func TestModulesAndDecisionsFire(t *testing.T) {
	importing := func(p string) []*source {
		return []*source{sample(t, "p/p.go", "package p\n\nimport _ \""+p+"\"\n")}
	}
	body := "# 0001: Title\n\n## Context\n\n## Options refused\n\n## Decision\n\n"
	about := []page{{"0001-a.md", body + "Modules: `x.org/a`, `x.org/a/b`\n"}}

	mod := modSample("x.org/a", "x.org/a/b")
	both := append(importing("x.org/a/c"), importing("x.org/a/b/c")...)
	expectRules(t, checkModules(mod, modulesUsed(mod, both), about))
	expectRules(t, checkModules(mod, modulesUsed(mod, both), nil), "decision")
	expectRules(t, checkModules(mod, modulesUsed(mod, both[:1]), about), "decision", "unused")

	nested := []page{{"0001-a.md", body + "uses x.org/a/b/c.\n"}}
	if found := checkModules(mod, modulesUsed(mod, both), nested); len(found) != 1 || !strings.Contains(found[0].text, "x.org/a is") {
		t.Errorf("%v, want one finding about x.org/a", found)
	}
	indirect := modSample("-x.org/a")
	expectRules(t, checkModules(indirect, modulesUsed(indirect, both), about[:0]), "decision", "indirect")

	replaced := modSample()
	replaced.Replace = append(replaced.Replace, struct{ Old struct{ Path string } }{})
	expectRules(t, checkModules(replaced, nil, nil), "replace")

	expectRules(t, checkTestOnly(sample(t, "p/p.go", "package p\n\nimport _ \"pgregory.net/rapid\"\n")), "test library")
	expectRules(t, checkTestOnly(sample(t, "p/p_test.go", "package p\n\nimport _ \"pgregory.net/rapid\"\n")))

	expectRules(t, checkPages([]page{{"0001-a-title.md", body}}))
	for _, bad := range [][]page{
		{{"notes.md", body}},
		{{"0001-Title.md", body}},
		{{"0002-a.md", body}},
		{{"0001-a.md", body}, {"0001-b.md", body}},
		{{"0001-a.md", strings.Replace(body, "## Options refused\n", "", 1)}},
		{{"0001-a.md", strings.Replace(body, "## Decision\n", "", 1)}},
		{{"0001-a.md", strings.Replace(body, "## Context\n", "", 1)}},
		{{"0001-a.md", body + "see [it](0007-none.md)"}},
	} {
		expectRules(t, checkPages(bad), "page")
	}
}
