package archtest

import (
	"fmt"
	"strings"
	"testing"
)

// layer is a group of directories that import only lower layers.
type layer struct {
	dirs []string // a directory stands for everything below it
	why  string
}

// layers go from the bottom to the top. Packages of one directory entry may
// import each other; two entries of the same layer may not. The longest entry
// that matches a directory decides.
var layers = []layer{
	{[]string{"internal/protocol", "internal/faultfs"}, "pure rules of the protocol"},
	{[]string{contractDir, "journal", "snapshot", "internal/logging"}, "the actor contract, what is stored, the log"},
	{[]string{coresDir}, "one deterministic core each"},
	{[]string{runtimeDir, "internal/memo", "internal/rangecheck", "projections"}, "run the cores and read what they publish"},
	{[]string{"replay", "internal/edge", "internal/config", "internal/progress", "internal/health", "internal/metrics", "internal/backup", "internal/scrub", "internal/eventjson"}, "re-run, and talk to the outside"},
	{[]string{"migration", "internal/restart", "internal/cores", "internal/federation", "internal/settle"}, "legacy in and out, back to the journal's head, and beginning at another's"},
	{[]string{"internal/node"}, "the composition root"},
	{[]string{"internal/sim", "internal/devnet"}, "many nodes, in one process or on one machine"},
	{[]string{"cmd", "internal/bench", "internal/archtest"}, "programs and rules"},
}

const (
	contractDir = "actors/core"
	runtimeDir  = "actors"
	coresDir    = "actors/*" // every directory of actors except the contract
)

// refused are imports that point downwards and are wrong all the same.
var refused = []struct{ from, to, why string }{
	{runtimeDir, coresDir, "the runtime knows nothing of the protocol's actors"},
	{"internal/edge", runtimeDir, "an edge turns the outside into messages; the node wires it to the runtime"},
	{"internal/edge", coresDir, "an edge turns the outside into messages; the node wires it to the runtime"},
	{"internal/edge", contractDir, "an edge turns the outside into messages; the node wires it to the runtime"},
	{coresDir, "journal", "a core knows nothing of disks"},
	{coresDir, "snapshot", "a core knows nothing of disks"},
	{"projections", runtimeDir, "a projection reads facts and never calls an actor"},
	{"projections", coresDir, "a projection reads facts and never calls an actor"},
}

// siblings are directories below an entry that may not import each other.
var siblings = []string{coresDir, "internal/edge"}

// testSupport are packages that only test files and the simulators may import.
var testSupport = []string{"internal/protocol/vectors", "internal/archtest", "internal/faultfs", "internal/edge/bitcoin/nodetest", "internal/edge/p2p/legacytest"}

// area finds the entry of layers that a directory belongs to.
func area(dir string) (entry string, rank int, ok bool) {
	rest, under := strings.CutPrefix(dir, "actors/")
	switch {
	case dir == runtimeDir:
		entry = runtimeDir
	case within(dir, contractDir):
		entry = contractDir
	case under && rest != "":
		entry = coresDir
	default:
		for _, l := range layers {
			for _, d := range l.dirs {
				if within(dir, d) && len(d) > len(entry) {
					entry = d
				}
			}
		}
	}
	for i, l := range layers {
		for _, d := range l.dirs {
			if d == entry {
				return entry, i, true
			}
		}
	}
	return "", 0, false
}

// checkDirection judges the imports of one non-test file.
func checkDirection(s *source) []finding {
	var out []finding
	from, rank, ok := area(s.dir)
	if !ok {
		return []finding{{s.pos(s.file.Package), "layer", fmt.Sprintf("directory %s is in no layer: add it to layers in layers_test.go", s.dir)}}
	}
	for _, spec := range s.file.Imports {
		dir := own(importPath(spec))
		if dir == "" {
			continue
		}
		if why := wrongWay(s.dir, from, rank, dir); why != "" {
			out = append(out, finding{s.pos(spec.Pos()), "direction", fmt.Sprintf("%s imports %s: %s", s.dir, dir, why)})
		}
	}
	return out
}

// wrongWay says why a directory may not import another, "" when it may.
func wrongWay(dir, from string, rank int, target string) string {
	to, toRank, ok := area(target)
	if !ok {
		return "it is in no layer"
	}
	for _, support := range testSupport {
		if within(target, support) && !within(dir, "internal/sim") {
			return "it is for test files and simulators only"
		}
	}
	if from == to {
		for _, entry := range siblings {
			if from == entry && target != dir && !within(dir, target) && !within(target, dir) {
				return "packages of " + entry + " do not know each other"
			}
		}
		if from == "cmd" {
			return "a program is no library"
		}
		return ""
	}
	if toRank >= rank {
		return fmt.Sprintf("imports point downwards, and %s (%s) is not below %s (%s)", to, layers[toRank].why, from, layers[rank].why)
	}
	for _, r := range refused {
		if r.from == from && r.to == to {
			return r.why
		}
	}
	return ""
}

func TestImportDirections(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test {
			report(t, checkDirection(s))
		}
	}
}

func TestImportDirectionsFire(t *testing.T) {
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"internal/protocol/block", "internal/protocol/fault", false},
		{"internal/protocol/block", "journal", true},
		{"internal/protocol/block", "actors/core", true},
		{"internal/protocol/block", "internal/protocol/vectors", true},
		{"journal", "internal/protocol/fault", false},
		{"journal", "snapshot", true},
		{"snapshot", "actors", true},
		{"actors/core", "internal/protocol/record", false},
		{"actors/core", "journal", true},
		{"actors/chain", "actors/core", false},
		{"actors/chain", "internal/protocol/block", false},
		{"actors/chain", "actors/engine", true},
		{"actors/chain", "actors", true},
		{"actors/chain", "journal", true},
		{"actors/chain", "internal/memo", true},
		{"actors", "journal", false},
		{"actors", "actors/core", false},
		{"actors", "actors/chain", true},
		{"actors", "replay", true},
		{"projections/peg", "journal", false},
		{"projections/peg", "actors", true},
		{"replay", "actors", false},
		{"replay", "internal/node", true},
		{"internal/edge/rpc", "projections", false},
		{"internal/edge/rpc", "actors", true},
		{"internal/edge/rpc", "internal/edge/engine", true},
		{"internal/edge/rpc/codec", "internal/edge/rpc", false},
		{"internal/node", "internal/edge/rpc", false},
		{"internal/node", "cmd/alys", true},
		{"cmd/alys", "internal/node", false},
		{"cmd/alys", "cmd/other", true},
		{"tools", "journal", true},
	} {
		text := fmt.Sprintf("package p\n\nimport _ %q\n", modulePath+"/"+c.to)
		found := checkDirection(sample(t, c.from+"/p.go", text))
		if bad := len(found) > 0; bad != c.bad {
			t.Errorf("%s imports %s: refused %t, want %t: %v", c.from, c.to, bad, c.bad, found)
		}
	}
}
