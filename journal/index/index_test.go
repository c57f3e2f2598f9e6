package index

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// ask returns the sequences of a query, read in pages of a size; 0 for one page.
func ask(t interface {
	Fatal(...any)
	Helper()
	Fatalf(string, ...any)
}, x *Index, q Query, page int, between func()) []uint64 {
	t.Helper()
	var out []uint64
	for {
		r, err := x.Find(ctx(), q)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for (page == 0 || n < page) && r.Next() {
			e := r.Event()
			if want := testEvent(e.Sequence); e.Actor != want.Actor || e.Time != want.Time {
				t.Fatalf("event %d is given with the actor %s, time %d", e.Sequence, e.Actor, e.Time)
			}
			out = append(out, e.Sequence)
			n++
		}
		cursor := r.Cursor()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if page == 0 || n < page || cursor == "" {
			return out
		}
		q.Cursor = cursor
		between()
	}
}

func genQuery(t *rapid.T, last uint64) Query {
	sequence := rapid.Uint64Range(0, last+5)
	q := Query{Reverse: rapid.Bool().Draw(t, "reverse")}
	if rapid.Bool().Draw(t, "range") {
		q.From, q.To = sequence.Draw(t, "from"), sequence.Draw(t, "to")
	}
	moment := func(name string) int64 {
		return testEvent(max(sequence.Draw(t, name), 1)).Time + rapid.Int64Range(-1, 1).Draw(t, name+" off")
	}
	if rapid.IntRange(0, 3).Draw(t, "times") == 0 {
		q.Since, q.Until = moment("since"), moment("until")
	}
	term := rapid.Custom(func(t *rapid.T) Term {
		height := head(sequence.Draw(t, "height") / 20)
		return rapid.SampledFrom([]Term{
			Actor("chain"), Actor("rare"), Actor("nobody"), Actor(""), Message("type_1"), Message("type_4"), Fact("head"), Fact("type_6"),
			{KindRequest, "write"}, {kindHeight, string(height[:8])}, {kindBlock, string(height[8:])}, {kindBlock, "unknown"}, {200, "x"},
		}).Draw(t, "term")
	})
	for range rapid.IntRange(0, 3).Draw(t, "conditions") {
		if rapid.IntRange(0, 4).Draw(t, "type") == 0 {
			q.All = append(q.All, Type("type_2"))
			continue
		}
		q.All = append(q.All, rapid.SliceOfN(term, 1, 3).Draw(t, "any"))
	}
	return q
}

// Every answer equals a filter over all events, wherever the index stands:
// behind, level, after a crash, deleted, or not there at all.
func TestFindEqualsFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		j, err := journal.Open(journal.Options{FS: fs, Dir: "journal", Logger: quiet})
		must(t, err)
		defer j.Close()
		x, err := Open(j, testOptions(fs))
		must(t, err)
		defer func() { must(t, x.Close()) }()
		last := uint64(0)
		grow := func(n uint64) {
			for last++; n > 0; n, last = n-1, last+1 {
				_, err := j.Append(testEvent(last), nil)
				must(t, err)
			}
			last--
			must(t, j.WaitDurable(ctx(), last))
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) { grow(rapid.Uint64Range(1, 1500).Draw(t, "events")) },
			"index": func(t *rapid.T) {
				to := rapid.Uint64Range(x.Position().Sequence, last).Draw(t, "to")
				must(t, step(x, to))
			},
			"crash": func(t *rapid.T) { // what was not flushed is lost
				must(t, x.db.Close())
				x, err = Open(j, testOptions(fs))
				must(t, err)
			},
			"reopen": func(t *rapid.T) {
				at := x.Position()
				must(t, x.Close())
				x, err = Open(j, testOptions(fs))
				must(t, err)
				if x.Position() != at {
					t.Fatalf("closed at %v, opened at %v", at, x.Position())
				}
			},
			"delete": func(t *rapid.T) {
				must(t, x.Close())
				must(t, fs.RemoveAll("journal/index"))
				x, err = Open(j, testOptions(fs))
				must(t, err)
			},
			"ask": func(t *rapid.T) {
				q := genQuery(t, last)
				want := expect(q, last)
				if got := ask(t, x, q, 0, nil); !slices.Equal(got, want) {
					t.Fatalf("%+v at %d of %d: %v, want %v", q, x.Position().Sequence, last, got, want)
				}
			},
			"ask in pages": func(t *rapid.T) {
				q := genQuery(t, last)
				want := expect(q, last)
				page := rapid.IntRange(1, 50).Draw(t, "page")
				turns := 0
				got := ask(t, x, q, page, func() {
					if turns++; turns%5 == 1 { // the journal and the index go on meanwhile
						grow(1)
						must(t, step(x, last))
					}
				})
				if !slices.Equal(got, want) {
					t.Fatalf("%+v in pages of %d at %d of %d: %v, want %v", q, page, x.Position().Sequence, last, got, want)
				}
			},
			"read only": func(t *rapid.T) {
				must(t, x.Close())
				o := testOptions(fs)
				o.ReadOnly = true
				reader, err := Open(j, o)
				must(t, err)
				q := genQuery(t, last)
				want := expect(q, last)
				if got := ask(t, reader, q, 0, nil); !slices.Equal(got, want) {
					t.Fatalf("read only, %+v: %v, want %v", q, got, want)
				}
				must(t, reader.Close())
				x, err = Open(j, testOptions(fs))
				must(t, err)
			},
		})
	})
}

