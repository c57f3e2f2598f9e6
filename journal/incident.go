package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// IncidentType is the message type of the event that follows an incident: the
// journal takes no other in that place.
const IncidentType = "journal_incident"

// IncidentKind says what interrupted the history of a journal.
type IncidentKind string

// The kinds of incidents.
const (
	// IncidentRepair is a cut behind the last whole event, by the repair command.
	IncidentRepair IncidentKind = "repair"
	// IncidentRestore is a copy taken back into use: what the original did
	// after the copy was made is not known here.
	IncidentRestore IncidentKind = "restore"
	// IncidentCheckpointStart is a journal that begins with states another
	// node computed.
	IncidentCheckpointStart IncidentKind = "checkpoint-start"
)

// Incident is a break in a journal's history that was made on purpose. It is
// kept beside the events, and the first event after it must tell of it, so
// that neither a reader of the events nor one of the files can miss it.
type Incident struct {
	Number uint32 // from 1, in the order in which they happened
	Kind   IncidentKind
	After  uint64 // last event that was kept
	Before Head   // what was acknowledged before, as far as it is known
	Time   int64  // Unix milliseconds
	Text   string // for people: what was lost, and where the old files are
}

// Limits of an incident's record.
const (
	incidentVersion = 1
	maxIncidentText = 16 << 10
	maxIncidentKind = 64
)

var (
	metaIncident    = []byte("mincident/") // then the number, 4 bytes big-endian
	metaIncidentEnd = []byte("mincident0")
)

func incidentKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(metaIncident), number)
}

// appendTo appends the encoding that docs/formats/journal.md draws.
func (i *Incident) appendTo(dst []byte) []byte {
	dst = append(dst, incidentVersion)
	dst = appendString(dst, string(i.Kind))
	dst = binary.AppendUvarint(dst, i.After)
	dst = binary.AppendUvarint(dst, i.Before.Sequence)
	dst = append(dst, i.Before.Hash[:]...)
	dst = binary.AppendVarint(dst, i.Time)
	return appendString(dst, i.Text)
}

// decodeIncident accepts exactly what appendTo makes.
func decodeIncident(number uint32, data []byte) (Incident, error) {
	i := Incident{Number: number}
	d := decoder{data: data}
	switch v := d.byte("version"); {
	case v > incidentVersion:
		return i, fault.New(fault.Invalid, "journal: incident %d of version %d, this program reads up to %d: %w", number, v, incidentVersion, ErrNewerFormat)
	case v != incidentVersion:
		d.fail("version")
	}
	i.Kind = IncidentKind(d.bytes("kind"))
	i.After = d.uvarint("kept sequence")
	i.Before.Sequence = d.uvarint("sequence before")
	i.Before.Hash = d.hash("hash before")
	i.Time = d.varint("time")
	i.Text = string(d.bytes("text"))
	if d.what == "" && d.at != len(data) {
		d.fail("bytes after the end")
	}
	if d.what != "" {
		return i, fault.New(fault.Invalid, "journal: incident of %d bytes: %s", len(data), d.what)
	}
	return i, i.validate()
}

// hash reads 32 bytes.
func (d *decoder) hash(field string) (h Hash) {
	if len(d.data)-d.at < len(h) {
		d.fail(field + " is cut short")
		return h
	}
	d.at += copy(h[:], d.data[d.at:])
	return h
}

func (i *Incident) validate() error {
	switch {
	case i.Number == 0:
		return fault.New(fault.Invalid, "journal: incidents are counted from 1")
	case i.Kind == "" || len(i.Kind) > maxIncidentKind:
		return fault.New(fault.Invalid, "journal: incident %d has a kind of %d bytes, want 1 to %d", i.Number, len(i.Kind), maxIncidentKind)
	case len(i.Text) > maxIncidentText:
		return fault.New(fault.Invalid, "journal: incident %d has a text of %d bytes, at most %d fit", i.Number, len(i.Text), maxIncidentText)
	case i.After == math.MaxUint64:
		return fault.New(fault.Invalid, "journal: nothing can follow event %d", i.After)
	}
	return nil
}

