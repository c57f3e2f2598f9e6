package vectors_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../testdata/legacy"

// files names the vector files, the number of lines the shipped ones have, and
// what checks a line.
var files = []struct {
	name  string
	lines int
	check func(line []byte) error
}{
	{"blocks", 61, checkBlock},
	{"gossip", 36, checkGossip},
	{"auxpow", 408, checkAuxPow},
	{"retarget", 2371, checkRetarget},
	{"compact", 1500, checkCompact},
	{"slots", 150, checkSlot},
	{"federations", 40, checkFederation},
	{"range", 7, checkRange},
	{"pegins", 116, checkPegIn},
	{"pegout_requests", 120, checkPegOutRequest},
	{"pegouts", 552, checkPegOut},
}

func TestVectors(t *testing.T) {
	dir := vectors.Dir(legacyDir)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-15s %8s %8s\n", "file", "lines", "passed")
	total, good := 0, 0
	for _, file := range files {
		lines, err := vectors.Lines(dir, file.name)
		if err != nil {
			t.Error(err)
		}
		passed := 0
		for i, line := range lines {
			if err := file.check(line); err != nil {
				t.Errorf("%s line %d: %v", file.name, i+1, err)
				continue
			}
			passed++
		}
		if dir == legacyDir && len(lines) != file.lines {
			t.Errorf("%s: %d lines, the shipped file has %d", file.name, len(lines), file.lines)
		}
		fmt.Fprintf(&table, "%-15s %8d %8d\n", file.name, len(lines), passed)
		total, good = total+len(lines), good+passed
	}
	fmt.Fprintf(&table, "%-15s %8d %8d", "total", total, good)
	for _, name := range notRun {
		fmt.Fprintf(&table, "\nnot run: %s", name)
	}
	t.Log(table.String())
	t.Log(verdictTable())
}

// verdictTable lists what legacy and our member say of each case of a proposal, what the
// rules read in each case of a deposit, and what they make of the requests.
func verdictTable() string {
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-40s %-26s %-26s %5s\n", "proposal", "legacy", "our member", "lines")
	for _, key := range slices.SortedFunc(maps.Keys(verdicts), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&table, "%-40s %-26s %-26s %5d\n", key[0], key[1], key[2], verdicts[key])
	}
	fmt.Fprintf(&table, "\n%-40s %-26s %-26s %5s\n", "deposit", "legacy", "strict", "lines")
	differ := 0
	for _, key := range slices.SortedFunc(maps.Keys(recognition), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&table, "%-40s %-26s %-26s %5d\n", key[0], key[1], key[2], recognition[key])
		if key[1] != key[2] {
			differ += recognition[key]
		}
	}
	fmt.Fprintf(&table, "%d deposits are read otherwise by the strict rule\n\n%-15s %-50s %5s\n", differ, "requests", "", "logs")
	for _, key := range slices.SortedFunc(maps.Keys(asked), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&table, "%-15s %-50s %5d\n", key[0], key[1], asked[key])
	}
	return table.String()
}

// notRun names the files of the legacy set that this lane does not check.
var notRun = []string{
	"bitcoin_core/: replayed by the tests of internal/edge/bitcoin",
	"rpc/: replayed by the tests of internal/edge/rpc",
}

// read unmarshals a line into a structure that must know all of its members, so
// that no member goes unchecked.
func read(line []byte, to any) error {
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// octets is a hex text in JSON, with or without 0x.
type octets []byte

func (o *octets) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	*o = b
	return err
}

// equal compares a member as computed with the vector's.
func equal(member string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s is %v, the vector has %v", member, brief(got), brief(want))
}

func brief(v any) string {
	text := fmt.Sprintf("%v", v)
	if b, ok := v.([]byte); ok {
		text = hex.EncodeToString(b)
	}
	if len(text) > 400 {
		text = text[:400] + "..."
	}
	return text
}

// sameJSON compares two JSON texts as parsed values, numbers by their digits.
func sameJSON(member string, got, want []byte) error {
	parse := func(data []byte) (v any, err error) {
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		err = d.Decode(&v)
		return v, err
	}
	a, err := parse(got)
	if err != nil {
		return fmt.Errorf("%s: %w", member, err)
	}
	b, err := parse(want)
	if err != nil {
		return fmt.Errorf("%s: %w", member, err)
	}
	return equal(member, a, b)
}
