package message_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/schema"
)

const schemasPage = "../../../docs/formats/messages.schemas"

// every lists one value of each type of the journal. A test holds it to the source.
func every() []schema.Typed {
	return []schema.Typed{
		&message.NodeConfigured{}, &message.NodeStopped{}, &message.SnapshotBegun{}, &message.SnapshotTaken{}, &message.StopProcess{},
		&message.BehaviourUpgraded{}, &message.CheckpointStarted{}, &message.CheckpointBlocks{},
		&message.StartTimer{}, &message.TimerFired{}, &message.SignBlock{}, &message.BlockSigned{}, &message.SignRefused{},
		&message.BlocksReceived{}, &message.ApprovalReceived{}, &message.ExecuteBlocks{}, &message.BlocksExecuted{},
		&message.BuildBlock{}, &message.PayloadReady{}, &message.BuildFailed{}, &message.QueueWork{}, &message.ChainMoved{}, &message.LegacyHead{},
		&message.BlockConnected{}, &message.BlockReverted{}, &message.HeadChanged{}, &message.BlockFinalized{}, &message.BlockRefused{},
		&message.SlotSkipped{}, &message.ClockStepped{}, &message.WorkQueued{}, &message.WorkDropped{}, &message.LegacyImported{},
		&message.LegacyDiffers{}, &message.BlockProduced{},
		&message.ImportPayloads{}, &message.PayloadsImported{}, &message.BuildPayload{}, &message.PayloadBuilt{}, &message.PayloadFailed{},
		&message.CreateAuxBlock{}, &message.AuxBlock{}, &message.SubmitAuxBlock{}, &message.AuxBlockJudged{}, &message.WorkJudged{},
		&message.JournalIncident{}, &message.AllowSigning{}, &message.SigningAnswer{}, &message.SigningHeld{}, &message.SigningReleased{},
		&message.SignApproval{}, &message.ApprovalSigned{}, &message.ApprovalMade{}, &message.ApprovalWithheld{}, &message.RangeLocked{}, &message.LockEnded{},
		&message.NeverApprove{}, &message.SignStatement{}, &message.StatementSigned{}, &message.StatementMade{}, &message.ReleaseLock{}, &message.OperatorAnswer{},
		&message.DecideBranch{}, &message.BranchDecided{}, &message.BranchKept{}, &message.BranchExcluded{}, &message.FinalityConflict{},
		&message.MoveHead{}, &message.UpdateForkchoice{}, &message.ForkchoiceUpdated{}, &message.HeadRefused{},
		&message.PublishBlock{}, &message.PublishApproval{}, &message.PublishWork{}, &message.FetchBlocks{},
		&message.FollowChain{}, &message.JudgePeg{}, &message.PegJudged{}, &message.PlanPeg{}, &message.PegPlanned{},
		&message.SignPayments{}, &message.ResumePeg{}, &message.SignPayout{}, &message.PayoutSigned{}, &message.PayoutRefused{},
		&message.PublishSignatures{}, &message.SignaturesReceived{}, &message.FollowBitcoin{}, &message.BitcoinFollowed{}, &message.BitcoinAway{},
		&message.FetchTransaction{}, &message.TransactionFetched{}, &message.TransactionMissing{}, &message.BroadcastTransaction{}, &message.TransactionBroadcast{},
		&message.PegInChanged{}, &message.PegOutChanged{}, &message.PaymentChanged{}, &message.WalletChanged{}, &message.BitcoinTipChanged{},
		&message.BitcoinLost{}, &message.PegHalted{}, &message.PegResumed{}, &message.PegAlarm{},
		&core.Expired{}, &core.ActorFailed{},
		&message.PeerConnected{}, &message.PeerGone{}, &message.PeersReported{}, &message.PeerFault{}, &message.BanPeer{}, &message.UnbanPeer{},
		&message.PeerJoined{}, &message.PeerLeft{}, &message.PeerScored{}, &message.PeerBanned{}, &message.PeerUnbanned{}, &message.GuideConnections{},
		&message.ConnectionsGuided{}, &message.DisconnectPeer{}, &message.PeersSeen{}, &message.MemberHeads{}, &message.FollowSync{},
		&message.FetchRange{}, &message.RangeFetched{}, &message.RangeFailed{}, &message.SyncProgressed{}, &message.SyncedChanged{}, &message.SyncStalled{},
		&message.AssumeSynced{}, &message.SyncAssumed{}, &message.BitcoinCurrent{}, &message.FetchApprovals{}, &message.FetchSignatures{},
		&message.Equivocation{}, &message.KeyInUse{},
	}
}

func TestEveryTypeIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, m := range every() {
		listed[reflect.TypeOf(m).Elem().Name()] = true
	}
	contract, err := filepath.Glob("../../../actors/core/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range append(sources(t), contract...) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Type" || strings.HasSuffix(path, "_test.go") {
				continue
			}
			found++
			if name := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name; !listed[name] {
				t.Errorf("%s of %s is not in every()", name, path)
			}
		}
	}
	if found != len(listed) {
		t.Errorf("%d types in the source, %d listed", found, len(listed))
	}
}

