package journal

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// tableRow is a row of the recovery table in its document.
type tableRow struct{ database, head, position, chain, decision string }

func readTable(t *testing.T) []tableRow {
	f, err := os.Open("../docs/decisions/0011-journal-head-file.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []tableRow
	for s := bufio.NewScanner(f); s.Scan(); {
		cells := strings.Split(s.Text(), "|")
		if len(cells) != 8 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[1] == "Database" || strings.HasPrefix(cells[1], "-") {
			continue
		}
		rows = append(rows, tableRow{cells[1], cells[2], cells[3], cells[4], cells[5]})
	}
	if len(rows) == 0 {
		t.Fatal("no table found")
	}
	return rows
}

func matches(cell, value string) bool { return cell == "any" || cell == value }

// TestDecideFollowsTable goes through every combination of findings.
func TestDecideFollowsTable(t *testing.T) {
	rows := readTable(t)
	used := make([]bool, len(rows))
	heads := map[string]findings{
		"absent": {head: headAbsent}, "bad": {head: headBad}, "conflict": {head: headConflict},
		"newer": {head: headNewer}, "ok": {head: headOK}, "foreign": {head: headOK, foreign: true},
	}
	for _, database := range []string{"absent", "empty", "events"} {
		for head, f := range heads {
			for p, where := range []string{"equal", "behind", "ahead"} {
				for c, chain := range []string{"ok", "broken"} {
					f := f
					f.database, f.empty = database != "absent", database != "events"
					f.position, f.chain = position(p), chainState(c)
					got := decide(f).String()
					matched := 0
					for i, r := range rows {
						if matches(r.database, database) && matches(r.head, head) && matches(r.position, where) && matches(r.chain, chain) {
							matched++
							used[i] = true
							if r.decision != got {
								t.Errorf("%s, head %s, %s, chain %s: %s, the table says %s", database, head, where, chain, got, r.decision)
							}
						}
					}
					if matched != 1 {
						t.Errorf("%s, head %s, %s, chain %s: %d rows match", database, head, where, chain, matched)
					}
				}
			}
		}
	}
	for i, r := range rows {
		if !used[i] {
			t.Errorf("row %v matches nothing", r)
		}
	}
}
