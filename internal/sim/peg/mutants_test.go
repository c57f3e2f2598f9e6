package peg_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a deliberate bug: one text of one file replaced by another. A file of
// testdata/mutants has a line that says what is wrong, the file's path, and the texts.
type mutant struct {
	name, why, file, before, after string
}

const root = "../../.."

func readMutants(t *testing.T) (list []mutant) {
	t.Helper()
	files, err := filepath.Glob("testdata/mutants/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, ok1 := strings.Cut(string(text), "-- before --\n")
		before, after, ok2 := strings.Cut(rest, "-- after --\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		if !ok1 || !ok2 || len(lines) != 2 {
			t.Fatalf("%s: want a line of why, a path, -- before -- and -- after --", file)
		}
		list = append(list, mutant{strings.TrimSuffix(filepath.Base(file), ".txt"), lines[0], lines[1], before, after})
	}
	return list
}

// TestMutants: the properties catch every bug of the list. Without ALYS_PEG_MUTANTS, which
// is how many seeds each may take, it only checks that the bugs can still be made.
func TestMutants(t *testing.T) {
	list := readMutants(t)
	if len(list) < 10 {
		t.Fatalf("%d deliberate bugs, want ten or more", len(list))
	}
	seeds := os.Getenv("ALYS_PEG_MUTANTS")
	for _, m := range list {
		t.Run(m.name, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join(root, m.file))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(source, []byte(m.before)); n != 1 {
				t.Fatalf("the text before is %d times in %s: the code has moved on, write the bug anew", n, m.file)
			}
			if seeds != "" {
				m.hunt(t, bytes.Replace(source, []byte(m.before), []byte(m.after), 1), seeds)
			}
		})
	}
}

// hunt builds this package's test with the bug and expects TestSearch to fail.
func (m mutant) hunt(t *testing.T, code []byte, seeds string) {
	dir := t.TempDir()
	changed, program, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "peg.test"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{changed: code, overlay: replace} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("with the bug it does not build: %v\n%s", err, out)
	}
	search := exec.Command(program, "-test.run=^TestSearch$", "-test.timeout=20m")
	search.Env = append(os.Environ(), "ALYS_PEG_SEEDS="+seeds, "ALYS_PEG_FIRST=0")
	out, err := search.CombinedOutput()
	_, caught, found := strings.Cut(string(out), "caught at ")
	if err == nil || !found {
		t.Fatalf("not caught in %s seeds: %s (%v)\n%s", seeds, m.why, err, out)
	}
	caught, _, _ = strings.Cut(caught, "\n")
	t.Logf("%s: caught at %s", m.why, caught)
}
