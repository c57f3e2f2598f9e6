package journal

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

const tableFile = "../docs/decisions/0018-journal-recovery.md"

// tableRows returns the rows of the table of that many columns in the document.
func tableRows(t *testing.T, columns int, header string) (rows [][]string) {
	f, err := os.Open(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		cells := strings.Split(s.Text(), "|")
		if len(cells) != columns+2 {
			continue
		}
		cells = cells[1 : columns+1]
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] != header && !strings.HasPrefix(cells[0], "-") {
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatal("no table found")
	}
	return rows
}

func recoveryRows(t *testing.T) [][]string { return tableRows(t, 9, "Database") }

func matches(cell, value string) bool {
	if cell == "any" {
		return true
	}
	for _, v := range strings.Split(cell, ", ") {
		if v == value {
			return true
		}
	}
	return false
}

// values are all that each finding can be, in the order of the table.
var values = [7][]string{
	{isAbsent, isDamaged, isNewer, isEmpty, hasEvents},
	{isAbsent, isBad, inConflict, isNewer, isForeign, isOK},
	{isNone, isEqual, isBehind, isAhead},
	{isWhole, isTorn},
	{isOK, isBroken, isNewer},
	{isOK, isMissing, isDamaged},
	{isNone, isAbsent, isDamaged, isBehind, isEqual, isAhead, isOther},
}

func (f Findings) list() [7]string {
	return [7]string{f.Database, f.Head, f.Position, f.Tail, f.Chain, f.Content, f.Index}
}

// rowOf returns the rows that match.
func rowOf(rows [][]string, f Findings) (found []int) {
	list := f.list()
next:
	for i, r := range rows {
		for k, v := range list {
			if !matches(r[k], v) {
				continue next
			}
		}
		found = append(found, i)
	}
	return found
}

// impossible says why findings cannot occur together, "" when they can. The
// list is that of the document.
func impossible(f Findings) string {
	read := f.Database == isEmpty || f.Database == hasEvents
	switch {
	case !read && (f.Position != isNone || f.Chain != isOK || f.Content != isOK):
		return "nothing was read to compare"
	case f.Database == isAbsent && f.Tail == isTorn:
		return "there is no log"
	case !read && f.Head == isForeign:
		return "only a database says whose journal it is"
	case read && (f.Head == isOK) != (f.Position != isNone):
		return "a position belongs to a good record of this journal"
	case f.Database == isEmpty && (f.Content != isOK || f.Position == isBehind):
		return "an empty journal names nothing and is behind nothing"
	case f.Chain != isOK && f.Content != isOK:
		return "contents are looked at where the links hold"
	case f.Database != hasEvents && (f.Index == isBehind || f.Index == isOther):
		return "there is no event for the index to be behind of or to differ from"
	case (f.Database == isDamaged || f.Database == isNewer) && (f.Index == isEqual || f.Index == isAhead),
		read && f.Index == isNone, f.Database == isAbsent && f.Index == isNone:
		return "the index is compared exactly with a database that was read, or is absent"
	default:
		return ""
	}
}

// TestDecideFollowsTable goes through every combination of findings.
func TestDecideFollowsTable(t *testing.T) {
	rows := recoveryRows(t)
	used := make([]bool, len(rows))
	all, possible := 0, 0
	var walk func(prefix []string)
	walk = func(prefix []string) {
		if len(prefix) < len(values) {
			for _, v := range values[len(prefix)] {
				walk(append(prefix[:len(prefix):len(prefix)], v))
			}
			return
		}
		f := Findings{prefix[0], prefix[1], prefix[2], prefix[3], prefix[4], prefix[5], prefix[6]}
		found := rowOf(rows, f)
		if len(found) != 1 {
			t.Fatalf("%+v: %d rows match", f, len(found))
		}
		if got := decide(f).String(); got != rows[found[0]][7] {
			t.Fatalf("%+v: %s, the table says %s", f, got, rows[found[0]][7])
		}
		all++
		if impossible(f) == "" {
			possible++
			used[found[0]] = true
		}
	}
	walk(nil)
	for i, r := range rows {
		if !used[i] {
			t.Errorf("row %v matches nothing that can be", r)
		}
	}
	t.Logf("%d combinations, %d of them possible, %d rows", all, possible, len(rows))
}

// TestTableValuesAreKnown finds a misspelt cell, which would match nothing.
func TestTableValuesAreKnown(t *testing.T) {
	for _, r := range recoveryRows(t) {
		for k, known := range values {
			for _, v := range strings.Split(r[k], ", ") {
				if v != "any" && !matches(strings.Join(known, ", "), v) {
					t.Errorf("row %v: %q is no value of column %d", r, v, k)
				}
			}
		}
	}
}

// TestSlotsFollowTable goes through every combination of slots, as bytes.
func TestSlotsFollowTable(t *testing.T) {
	id := ID{4}
	base := record{id, Head{Sequence: 20, Hash: Hash{20}}}
	at := func(r record) []byte { return encodeSlot(r) }
	first := map[string][]byte{"torn": make([]byte, headSlotSize), "newer": newerSlot(base), "record": at(base)}
	second := map[string][]byte{
		"torn": make([]byte, headSlotSize), "newer": newerSlot(base), "record": at(base), "same": at(base),
		"older":      at(record{id, Head{Sequence: 19, Hash: Hash{19}}}),
		"later":      at(record{id, Head{Sequence: 21, Hash: Hash{21}}}),
		"other hash": at(record{id, Head{Sequence: 20, Hash: Hash{99}}}), "other journal": at(record{ID{5}, base.head}),
	}
	rows := tableRows(t, 3, "First slot")
	used := make([]bool, len(rows))
	for a, left := range first {
		for b, right := range second {
			// How the second record relates to the first needs a first record.
			alone := b == "torn" || b == "newer"
			if a == "record" && b == "record" || a != "record" && !alone && b != "record" {
				continue
			}
			file := make([]byte, headFileSize)
			copy(file, left)
			copy(file[headPage:], right)
			read := judgeSlots(file)
			got := read.state.String()
			if read.state == headOK {
				got = fmt.Sprintf("ok, %s", []string{"first", "second"}[read.slot])
			}
			matched := 0
			for i, r := range rows {
				if matches(r[0], a) && matches(r[1], b) {
					matched++
					used[i] = true
					if r[2] != got {
						t.Errorf("%s, %s: %s, the table says %s", a, b, got, r[2])
					}
				}
			}
			if matched != 1 {
				t.Errorf("%s, %s: %d rows match", a, b, matched)
			}
		}
	}
	for i, r := range rows {
		if !used[i] && r[0] != "no file" { // that one is no pair of slots
			t.Errorf("row %v matches nothing", r)
		}
	}
}
