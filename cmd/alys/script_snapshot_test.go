package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/AnduroProject/alys-go/internal/node"
)

// buildNextCommand builds the program of the next behaviour under a name on the
// script's path:
//
//	buildnext next
func buildNextCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: buildnext NAME")
	}
	bin := ts.MkAbs("bin")
	ts.Check(os.MkdirAll(bin, 0o755))
	build := exec.Command("go", "build", "-tags", "nextbehaviour", "-o", filepath.Join(bin, args[0]), ".")
	output, err := build.CombinedOutput()
	ts.Logf("%s", output)
	ts.Check(err)
	ts.Setenv("PATH", bin+string(filepath.ListSeparator)+ts.Getenv("PATH"))
}

// flipChunkCommand changes one bit in the largest chunk of a data directory's snapshots:
//
//	flipchunk $D
func flipChunkCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flipchunk DIR")
	}
	chunks, err := filepath.Glob(filepath.Join(node.SnapshotDir(ts.MkAbs(args[0])), "chunks", "*.chunk"))
	ts.Check(err)
	if len(chunks) == 0 {
		ts.Fatalf("there is no chunk")
	}
	largest := slices.MaxFunc(chunks, func(a, b string) int { return int(sizeOf(ts, a) - sizeOf(ts, b)) })
	data, err := os.ReadFile(largest)
	ts.Check(err)
	data[len(data)/2] ^= 4
	ts.Check(os.WriteFile(largest, data, 0o644))
}

func sizeOf(ts *testscript.TestScript, path string) int64 {
	info, err := os.Stat(path)
	ts.Check(err)
	return info.Size()
}

// damageFileCommand changes one bit in the middle of a file:
//
//	damagefile FILE
func damageFileCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damagefile FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[len(data)/2] ^= 4
	ts.Check(os.WriteFile(path, data, 0o644))
}
