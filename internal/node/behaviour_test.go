package node_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal"
)

var update = flag.Bool("update", false, "rewrite testdata/behaviour.txt")

const behaviourFile = "testdata/behaviour.txt"

// The cores' messages and states are those that this behaviour had when it was
// raised. Whoever changes them raises the behaviour and adds a migration, unless
// every journal of this behaviour replays as before, and then runs -update.
func TestBehaviourIsRaised(t *testing.T) {
	m, err := node.NewMachine(journal.ID{}, memo.New())
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("behaviour %d\nfingerprint %x\n\n%s", node.Behaviour, m.Fingerprint(node.Behaviour), m.Schema())
	if *update {
		if err := os.WriteFile(behaviourFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(behaviourFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) == want {
		return
	}
	before, after := strings.Split(string(have), "\n"), strings.Split(want, "\n")
	for i := range min(len(before), len(after)) {
		if i != 1 && before[i] != after[i] {
			t.Errorf("line %d: %q is now %q", i+1, before[i], after[i])
			break
		}
	}
	t.Errorf("the cores' messages or states are not those of behaviour %d as it was: raise the behaviour in cores.go and add a migration; or, if every journal of this behaviour replays as before, go test ./internal/node -run Behaviour -update", node.Behaviour)
}
