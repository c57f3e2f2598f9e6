package sim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/sim"
)

// A signature that leaves before its turn is on disk is seen after the next power
// cut that takes the turn away.
func TestEarlyRelease(t *testing.T) {
	for seed := range uint64(60) {
		_, err := sim.Run(sim.Options{Seed: seed, Members: 3, Finality: 1, EarlyRelease: true})
		var v *sim.Violation
		if errors.As(err, &v) && v.Oracle == "release" {
			return
		}
	}
	t.Error("no oracle saw it in 60 seeds")
}

// mutants are deliberate bugs of the cores: a text of a file that becomes another,
// and the oracle that sees it.
var mutants = []struct{ name, file, before, after, oracle string }{
	{"lock-ignored", "actors/chain/policy.go", "	return x.lockedOn(x.Entry(e.Parent), e.Carrier.RangeEnd)\n", "	return \"\"\n", "lock"},
	{"approvals-not-kept", "actors/chain/approve.go", "	if e := x.Entry(m.Root); e != nil && e.Status != Invalid && !e.Approvals.Has(int(a.Authority)) {\n", "	if e := x.Entry(m.Root); e == nil {\n", "progress"},
	{"gate-ignored", "actors/chain/synced.go", "	case !x.Gate.Synced:\n", "	case false:\n", "production"},
	{"synced-by-one-word", "actors/chain/synced.go", "	if p.agree < quorum && ", "	if p.agree < 2 && ", "production"},
	{"listening-skipped", "actors/chain/synced.go", "	if x.Gate.Listen > 0 && x.slotAt(x.Time) <= x.Gate.Listen {\n", "	if x.Gate.Listen > 1<<60 {\n", "listening"},
	{"two-approvals-a-slot", "actors/chain/policy.go", "	{\"one-per-slot\", (*turn).slotTaken},\n", "", "double-signature"},
}

// TestMutants: the oracles see every bug of the list. Without ALYS_SIM_MUTANTS, which
// is how many seeds each may take, it only checks that the bugs can still be made.
func TestMutants(t *testing.T) {
	seeds := os.Getenv("ALYS_SIM_MUTANTS")
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			original, err := filepath.Abs(filepath.Join("../..", m.file))
			if err != nil {
				t.Fatal(err)
			}
			source, err := os.ReadFile(original)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(source, []byte(m.before)); n != 1 {
				t.Fatalf("the text before is %d times in %s: the code has moved on, write the bug anew", n, m.file)
			}
			if seeds != "" {
				hunt(t, original, bytes.Replace(source, []byte(m.before), []byte(m.after), 1), m.oracle, seeds)
			}
		})
	}
}

// hunt builds this package's test with the changed file and expects the oracle.
func hunt(t *testing.T, original string, code []byte, oracle, seeds string) {
	dir := t.TempDir()
	changed, program, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "sim.test"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{changed: code, overlay: list} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("with the bug it does not build: %v\n%s", err, out)
	}
	search := exec.Command(program, "-test.run=^TestFederation$", "-test.timeout=20m")
	search.Env = append(os.Environ(), seedsEnv+"="+seeds)
	out, err := search.CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("oracle %s at", oracle)) {
		t.Fatalf("the oracle %s does not see it in %s seeds (%v)", oracle, seeds, err)
	}
}
