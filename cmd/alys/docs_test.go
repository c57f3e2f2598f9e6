package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
)

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every command has help with an example, and a line in the operator's guide.
func TestCommandsAreDocumented(t *testing.T) {
	guide := page(t, "docs/operator.md")
	var visit func(path string, commands []*cli.Command)
	visit = func(path string, commands []*cli.Command) {
		for _, c := range commands {
			name := path + " " + c.Name
			if len(c.Subcommands) > 0 {
				visit(name, c.Subcommands)
				continue
			}
			if c.Usage == "" || !strings.Contains(c.Description, "Example") || !strings.Contains(c.Description, "  "+name) {
				t.Errorf("%s has no help with an example", name)
			}
			if !strings.Contains(guide, "| `"+name+"` |") {
				t.Errorf("docs/operator.md does not list %s", name)
			}
		}
	}
	visit("alys", newApp(io.Discard, io.Discard).Commands)
}

func TestExitCodesAreDocumented(t *testing.T) {
	guide := page(t, "docs/operator.md")
	for code := exitOK; code <= exitRefused; code++ {
		if !strings.Contains(guide, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/operator.md does not list exit code %d", code)
		}
	}
}

// The guide lists exactly the metrics that a node has.
func TestMetricsAreDocumented(t *testing.T) {
	families, err := node.NewTelemetry().Metrics.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("\\| `(alys_[a-z0-9_]+)` \\|").FindAllStringSubmatch(page(t, "docs/operator.md"), -1) {
		listed[m[1]] = true
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "alys_") {
			continue // go_* and process_*, the client library's own
		}
		if !listed[f.GetName()] {
			t.Errorf("docs/operator.md does not list %s", f.GetName())
		}
		delete(listed, f.GetName())
	}
	for name := range listed {
		t.Errorf("docs/operator.md lists %s, which no node has", name)
	}
}

// docs/architecture.md has one line for every package, and for no other.
func TestPackagesAreListed(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|").FindAllStringSubmatch(page(t, "docs/architecture.md"), -1) {
		listed[m[1]] = true
	}
	for _, path := range strings.Fields(string(out)) {
		name := strings.TrimPrefix(path, "github.com/AnduroProject/alys-go/")
		if !listed[name] {
			t.Errorf("docs/architecture.md does not list %s", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("docs/architecture.md lists %s, which is no package", name)
	}
}

// Links between the pages lead somewhere.
func TestLinks(t *testing.T) {
	for _, name := range []string{"README.md", "docs/operator.md", "docs/architecture.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(page(t, name), -1) {
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}
