package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// planResult is what `alys journal plan --json` prints.
type planResult struct {
	Dir      string           `json:"dir"`
	Journal  string           `json:"journal,omitempty"`
	Decision string           `json:"decision"`
	Opens    bool             `json:"opens"`
	Does     string           `json:"does"`
	Findings journal.Findings `json:"findings"`
	Slots    [2]string        `json:"head_slots"`
	Record   headResult       `json:"record"`
	Last     headResult       `json:"last"`
	Index    headResult       `json:"index"`
	Checked  uint64           `json:"links_checked_from"`
	Contents uint64           `json:"contents_checked"`
	Pending  *incidentResult  `json:"pending_incident,omitempty"`
	Warnings []string         `json:"warnings"`
	Refusal  string           `json:"refusal,omitempty"`
	Grade    string           `json:"refusal_grade,omitempty"`
}

type headResult struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash,omitempty"`
}

type incidentResult struct {
	Number uint32     `json:"number"`
	Kind   string     `json:"kind"`
	After  uint64     `json:"after"`
	Before headResult `json:"before"`
	TimeMs int64      `json:"time_ms"`
	Text   string     `json:"text"`
}

func journalPlanCommand() *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "print what opening the journal would do, and do nothing",
		Description: `Reads head file, database and index, and prints the row of the recovery table
that they are: what was found, what is decided, and why. No file is changed.
Exit code 0 when the journal opens, 3 when it is damaged or acknowledged events
are lost, 1 when a newer program must judge it, 2 while a node runs on it.

Examples:
  alys journal plan --data-dir /var/lib/alys
  alys journal plan --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: journalPlan,
	}
}

func journalPlan(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	p, err := journal.Inspect(journal.Options{Dir: node.JournalDir(s.dataDir), Archive: s.archive, CacheBytes: 32 << 20, Logger: s.log})
	if err != nil {
		return err
	}
	r := planOf(p)
	if err := outcome(cc, r, func(w io.Writer) { printPlan(w, r) }); err != nil {
		return err
	}
	return p.Refusal
}

func planOf(p journal.Plan) planResult {
	r := planResult{
		Dir: p.Dir, Decision: p.Decision, Opens: p.Refusal == nil, Does: p.Does, Findings: p.Findings, Slots: p.Slots,
		Record: headOf(p.Record), Last: headOf(p.Last), Index: headOf(p.Index), Checked: p.Checked, Contents: p.Contents,
		Warnings: append([]string{}, p.Warnings...),
	}
	if p.ID != (journal.ID{}) {
		r.Journal = p.ID.String()
	}
	if i := p.Pending; i != nil {
		r.Pending = &incidentResult{Number: i.Number, Kind: string(i.Kind), After: i.After, Before: headOf(i.Before), TimeMs: i.Time, Text: i.Text}
	}
	if p.Refusal != nil {
		r.Refusal, r.Grade = describe(p.Refusal), fault.Of(p.Refusal).String()
	}
	return r
}

func headOf(h journal.Head) headResult {
	if h == (journal.Head{}) {
		return headResult{}
	}
	return headResult{Sequence: h.Sequence, Hash: h.Hash.String()}
}

func printPlan(w io.Writer, r planResult) {
	printf(w, "journal   %s\n", r.Dir)
	if r.Journal != "" {
		printf(w, "identity  %s\n", r.Journal)
	}
	f := r.Findings
	printf(w, "found     database %s, head file %s, record %s, log %s, chain %s, content %s, index %s\n",
		f.Database, f.Head, f.Position, f.Tail, f.Chain, f.Content, f.Index)
	for i, slot := range r.Slots {
		printf(w, "slot %d    %s\n", i+1, slot)
	}
	printf(w, "last      event %d %s, links checked from %d, %d contents read\n", r.Last.Sequence, r.Last.Hash, r.Checked, r.Contents)
	if r.Index.Hash != "" {
		printf(w, "index     up to event %d\n", r.Index.Sequence)
	}
	if i := r.Pending; i != nil {
		printf(w, "incident  %d, %s after event %d: %s\n", i.Number, i.Kind, i.After, i.Text)
	}
	for _, warning := range r.Warnings {
		printf(w, "warning   %s\n", warning)
	}
	printf(w, "decision  %s: opening %s\n", r.Decision, r.Does)
}
