package conduct_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
)

var update = flag.Bool("update", false, "write the table of docs/peer-scores.md anew")

const page = "../../../docs/peer-scores.md"

var rows = regexp.MustCompile(`(?s)(\| Kind \| Ours.*?\|\n\|---[^\n]*\n).*?\n\n`)

func points(thousandths int64) string {
	return strings.Replace(strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%+d.%03d", thousandths/1000, max(thousandths, -thousandths)%1000), "0"), "."), "-", "−", 1)
}

// The page says what the program does.
func TestPage(t *testing.T) {
	var b strings.Builder
	for _, w := range conduct.Weights() {
		floor := "–"
		if w.Floor != conduct.Lowest {
			floor = points(w.Floor)
		}
		ours, legacy := points(w.Ours), points(w.Legacy)
		if w.Legacy < 0 && w.Legacy > -1000 {
			legacy = "−0" + strings.TrimPrefix(legacy, "+0")
		}
		if w.Ours < 0 && w.Ours > -1000 {
			ours = "−0" + strings.TrimPrefix(ours, "+0")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", w.Kind, ours, legacy, floor, w.Why)
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := rows.ReplaceAll(have, []byte("${1}"+b.String()+"\n"))
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(have) != string(want) {
		t.Error("docs/peer-scores.md differs from the weights: go test ./internal/protocol/conduct -update")
	}
}
