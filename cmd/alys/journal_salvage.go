package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/salvage"
)

// salvageResult is what `alys journal salvage --json` prints and report.json
// holds.
type salvageResult struct {
	Directory       string                   `json:"directory"`
	Output          string                   `json:"output"`
	Journal         string                   `json:"journal,omitempty"` // "" when no file tells the identity
	Complete        bool                     `json:"complete"`
	Incomplete      []string                 `json:"incomplete,omitempty"` // why
	Files           []salvage.File           `json:"files"`
	Bytes           int64                    `json:"bytes"`
	Damaged         int                      `json:"damaged"` // places, those of damage are the first
	Damage          []salvage.Damage         `json:"damage"`
	Runs            []salvageRun             `json:"runs"`
	Conflicts       []salvageRun             `json:"conflicts,omitempty"`
	Missing         []salvage.Gap            `json:"missing"`
	Acknowledged    uint64                   `json:"acknowledged"` // last event the head file knows; 0 when it is lost
	Events          uint64                   `json:"events"`
	Unproven        uint64                   `json:"unproven"`
	Contents        uint64                   `json:"contents"`
	ContentsMissing uint64                   `json:"contents_missing"`
	MissingContents []salvage.MissingContent `json:"missing_contents,omitempty"`
	Rebuilt         *salvageRebuilt          `json:"rebuilt,omitempty"`
	Seconds         float64                  `json:"seconds"`
}

type salvageRun struct {
	First     uint64 `json:"first"`
	FirstHash string `json:"first_hash"`
	Last      uint64 `json:"last"`
	LastHash  string `json:"last_hash"`
	Events    uint64 `json:"events"`
	Whole     bool   `json:"whole"` // the first event is proven as well
	Anchored  string `json:"anchored,omitempty"`
	Confirmed string `json:"confirmed,omitempty"`
}

type salvageRebuilt struct {
	Directory string `json:"directory"`
	Head      uint64 `json:"head"`
	HeadHash  string `json:"head_hash"`
	Stopped   string `json:"stopped,omitempty"`
	Incident  string `json:"incident,omitempty"`
}

var (
	journalDirFlag = &cli.StringFlag{Name: "journal", Usage: "read this `DIR` instead of the data directory's journal"}
	salvageToFlag  = &cli.StringFlag{Name: "to", Usage: "write to this new `DIR`", Required: true}
)

func journalSalvageCommand() *cli.Command {
	return &cli.Command{
		Name: "salvage", Usage: "read the files of a journal that does not open, and write out every event that verifies",
		Description: `For a stopped node. Reads every table and log file that is there, whatever the
database says of them, changes none, and needs about the journal's size of room
in the output directory, which gets
  events.jsonl  every event that chains, one a line, as it was stored
  journal/      a journal of the events that are proven from the first one on
  report.json   files, damaged places, runs of events, what is missing
The exit code is 0 when everything was found whole, 3 when something is missing
or nobody can tell.

Examples:
  alys journal salvage --data-dir /var/lib/alys --to /var/tmp/salvaged
  alys journal salvage --journal /mnt/disk/journal --to /var/tmp/salvaged --json`,
		Flags:  append(readFlags(), journalDirFlag, salvageToFlag, jsonFlag),
		Action: journalSalvage,
	}
}

func journalSalvage(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	started := time.Now()
	r := salvageResult{Runs: []salvageRun{}, Directory: cc.String(journalDirFlag.Name), Output: cc.String(salvageToFlag.Name)}
	if r.Directory == "" {
		r.Directory = node.JournalDir(s.dataDir)
	}
	if err := newDirectory(r.Output); err != nil {
		return err
	}
	bar := startJob(cc, s, "salvage", "bytes", 0)
	found, err := salvage.Scan(cc.Context, salvage.Options{
		Dir: r.Directory, Scratch: filepath.Join(r.Output, "scratch"),
		Progress: func(done, total int64) {
			bar.set(progress.Update{Done: uint64(done), Total: uint64(total), Bytes: done})
		},
	})
	bar.stop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	r.read(found)
	if err := r.write(cc, s, found); err != nil {
		return err
	}
	r.judge(found)
	r.Seconds = time.Since(started).Seconds()
	if err := r.save(); err != nil {
		return err
	}
	if err := outcome(cc, r, r.print); err != nil || r.Complete {
		return err
	}
	return fault.New(fault.Corrupt, "salvage: not everything is there: %s", r.Incomplete[0])
}

// newDirectory makes a directory that is not there, or takes an empty one.
func newDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fault.Wrap(fault.Invalid, err, "output directory")
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = usage("output directory %s is not empty; name a new one", dir)
	}
	return err
}

// read takes what the scan found.
func (r *salvageResult) read(f *salvage.Found) {
	if f.HasID {
		r.Journal = f.ID.String()
	}
	r.Files, r.Damage, r.Damaged = f.Files, append([]salvage.Damage{}, f.Damage...), f.Damaged
	for _, file := range f.Files {
		r.Bytes += file.Bytes
	}
	for _, run := range f.Runs {
		r.Runs = append(r.Runs, runView(run))
	}
	for _, run := range f.Conflicts {
		r.Conflicts = append(r.Conflicts, runView(run))
	}
	r.Missing = append([]salvage.Gap{}, f.Gaps()...)
	r.Acknowledged, r.Contents = f.Acknowledged.Sequence, f.Contents
}

