package migration

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Actual is what a node has, to be compared with what is expected of it.
type Actual struct {
	Head        message.BlockID
	HeadPayload common.Hash
	StateRoot   common.Hash
	LatestPow   message.BlockID
	Finalized   *message.BlockID // nil when the node has not said
	Fees        *big.Int         // accumulator at the head in wei, nil when not known
	Records     Records          // of the store the node was made from, nil when there was none
	// Balance returns an account's balance in wei at the head. nil: balances are
	// not compared.
	Balance func(common.Address) (*big.Int, error)
}

// Actual returns what the import led to. balance asks the node's execution layer
// at the head; nil leaves balances out of a comparison.
func (r *Result) Actual(balance func(common.Address) (*big.Int, error)) Actual {
	return Actual{
		Head: r.Head, HeadPayload: r.HeadPayload, StateRoot: r.StateRoot, LatestPow: r.LatestPow,
		Finalized: r.Finalized, Fees: r.Fees, Records: r.Records, Balance: balance,
	}
}

// Row is one line of a comparison.
type Row struct {
	Field    string `json:"field"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Equal    bool   `json:"equal"`
	// Compared is false for what this version does not rebuild: neither equal nor
	// different.
	Compared bool `json:"compared"`
}

// notCompared stands in Got of a row that was not compared.
const notCompared = "not compared"

// Compare lists every member of want beside what the node has, members in the
// order of the file, accounts and columns ascending.
func Compare(got Actual, want *Expected) []Row {
	c := new(comparison)
	c.hash("head.root", want.Head.Root, got.Head.Root)
	c.number("head.height", want.Head.Height, got.Head.Number)
	c.hash("head.payload_hash", want.Head.PayloadHash, got.HeadPayload)
	c.hash("head.state_root", want.Head.StateRoot, got.StateRoot)
	c.hash("latest_pow_block.root", want.LatestPow.Root, got.LatestPow.Root)
	c.number("latest_pow_block.height", want.LatestPow.Height, got.LatestPow.Number)
	root, height := "not known", "not known"
	if f := got.Finalized; f != nil {
		root, height = f.Root.Hex(), strconv.FormatUint(f.Number, 10)
	}
	c.add("finalized.root", want.Finalized.Root.Hex(), root)
	c.add("finalized.height", strconv.FormatUint(want.Finalized.Height, 10), height)
	c.wei("accumulated_fees_wei_at_head", want.Fees, got.Fees)
	c.records(want.Records, got.Records)
	for _, b := range want.Balances {
		field := "balances_wei." + strings.ToLower(b.Account.Hex())
		if got.Balance == nil {
			c.skip(field, b.Wei.String())
			continue
		}
		wei, err := got.Balance(b.Account)
		if err != nil {
			c.add(field, b.Wei.String(), "error: "+err.Error())
			continue
		}
		c.wei(field, b.Wei, wei)
	}
	for _, name := range slices.Sorted(maps.Keys(want.Other)) {
		c.skip(name, compact(want.Other[name]))
	}
	return c.rows
}

// Equal reports whether no compared row differs.
func Equal(rows []Row) bool {
	return !slices.ContainsFunc(rows, func(r Row) bool { return r.Compared && !r.Equal })
}

type comparison struct{ rows []Row }

func (c *comparison) add(field, want, got string) {
	c.rows = append(c.rows, Row{Field: field, Expected: want, Got: got, Equal: want == got, Compared: true})
}

func (c *comparison) skip(field, want string) {
	c.rows = append(c.rows, Row{Field: field, Expected: want, Got: notCompared})
}

func (c *comparison) hash(field string, want, got common.Hash) { c.add(field, want.Hex(), got.Hex()) }

func (c *comparison) number(field string, want, got uint64) {
	c.add(field, strconv.FormatUint(want, 10), strconv.FormatUint(got, 10))
}

func (c *comparison) wei(field string, want, got *big.Int) {
	if got == nil {
		c.add(field, want.String(), "not known")
		return
	}
	c.add(field, want.String(), got.String())
}

// records compares the counts of the columns. Without a store there is nothing
// that has columns.
func (c *comparison) records(want, got Records) {
	names := make(Records, len(want))
	maps.Copy(names, want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		expected := strconv.FormatUint(want[name], 10)
		if got == nil {
			c.skip("records."+name, expected)
			continue
		}
		c.add("records."+name, expected, strconv.FormatUint(got[name], 10))
	}
}

// compact returns JSON without white space.
func compact(raw json.RawMessage) string {
	data, err := json.Marshal(raw)
	if err != nil {
		return string(raw)
	}
	return string(data)
}

// WriteTable writes rows as an aligned table with a last line that sums up.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIELD\tEXPECTED\tGOT\t")
	equal, different, skipped := 0, 0, 0
	for _, r := range rows {
		verdict := "equal"
		switch {
		case !r.Compared:
			verdict = ""
			skipped++
		case r.Equal:
			equal++
		default:
			verdict = "DIFFERENT"
			different++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.Field, r.Expected, r.Got, verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d equal, %d different, %d not compared\n", equal, different, skipped)
	return err
}

// WriteJSON writes rows as one JSON object: "equal" is the verdict of [Equal].
func WriteJSON(w io.Writer, rows []Row) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Equal bool  `json:"equal"`
		Rows  []Row `json:"rows"`
	}{Equal(rows), rows})
}