// readIncidents returns the incidents in order. An undecodable one or a number
// out of line is a *CorruptError, one of a newer program ErrNewerFormat.
func readIncidents(r pebble.Reader) (list []Incident, err error) {
	err = guarded(func() error {
		list, err = walkIncidents(r)
		return err
	})
	if err != nil && !errors.As(err, new(*CorruptError)) && !errors.Is(err, ErrNewerFormat) {
		err = &CorruptError{Key: string(metaIncident), What: "the incidents cannot be read", Cause: err}
	}
	return list, err
}

func walkIncidents(r pebble.Reader) (list []Incident, err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: metaIncident, UpperBound: metaIncidentEnd})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		want := uint32(len(list) + 1)
		name := fmt.Sprintf("key m/incident/%d", want)
		if string(it.Key()) != string(incidentKey(want)) {
			return list, &CorruptError{Key: name, What: fmt.Sprintf("it is missing; the next one there is key %x", it.Key())}
		}
		i, err := decodeIncident(want, it.Value())
		if errors.Is(err, ErrNewerFormat) {
			return list, err
		}
		if err != nil {
			return list, &CorruptError{Key: name, What: "this incident does not decode", Cause: err}
		}
		if want > 1 && i.After < list[want-2].After {
			return list, &CorruptError{Key: name, What: fmt.Sprintf("it is after event %d, the incident before after event %d", i.After, list[want-2].After)}
		}
		list = append(list, i)
	}
	return list, it.Error()
}

// pendingIncident returns the newest incident that the event after head must
// tell of.
func pendingIncident(list []Incident, head uint64) (Incident, bool) {
	if n := len(list); n > 0 && list[n-1].After == head {
		return list[n-1], true
	}
	return Incident{}, false
}

// Incidents returns the breaks in this journal's history, oldest first.
func (j *Journal) Incidents() []Incident { return slices.Clone(j.incidents) }

// PendingIncident returns the newest incident while no event tells of it: as
// long as it is pending, Append takes an event of type [IncidentType] only.
func (j *Journal) PendingIncident() (Incident, bool) {
	return pendingIncident(j.incidents, j.Head().Sequence)
}

// admitIncident refuses to pass an incident over in silence.
func (j *Journal) admitIncident(e *Event) error {
	i, pending := pendingIncident(j.incidents, j.tip.Sequence)
	if !pending || e.Type == IncidentType {
		return nil
	}
	return fault.New(fault.Invalid, "journal: event %d follows a %s, so it must be of type %q, not %q", e.Sequence, i.Kind, IncidentType, e.Type)
}

// AddIncident writes an incident into a closed journal: the next event must
// tell of it. Number and After are set here, After to the last event. The
// journal must open; an error leaves it as it was, or with the incident.
func AddIncident(o Options, i Incident) (added Incident, err error) {
	o.ReadOnly, o.OnDurable = false, nil
	if _, err := o.existing(); err != nil {
		return Incident{}, err
	}
	j, err := Open(o)
	if err != nil {
		return Incident{}, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	i.Number, i.After = uint32(len(j.incidents)+1), j.Head().Sequence
	if err := i.validate(); err != nil {
		return Incident{}, err
	}
	err = guarded(func() error { return j.db.Set(incidentKey(i.Number), i.appendTo(nil), pebble.Sync) })
	return i, fault.Wrap(fault.Fatal, err, fmt.Sprintf("journal %s: write incident %d", o.Dir, i.Number))
}

// existing refuses a directory without a journal, which Open would make.
func (o *Options) existing() (Plan, error) {
	p, err := Inspect(*o)
	if err == nil && p.Decision == decideCreate.String() {
		err = fault.New(fault.Invalid, "journal %s: %w", o.Dir, ErrAbsent)
	}
	return p, err
}
