package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/federation"
)

// deployed are the command lines of the files in deploy, each by its words without the
// program's name, and the variables that they set.
func deployed(t *testing.T) (lines map[string][]string, variables []string) {
	t.Helper()
	lines = make(map[string][]string)
	units, err := filepath.Glob("../../deploy/systemd/*.service")
	if err != nil || len(units) != 3 {
		t.Fatal(units, err)
	}
	for _, path := range units {
		text := page(t, strings.TrimPrefix(path, "../../"))
		for _, m := range regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/alys (.*)$`).FindAllStringSubmatch(text, -1) {
			lines[path] = strings.Fields(m[1])
		}
		for _, m := range regexp.MustCompile(`(?m)^Environment=([A-Z_]+)=`).FindAllStringSubmatch(text, -1) {
			variables = append(variables, m[1])
		}
	}
	compose := page(t, "deploy/compose/compose.yaml")
	for _, m := range regexp.MustCompile(`(?m)^ *(?:command|test): (\[.*\])$`).FindAllStringSubmatch(compose, -1) {
		var words []string
		if err := json.Unmarshal([]byte(m[1]), &words); err != nil {
			t.Fatal(m[1], err)
		}
		if words[0] == "CMD" {
			words = words[2:]
		}
		lines[m[1]] = words
	}
	readme := strings.ReplaceAll(page(t, "deploy/README.md"), "\\\n", " ")
	for _, m := range regexp.MustCompile("(?m)(?:^|`)alys ([a-z][^`\n]*)").FindAllStringSubmatch(readme, -1) {
		lines["README: "+m[1]] = strings.Fields(m[1])
	}
	return lines, variables
}

// The units, the compose file and their page call the program by commands and flags that
// it has, and set variables that it reads.
func TestDeployed(t *testing.T) {
	lines, variables := deployed(t)
	if len(lines) < 9 {
		t.Fatalf("%d command lines: %v", len(lines), lines)
	}
	app := newApp(io.Discard, io.Discard)
	for where, words := range lines {
		commands, flags := app.Commands, []string(nil)
		for i, word := range words {
			if name, ok := strings.CutPrefix(word, "--"); ok {
				if !slices.Contains(flags, name) {
					t.Errorf("%s: there is no flag %s", where, word)
				}
				continue
			}
			if i > 0 && strings.HasPrefix(words[i-1], "--") {
				continue // its value
			}
			at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
			if at < 0 {
				t.Errorf("%s: there is no command %s", where, word)
				break
			}
			flags, commands = flagNames(commands[at].Flags), commands[at].Subcommands
		}
	}
	known := make(map[string]bool)
	for _, s := range config.Settings() {
		known[s.Env()] = true
	}
	for _, name := range variables {
		if !known[name] {
			t.Errorf("the units set %s, which is no setting", name)
		}
	}
}

// The files that the units and the compose file name are those that alys federation init
// makes.
func TestDeployedFiles(t *testing.T) {
	made := []string{federation.ConfigName, federation.ChainName, federation.AuthorityName, federation.FederationName, federation.PassphraseName}
	for _, unit := range []string{"alys-member", "alys-full", "alys-signer"} {
		for _, m := range regexp.MustCompile(`/etc/alys/([a-z.]+)`).FindAllStringSubmatch(page(t, "deploy/systemd/"+unit+".service"), -1) {
			if !slices.Contains(made, m[1]) {
				t.Errorf("%s names /etc/alys/%s, which nothing makes", unit, m[1])
			}
		}
	}
	compose := page(t, "deploy/compose/compose.yaml")
	for _, m := range regexp.MustCompile(`\./fed/[a-z]+-\d/([a-z.]+)`).FindAllStringSubmatch(compose, -1) {
		if m[1] != federation.SecretsName && m[1] != federation.DataName {
			t.Errorf("the compose file names %s, which nothing makes", m[0])
		}
	}
	if _, err := os.Stat("../../deploy/compose/Dockerfile"); err != nil {
		t.Error(err)
	}
}
