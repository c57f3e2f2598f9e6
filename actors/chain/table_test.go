package chain_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/actors/sync"
)

// TestTransitionTables compares each core's messages with the table in its
// package comment, so that neither can change alone.
func TestTransitionTables(t *testing.T) {
	for dir, c := range map[string]core.Core{
		"../chain": chain.New(nil), "../engine": engine.New(), "../miner": miner.New(), "../supervisor": supervisor.New(), "../sync": sync.New(), "../network": network.New(""),
	} {
		t.Run(string(c.ID()), func(t *testing.T) {
			var handled []string
			for _, m := range c.Messages() {
				handled = append(handled, m.Type())
			}
			documented := table(t, dir)
			for _, name := range handled {
				if !slices.Contains(documented, name) {
					t.Errorf("%s is handled and not in the table of %s", name, dir)
				}
			}
			for _, name := range documented {
				if !slices.Contains(handled, name) {
					t.Errorf("%s is in the table of %s and not handled", name, dir)
				}
			}
		})
	}
}

// table returns the first column of the table headed "message" in a package comment.
func table(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		_, rows, _ := strings.Cut(file.Doc.Text(), "\tmessage ")
		for _, row := range strings.Split(rows, "\n")[1:] {
			if !strings.HasPrefix(row, "\t") {
				break
			}
			names = append(names, strings.Fields(row)[0])
		}
	}
	if len(names) == 0 {
		t.Fatalf("no table in the package comment of %s", dir)
	}
	return names
}