// shape is the field list of one type in one schema: by the path of numbers
// ("2.1" is field 1 of the records in field 2) the name and kind.
type shape map[string]string

// history has the shape of every schema of a type.
type history map[string]map[uint32]shape

func shapeOf(t *testing.T, r record.Record) shape {
	s := shape{}
	addFields(t, s, "", r)
	return s
}

func addFields(t *testing.T, s shape, prefix string, r record.Record) {
	for _, d := range record.Describe(r) {
		path := prefix + strconv.Itoa(d.Number)
		if _, twice := s[path]; twice {
			t.Errorf("%T: two fields %s", r, path)
		}
		s[path] = fieldName(t, r, d) + " " + string(d.Kind)
		if d.Kind == record.KindFixed {
			s[path] += strconv.Itoa(d.Length)
		}
		if d.Nested != nil {
			addFields(t, s, path+".", d.Nested)
		}
	}
}

// fieldName finds the Go field that a described value is, and gives its name as
// Protocol Buffers write names.
func fieldName(t *testing.T, r record.Record, d record.Described) string {
	name := findField(reflect.ValueOf(r).Elem(), reflect.ValueOf(d.Value))
	if name == "" {
		t.Fatalf("%T: field %d is no field of the struct", r, d.Number)
	}
	return snake(name)
}

func findField(v, want reflect.Value) string {
	for i := range v.NumField() {
		f := v.Field(i)
		same := f.Addr().Pointer() == want.Pointer()
		switch elem := want.Type().Elem(); {
		case same && (f.Type() == elem || f.Kind() == elem.Kind() && f.Kind() != reflect.Struct):
			return v.Type().Field(i).Name
		case same && f.Kind() == reflect.Array && elem.Kind() == reflect.Uint8:
			return v.Type().Field(i).Name
		case f.Kind() == reflect.Struct:
			if name := findField(f, want); name != "" {
				return v.Type().Field(i).Name + name
			}
		}
	}
	return ""
}

func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// breaking returns what a program that writes these shapes would break for
// readers of what was written before: the rules of a schema's life.
func breaking(before history, now map[string]uint32, shapes map[string]shape, up func(typ string, from uint32) bool) (found []string) {
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, typ := range slices.Sorted(maps.Keys(before)) {
		old := before[typ]
		latest := slices.Max(slices.Collect(maps.Keys(old)))
		current, ok := now[typ]
		switch {
		case !ok:
			add("%s is removed: journals that have it could not be read", typ)
			continue
		case current < latest:
			add("%s has schema %d, schema %d was written before", typ, current, latest)
			continue
		}
		was, is := old[latest], shapes[typ]
		for _, path := range slices.SortedFunc(maps.Keys(was), comparePaths) {
			switch {
			case is[path] == was[path]:
			case current == latest:
				add("%s field %s was %q and is %q: a change raises the schema", typ, path, was[path], is[path])
			case up(typ, latest):
			case is[path] == "":
				add("%s field %s (%s) is removed without an upcaster from schema %d", typ, path, was[path], latest)
			default:
				add("%s field %s was %q and is %q, without an upcaster from schema %d", typ, path, was[path], is[path], latest)
			}
		}
		for _, path := range slices.SortedFunc(maps.Keys(is), comparePaths) {
			if _, ok := was[path]; !ok && current == latest {
				add("%s field %s (%s) is new: raise the schema to %d", typ, path, is[path], latest+1)
			}
			for _, version := range slices.Sorted(maps.Keys(old)) {
				if used, ok := old[version][path]; ok && used != is[path] && (current > latest || version != latest) {
					add("%s field %s was %q in schema %d: its number is not used again, for %q", typ, path, used, version, is[path])
				}
			}
		}
	}
	return found
}

func comparePaths(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return cmp.Compare(x, y)
	})
}

const schemasIntro = `# Every schema of every journal payload that was ever written. Generated by
# go test ./internal/protocol/message -update, which refuses to break what is here.
# A field is: path of numbers, name, kind.
`

func (h history) render() string {
	var b strings.Builder
	b.WriteString(schemasIntro)
	for _, typ := range slices.Sorted(maps.Keys(h)) {
		for _, version := range slices.Sorted(maps.Keys(h[typ])) {
			fmt.Fprintf(&b, "\n%s/%d\n", typ, version)
			s := h[typ][version]
			for _, path := range slices.SortedFunc(maps.Keys(s), comparePaths) {
				fmt.Fprintf(&b, "\t%s %s\n", path, s[path])
			}
		}
	}
	return b.String()
}

func parseHistory(t *testing.T, text string) history {
	h := history{}
	var at shape
	for n, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "\t") && at != nil:
			path, field, _ := strings.Cut(strings.TrimSpace(line), " ")
			at[path] = field
		default:
			typ, number, _ := strings.Cut(line, "/")
			version, err := strconv.ParseUint(number, 10, 32)
			if err != nil {
				t.Fatalf("%s:%d: %v", schemasPage, n+1, err)
			}
			if h[typ] == nil {
				h[typ] = map[uint32]shape{}
			}
			at = shape{}
			h[typ][uint32(version)] = at
		}
	}
	return h
}

