package replay

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// Divergence is the first turn that did not come out as journaled.
type Divergence struct {
	Sequence    uint64       `json:"sequence"`
	Actor       string       `json:"actor"`
	Type        string       `json:"type"`
	Differences []Difference `json:"differences"`
	Causes      []Link       `json:"causes"` // the turn itself first, then what led to it
}

// Difference is one part of a turn that differs.
type Difference struct {
	Field    string `json:"field"`
	Stored   string `json:"stored"`
	Replayed string `json:"replayed"`
}

// Link is one turn of a cause chain.
type Link struct {
	Sequence uint64 `json:"sequence"`
	Time     int64  `json:"time_ms"`
	Actor    string `json:"actor"`
	Type     string `json:"type"`
}

// Error returns the whole report, several lines.
func (d *Divergence) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "replay differs at sequence %d (%s, %s)", d.Sequence, d.Actor, d.Type)
	for _, x := range d.Differences {
		fmt.Fprintf(&b, "\n  %s\n    stored   %s\n    replayed %s", x.Field, x.Stored, x.Replayed)
	}
	for i, c := range d.Causes {
		word := "caused by"
		if i == 0 {
			word = "turn"
		}
		fmt.Fprintf(&b, "\n  %s %d %s %s", word, c.Sequence, c.Actor, c.Type)
	}
	return b.String()
}

// Unwrap grades the divergence as corrupt.
func (d *Divergence) Unwrap() error { return fault.New(fault.Corrupt, "replay divergence") }

func (r *run) diverges(x *item, diff []Difference) error {
	return &Divergence{
		Sequence: x.event.Sequence, Actor: x.event.Actor, Type: x.event.Type,
		Differences: diff, Causes: Causes(r.journal, x.event.Sequence),
	}
}

// maxCauses bounds a cause chain as printed.
const maxCauses = 32

// Causes follows the causes of a turn back to the input that came from outside.
func Causes(j *journal.Journal, sequence uint64) []Link {
	var chain []Link
	for sequence != 0 && len(chain) < maxCauses {
		e, _, err := j.Event(sequence)
		if err != nil {
			break
		}
		chain = append(chain, Link{Sequence: e.Sequence, Time: e.Time, Actor: e.Actor, Type: e.Type})
		sequence = e.Cause.Sequence
	}
	return chain
}

func describeSend(in actors.Input, ok bool) string {
	if !ok {
		return "no send waits"
	}
	return fmt.Sprintf("send %d/%d (%s) to %s waits", in.Cause.Sequence, in.Cause.Index, in.Message.Type(), in.Actor)
}

// differences compares a stored event with its replay field by field.
// Contents that hold the event's own message or outputs differ when those do,
// and a replayed event does not name them.
func differences(stored, replayed *journal.Event, version byte) []Difference {
	var diff []Difference
	add := func(field string, a, b any) {
		if s, p := fmt.Sprint(a), fmt.Sprint(b); s != p {
			diff = append(diff, Difference{field, s, p})
		}
	}
	add("time", stored.Time, replayed.Time)
	add("outcome", stored.Outcome, replayed.Outcome)
	add("note", stored.Note, replayed.Note)
	add("outputs", len(stored.Outputs), len(replayed.Outputs))
	for i := range min(len(stored.Outputs), len(replayed.Outputs)) {
		a, b := &stored.Outputs[i], &replayed.Outputs[i]
		name := fmt.Sprintf("output %d", i)
		add(name, outline(a), outline(b))
		if !bytes.Equal(a.Payload, b.Payload) {
			diff = append(diff, Difference{name + " payload", fmt.Sprintf("%x", a.Payload), fmt.Sprintf("%x", b.Payload)})
		}
	}
	for i := min(len(stored.Outputs), len(replayed.Outputs)); i < max(len(stored.Outputs), len(replayed.Outputs)); i++ {
		a, b := "absent", "absent"
		if i < len(stored.Outputs) {
			a = outline(&stored.Outputs[i])
		}
		if i < len(replayed.Outputs) {
			b = outline(&replayed.Outputs[i])
		}
		diff = append(diff, Difference{fmt.Sprintf("output %d", i), a, b})
	}
	if len(diff) == 0 {
		add("contents", stored.Contents, replayed.Contents)
	}
	if len(diff) == 0 {
		diff = append(diff, Difference{"encoding", fmt.Sprintf("%x", stored.AppendVersionTo(nil, version)), fmt.Sprintf("%x", replayed.AppendVersionTo(nil, version))})
	}
	return diff
}

func outline(o *journal.Output) string {
	return fmt.Sprintf("kind %d to %q class %d %s/%d", o.Kind, o.Target, o.Class, o.Type, o.Schema)
}

func digestDifferences(stored, replayed *message.SnapshotTaken) []Difference {
	var diff []Difference
	ours := make(map[string][32]byte, len(replayed.Digests))
	for _, d := range replayed.Digests {
		ours[d.Name] = d.Digest
	}
	for _, d := range stored.Digests {
		if got, ok := ours[d.Name]; !ok || got != d.Digest {
			diff = append(diff, Difference{
				fmt.Sprintf("digest of %s after turn %d", d.Name, stored.At), fmt.Sprintf("%x", d.Digest), fmt.Sprintf("%x", got),
			})
		}
	}
	if len(diff) == 0 && stored.Root != replayed.Root {
		diff = append(diff, Difference{fmt.Sprintf("digest root after turn %d", stored.At), fmt.Sprintf("%x", stored.Root), fmt.Sprintf("%x", replayed.Root)})
	}
	return diff
}
