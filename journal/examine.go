package journal

import (
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// tailEvents is how many of the last events opening checks. It covers far more
// than the events between the head record and the end that a crash leaves;
// [Journal.Verify] checks the rest.
const tailEvents = 1024

// examined is what examine found: the plan, and the open database if any.
type examined struct {
	plan       Plan
	decision   decision
	head       headRead
	tail       tailCheck
	unreadable error      // why the database cannot be read; nil when it can or is absent
	content    error      // the first content that is not as the tail's events name it
	db         *pebble.DB // read-only; nil when there is none or it is refused
	log        *databaseLog
	incidents  []Incident
	history    *history // nil when no database can be read
}

// examine reads head file, database and index without changing anything and
// decides. An error means that it could not look; a refusal is in the plan.
func examine(o Options, cache *pebble.Cache) (x examined, err error) {
	x = examined{plan: Plan{Dir: o.Dir}, log: &databaseLog{log: o.Logger}}
	headPath := o.FS.PathJoin(o.Dir, headName)
	if x.head, err = readHeadFile(o.FS, headPath); err != nil {
		return x, err
	}
	x.plan.Slots = x.head.slots
	if x.head.state == headOK {
		x.plan.Record = x.head.record.head
	}
	if x.head.warning != "" {
		x.plan.Warnings = append(x.plan.Warnings, headPath+": "+x.head.warning)
	}
	x.plan.Findings = Findings{Head: x.head.state.String(), Position: isNone, Tail: isWhole, Chain: isOK, Content: isOK}
	if err := x.judgeDatabase(o, cache); err != nil {
		return x, x.abandon(err)
	}
	x.judgeIndex(o, cache)
	x.decision = decide(x.plan.Findings)
	x.plan.Decision, x.plan.Does = x.decision.String(), x.plan.does(x.decision)
	if x.decision.opens() {
		return x, nil
	}
	x.plan.Refusal = x.refusal(x.decision, headPath)
	return x, x.abandon(nil)
}

// abandon closes the database that is not needed further.
func (x *examined) abandon(err error) error {
	if x.db != nil {
		err = errors.Join(err, guarded(x.db.Close))
		x.db = nil
	}
	return err
}

// judgeDatabase opens the database for reading and checks its end.
func (x *examined) judgeDatabase(o Options, cache *pebble.Cache) (err error) {
	dir, f := o.FS.PathJoin(o.Dir, databaseName), &x.plan.Findings
	if _, err := o.FS.Stat(dir); errors.Is(err, os.ErrNotExist) {
		f.Database = isAbsent
		return nil
	} else if err != nil {
		return fault.Wrap(fault.Fatal, err, "look for journal database "+dir)
	}
	if torn := tornTail(o.FS, dir); torn != nil {
		f.Tail = isTorn
		x.plan.Warnings = append(x.plan.Warnings, torn...)
	}
	if x.db, x.plan.ID, err = openChecked(o, dir, cache, x.log); err != nil {
		x.unreadable = err
		switch {
		case errors.Is(err, ErrNewerFormat):
			f.Database = isNewer
		case fault.Is(err, fault.Corrupt):
			f.Database = isDamaged
		default:
			return err
		}
		return nil
	}
	left, damaged := readArchived(x.db, x.plan.ID)
	x.history = newHistory(o, x.plan.ID, left)
	if x.tail, err = checkTail(x.db, x.history, x.head.record, tailEvents); err != nil {
		return err
	}
	if damaged != nil { // what else was found follows from it
		x.tail.broken = damaged
	}
	x.plan.Last, x.plan.Checked = x.tail.last, x.tail.from
	if x.incidents, err = readIncidents(x.db); err != nil && x.tail.broken == nil {
		x.tail.broken = err
	}
	if i, pending := pendingIncident(x.incidents, x.plan.Last.Sequence); pending {
		x.plan.Pending = &i
	}
	x.judgeEvents()
	return nil
}

// judgeEvents fills in what follows from the events found.
func (x *examined) judgeEvents() {
	f := &x.plan.Findings
	f.Database = hasEvents
	if x.tail.last.Sequence == 0 {
		f.Database = isEmpty
	}
	switch {
	case errors.Is(x.tail.broken, ErrNewerFormat):
		f.Chain = isNewer
	case x.tail.broken != nil:
		f.Chain = isBroken
	case x.tail.lacks != nil:
		f.Content, x.content = x.tail.why, x.tail.lacks
	default:
		f.Content, x.plan.Contents, x.content = checkContents(x.db, x.tail.named)
	}
	if x.head.state != headOK {
		return
	}
	if x.head.record.id != x.plan.ID {
		f.Head = isForeign
		return
	}
	switch record := x.head.record.head.Sequence; {
	case record > x.tail.last.Sequence:
		f.Position = isAhead
	case record < x.tail.last.Sequence:
		f.Position = isBehind
	default:
		f.Position = isEqual
	}
}

// openChecked opens the database read-only and reads its identity and format.
func openChecked(o Options, dir string, cache *pebble.Cache, log *databaseLog) (*pebble.DB, ID, error) {
	po := databaseOptions(o.FS, cache, log)
	po.ReadOnly = true
	db, err := openDatabase(dir, po)
	if err != nil {
		return nil, ID{}, err
	}
	id, err := readMeta(db, dir)
	if err != nil {
		return nil, ID{}, errors.Join(err, guarded(db.Close))
	}
	return db, id, nil
}

func readMeta(db *pebble.DB, dir string) (ID, error) {
	if _, err := readFormat(db, dir); err != nil {
		return ID{}, err
	}
	id, err := readKey(db, metaID)
	if err != nil || len(id) != len(ID{}) {
		return ID{}, &CorruptError{Key: dir, What: fmt.Sprintf("identity key %q is missing or damaged", metaID), Cause: err}
	}
	return ID(id), nil
}

// readKey returns a copy of a value.
func readKey(db pebble.Reader, key []byte) (value []byte, err error) {
	err = guarded(func() error {
		v, closer, err := db.Get(key)
		if err != nil {
			return err
		}
		value = append([]byte{}, v...)
		return closer.Close()
	})
	return value, err
}