// What is in journals stays readable: no field is removed, renumbered or retyped,
// no number used again, nothing added without a higher schema version.
func TestSchemasDoNotBreak(t *testing.T) {
	text, err := os.ReadFile(schemasPage)
	if err != nil && !*update {
		t.Fatal(err)
	}
	before := parseHistory(t, string(text))
	now, shapes := map[string]uint32{}, map[string]shape{}
	for _, m := range every() {
		now[m.Type()], shapes[m.Type()] = m.Schema(), shapeOf(t, m)
	}
	for _, finding := range breaking(before, now, shapes, message.Older().Has) {
		t.Error(finding)
	}
	if t.Failed() {
		return
	}
	for typ, version := range now {
		if before[typ] == nil {
			before[typ] = map[uint32]shape{}
		}
		before[typ][version] = shapes[typ]
	}
	if *update {
		if err := os.WriteFile(schemasPage, []byte(before.render()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if before.render() != string(text) {
		t.Errorf("%s lacks a schema of the source: go test ./internal/protocol/message -update", schemasPage)
	}
}

// Each rule fires.
func TestBreakingFires(t *testing.T) {
	base := shape{"1": "root fixed32", "2": "blocks list", "2.1": "signed content"}
	change := func(edit func(shape)) shape {
		s := maps.Clone(base)
		edit(s)
		return s
	}
	longer := history{"m": {1: {"1": "root fixed32", "4": "gone uint64"}, 2: base}}
	none := func(string, uint32) bool { return false }
	all := func(string, uint32) bool { return true }
	for name, test := range map[string]struct {
		before history
		schema uint32
		shape  shape
		up     func(string, uint32) bool
		want   string // part of the only finding; empty for none
	}{
		"same":             {history{"m": {1: base}}, 1, base, none, ""},
		"raised only":      {history{"m": {1: base}}, 2, base, none, ""},
		"added and raised": {history{"m": {1: base}}, 2, change(func(s shape) { s["3"] = "slot uint64" }), none, ""},
		"added":            {history{"m": {1: base}}, 1, change(func(s shape) { s["3"] = "slot uint64" }), none, "raise the schema to 2"},
		"added nested":     {history{"m": {1: base}}, 1, change(func(s shape) { s["2.2"] = "fees bytes" }), none, "field 2.2 (fees bytes) is new"},
		"removed":          {history{"m": {1: base}}, 1, change(func(s shape) { delete(s, "1") }), none, "a change raises the schema"},
		"removed, raised":  {history{"m": {1: base}}, 2, change(func(s shape) { delete(s, "1") }), none, "removed without an upcaster"},
		"removed, upcast":  {history{"m": {1: base}}, 2, change(func(s shape) { delete(s, "1") }), all, ""},
		"retyped":          {history{"m": {1: base}}, 1, change(func(s shape) { s["1"] = "root bytes" }), none, "a change raises the schema"},
		"renamed":          {history{"m": {1: base}}, 1, change(func(s shape) { s["1"] = "hash fixed32" }), none, "a change raises the schema"},
		"retyped, upcast":  {history{"m": {1: base}}, 2, change(func(s shape) { s["1"] = "root bytes" }), all, "its number is not used again"},
		"reused":           {longer, 3, change(func(s shape) { s["4"] = "other bool" }), none, "its number is not used again"},
		"reused the same":  {longer, 3, change(func(s shape) { s["4"] = "gone uint64" }), none, ""},
		"fell":             {longer, 1, base, none, "schema 2 was written before"},
		"type removed":     {history{"x": {1: base}}, 1, base, none, "x is removed"},
		"renumbered":       {history{"m": {1: {"1": "a bool"}}}, 2, shape{"2": "a bool"}, none, "removed without an upcaster"},
	} {
		found := breaking(test.before, map[string]uint32{"m": test.schema}, map[string]shape{"m": test.shape}, test.up)
		if test.want == "" && len(found) > 0 || test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)) {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// Payloads from damaged or foreign journals never panic; what decodes is the
// canonical form of something.
func FuzzPayloads(f *testing.F) {
	types := every()
	for i, m := range types {
		for _, d := range []uint32{1, 2} {
			data, _ := record.Encode(m)
			f.Add(uint8(i), d, data)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, written uint32, data []byte) {
		m := reflect.New(reflect.TypeOf(types[int(which)%len(types)]).Elem()).Interface().(schema.Typed)
		err := message.Decode(m, written, data, nil)
		switch again, _ := record.Encode(m); {
		case err != nil && !fault.Is(err, fault.Invalid):
			t.Errorf("%s: grade of %v", m.Type(), err)
		case err == nil && written > m.Schema():
			t.Errorf("%s: schema %d is taken, this program has %d", m.Type(), written, m.Schema())
		case err == nil && written == m.Schema() && !bytes.Equal(again, data):
			t.Errorf("%s: %x decodes and encodes to %x", m.Type(), data, again)
		}
	})
}
