package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/AnduroProject/alys-go/journal"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"alys": main})
}

// The scripts of testdata/script are the tests of the command line: they run
// the program as a process, with its real files.
func TestScripts(t *testing.T) { runScripts(t, "testdata/script") }

func runScripts(t *testing.T, dir string) {
	chains, err := filepath.Abs("../../testdata/legacy/chains")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CHAINS", chains)
			env.Values[heldKey{}] = new([]*journal.Journal)
			// Sockets need short paths, and settings of the machine must not count.
			short, err := os.MkdirTemp("", "alys")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = os.RemoveAll(short) })
			env.Setenv("D", filepath.Join(short, "d"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":      awaitCommand,
			"awaitpeg":   awaitPegCommand,
			"awaithalt":  awaitHaltCommand,
			"coins":      coinsCommand,
			"buildnext":  buildNextCommand,
			"code":       codeCommand,
			"flipchunk":  flipChunkCommand,
			"damagefile": damageFileCommand,
			"copytree":   copytreeCommand,
			"damage":     damageCommand,
			"glob":       globCommand,
			"incident":   incidentCommand,
			"interrupt":  interruptCommand,
			"roots":      rootsCommand,
			"statement":  statementCommand,
			"transfer":   transferCommand,
			"unlock":     unlockCommand,
			"killed":     killedCommand,
			"lock":       lockCommand,
			"replace":    replaceCommand,
			"same":       sameCommand,
		},
	})
}