func runView(r salvage.Run) salvageRun {
	return salvageRun{
		First: r.First.Sequence, FirstHash: r.First.Hash.String(), Last: r.Last.Sequence, LastHash: r.Last.Hash.String(),
		Events: r.Events(), Whole: r.Whole, Anchored: r.Anchored, Confirmed: r.Confirmed,
	}
}

// write makes events.jsonl and the journal.
func (r *salvageResult) write(cc *cli.Context, s *settings, f *salvage.Found) error {
	bar := startJob(cc, s, "salvage", "events", 0)
	defer bar.stop()
	var w salvage.Written
	err := writeFile(filepath.Join(r.Output, "events.jsonl"), func(out io.Writer) (err error) {
		w, err = f.WriteEvents(cc.Context, out, func(done, total uint64) { bar.set(progress.Update{Done: done, Total: total}) })
		return err
	})
	if err != nil {
		return err
	}
	r.Events, r.Unproven, r.ContentsMissing, r.MissingContents = w.Events, w.Unproven, w.ContentsMissing, w.MissingContents
	return r.rebuild(cc.Context, s, f)
}

// rebuild makes the journal, if there is one to be made.
func (r *salvageResult) rebuild(ctx context.Context, s *settings, f *salvage.Found) error {
	if !f.FromOrigin() {
		return nil
	}
	dir := filepath.Join(r.Output, "journal")
	b, err := f.WriteJournal(ctx, journal.Options{Dir: dir, Logger: s.log}, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	r.Rebuilt = &salvageRebuilt{Directory: dir, Head: b.Head.Sequence, HeadHash: b.Head.Hash.String(), Stopped: b.Stopped}
	if b.Incident != nil {
		r.Rebuilt.Incident = b.Incident.Text
	}
	return nil
}

// judge says whether everything is there, and if not, why.
func (r *salvageResult) judge(f *salvage.Found) {
	add := func(format string, args ...any) { r.Incomplete = append(r.Incomplete, fmt.Sprintf(format, args...)) }
	for i, g := range r.Missing {
		if i == 10 {
			add("and %d more stretches of events", len(r.Missing)-i)
			break
		}
		add("events %d to %d are in no file", g.From, g.To)
	}
	if r.Acknowledged == 0 && r.Events > 0 {
		add("the head file is lost: nobody can tell whether event %d was the last", f.Runs[len(f.Runs)-1].Last.Sequence)
	}
	if r.Events == 0 && r.Acknowledged == 0 && r.Damaged > 0 {
		add("no event was found, and some of the files cannot be read")
	}
	if r.Unproven > 0 {
		add("%d events are the first behind a gap, and their own bytes are not proven", r.Unproven)
	}
	if r.ContentsMissing > 0 {
		add("%d contents that events name are in no file", r.ContentsMissing)
	}
	r.Complete = len(r.Incomplete) == 0
}

func (r *salvageResult) save() error {
	return writeFile(filepath.Join(r.Output, "report.json"), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	})
}

// writeFile creates a file and makes it durable.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "create output file")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 256<<10)
	if err := write(w); err != nil {
		return err
	}
	return fault.Wrap(fault.Fatal, errors.Join(w.Flush(), f.Sync()), "write "+path)
}

// shownDamage is how many damaged places the text form shows.
const shownDamage = 20

func (r *salvageResult) print(w io.Writer) {
	printf(w, "salvage: %d files (%s) of journal %s, %d events, %d contents, %.1fs\n", len(r.Files), size(r.Bytes), r.Journal, r.Events, r.Contents, r.Seconds)
	for i, d := range r.Damage {
		if i == shownDamage {
			printf(w, "  ... %d more damaged places, see report.json\n", r.Damaged-i)
			break
		}
		printf(w, "  damage: %s at offset %d, %d bytes: %s\n", d.File, d.Offset, d.Bytes, d.What)
	}
	for _, run := range r.Runs {
		proof := "proven from its second event on"
		if run.Whole {
			proof = "proven from the " + run.Anchored + " on"
		}
		if run.Confirmed != "" {
			proof += ", confirmed by the " + run.Confirmed
		}
		printf(w, "  events %d to %d: %s\n", run.First, run.Last, proof)
	}
	for _, c := range r.Conflicts {
		printf(w, "  events %d to %d also chain but exclude the above; not written out\n", c.First, c.Last)
	}
	if b := r.Rebuilt; b != nil {
		printf(w, "  rebuilt journal: %s, head %d %s\n", b.Directory, b.Head, b.HeadHash)
		if b.Stopped != "" {
			printf(w, "  it ends there because %s\n", b.Stopped)
		}
		if b.Incident != "" {
			printf(w, "  it has an incident: %s\n", b.Incident)
		}
	}
	for _, why := range r.Incomplete {
		printf(w, "  missing: %s\n", why)
	}
	if r.Complete {
		printf(w, "  everything is there\n")
	}
}