// An index of another journal, another history, another extraction or a damaged
// one is built again, and never answers.
func TestUnfitIndexIsBuiltAgain(t *testing.T) {
	const n = 3000
	build := func(t *testing.T) (vfs.FS, *journal.Journal) {
		fs := vfs.NewMem()
		j := openJournal(t, fs)
		t.Cleanup(func() { _ = j.Close() })
		fill(t, j, n)
		x := openIndex(t, j, testOptions(fs))
		advance(t, x, n)
		must(t, x.Close())
		return fs, j
	}
	set := func(t *testing.T, fs vfs.FS, key, value []byte) {
		o := testOptions(fs)
		must(t, o.setDefaults())
		d, err := openDatabase(o, false)
		must(t, err)
		must(t, d.DB().Set(key, value, pebble.NoSync))
		must(t, d.Flush())
		must(t, d.Close())
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, fs vfs.FS, j *journal.Journal)
		what   string
	}{
		"ahead": {func(t *testing.T, fs vfs.FS, j *journal.Journal) {
			set(t, fs, metaPosition, derived.Position{Journal: j.ID(), Head: journal.Head{Sequence: n + 1}}.Encode())
		}, "the journal ends at 3000"},
		"other history": {func(t *testing.T, fs vfs.FS, j *journal.Journal) {
			set(t, fs, metaPosition, derived.Position{Journal: j.ID(), Head: journal.Head{Sequence: n - 1}}.Encode())
		}, "event 2999 had the hash 000"},
		"other journal": {func(t *testing.T, fs vfs.FS, j *journal.Journal) {
			set(t, fs, metaPosition, derived.Position{Journal: journal.ID{1}, Head: journal.Head{Sequence: n}}.Encode())
		}, "belongs to journal 0100"},
		"short position": {func(t *testing.T, fs vfs.FS, j *journal.Journal) { set(t, fs, metaPosition, []byte{1}) }, "its position is 01"},
		"newer format":   {func(t *testing.T, fs vfs.FS, j *journal.Journal) { set(t, fs, metaFormat, []byte{0, 0, 0, 9}) }, "mformat is 00000009"},
		"extraction":     {func(t *testing.T, fs vfs.FS, j *journal.Journal) { set(t, fs, metaExtract, []byte{0, 0, 0, 1}) }, "mextract is 00000001"},
		"tables gone": {func(t *testing.T, fs vfs.FS, j *journal.Journal) {
			names, err := fs.List("journal/index")
			must(t, err)
			for _, name := range names {
				if strings.HasSuffix(name, ".sst") {
					must(t, fs.Remove("journal/index/"+name))
				}
			}
		}, "000"},
		"a file": {func(t *testing.T, fs vfs.FS, j *journal.Journal) {
			must(t, fs.RemoveAll("journal/index"))
			f, err := fs.Create("journal/index", vfs.WriteCategoryUnspecified)
			must(t, err)
			must(t, f.Close())
		}, "index"},
	} {
		t.Run(name, func(t *testing.T) {
			fs, j := build(t)
			c.change(t, fs, j)
			o := testOptions(fs)
			o.ReadOnly = true
			reader := openIndex(t, j, o)
			if why := reader.Missing(); why == nil || !strings.Contains(why.Error(), c.what) {
				t.Errorf("read only: %v, want %q", why, c.what)
			}
			if got, want := ask(t, reader, Query{All: []Any{{Actor("rare")}}}, 0, nil), expect(Query{All: []Any{{Actor("rare")}}}, n); !slices.Equal(got, want) {
				t.Errorf("read only: %d events, want %d", len(got), len(want))
			}
			must(t, reader.Close())
			x := openIndex(t, j, testOptions(fs))
			if at := x.Position().Sequence; at != 0 {
				t.Errorf("it is used at %d", at)
			}
			advance(t, x, n)
			must(t, x.Close())
			reader = openIndex(t, j, o)
			if reader.Missing() != nil || reader.Position().Sequence != n {
				t.Errorf("built again: %v, at %d", reader.Missing(), reader.Position().Sequence)
			}
			must(t, reader.Close())
		})
	}
}

func TestFindRefuses(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs)
	defer j.Close()
	x := openIndex(t, j, testOptions(fs))
	defer x.Close()
	for _, q := range []Query{{All: []Any{{}}}, {Cursor: "x"}, {Cursor: "1-"}, {Cursor: "1-2 "}, {Cursor: "+1-2"}, {Cursor: "1-99999999999999999999999"}} {
		if _, err := x.Find(ctx(), q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
