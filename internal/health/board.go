package health

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Problem is one problem of now.
type Problem struct {
	Code  Code      `json:"code"`
	Text  string    `json:"text"`
	Do    string    `json:"do"`
	Since time.Time `json:"since"`
}

// Board collects problems. Create it with [NewBoard].
type Board struct {
	now     func() time.Time
	mu      sync.Mutex
	raised  map[Code]Problem
	sources []func() map[Code]string
	seen    map[Code]time.Time // since when sources report
}

// NewBoard returns a board of a process that is starting.
func NewBoard() *Board {
	b := &Board{now: time.Now, raised: make(map[Code]Problem), seen: make(map[Code]time.Time)}
	b.Stage("opening", 0, 0)
	return b
}

// Stage tells what a start is at, and how far: done of total, or no number when
// total is 0.
func (b *Board) Stage(name string, done, total uint64) {
	text := "starting: " + name
	if total > 0 {
		text = fmt.Sprintf("%s, %d of %d", text, done, total)
	}
	b.Raise(Starting, text)
}

// Running tells that the start is over.
func (b *Board) Running() { b.Clear(Starting) }

// Raise notes a problem, or its new text. Since stays that of the first time.
func (b *Board) Raise(c Code, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, was := b.raised[c]
	if !was {
		k, _ := kindOf(c)
		p = Problem{Code: c, Do: k.Do, Since: b.now().UTC().Truncate(time.Millisecond)}
	}
	p.Text = text
	b.raised[c] = p
}

// Clear takes a problem back.
func (b *Board) Clear(c Code) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.raised, c)
}

// Source adds a function that is asked for the problems of now, by code, each
// time someone asks the board. It must be quick.
func (b *Board) Source(f func() map[Code]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources = append(b.sources, f)
}

// Now returns the problems of now, the most severe first: those for which the
// node is not ready, and warnings.
func (b *Board) Now() (reasons, warnings []Problem) {
	b.mu.Lock()
	sources := b.sources
	b.mu.Unlock()
	reported := make(map[Code]string)
	for _, f := range sources { // without the lock: a source may raise
		for c, text := range f() {
			reported[c] = text
		}
	}
	b.mu.Lock()
	all := make([]Problem, 0, len(b.raised)+len(reported))
	for _, p := range b.raised {
		all = append(all, p)
	}
	all = append(all, b.since(reported)...)
	b.mu.Unlock()
	slices.SortFunc(all, func(x, y Problem) int {
		_, i := kindOf(x.Code)
		_, j := kindOf(y.Code)
		return cmp.Or(cmp.Compare(i, j), cmp.Compare(x.Code, y.Code))
	})
	reasons, warnings = []Problem{}, []Problem{}
	for _, p := range all {
		if k, _ := kindOf(p.Code); k.Unready {
			reasons = append(reasons, p)
		} else {
			warnings = append(warnings, p)
		}
	}
	return reasons, warnings
}

// since dates what sources report: from when it was first seen without a break.
func (b *Board) since(reported map[Code]string) (out []Problem) {
	for c := range b.seen {
		if _, still := reported[c]; !still {
			delete(b.seen, c)
		}
	}
	for c, text := range reported {
		if _, raised := b.raised[c]; raised {
			continue
		}
		if _, was := b.seen[c]; !was {
			b.seen[c] = b.now().UTC().Truncate(time.Millisecond)
		}
		k, _ := kindOf(c)
		out = append(out, Problem{Code: c, Text: text, Do: k.Do, Since: b.seen[c]})
	}
	return out
}

// Texts returns the reasons for not being ready, as text.
func (b *Board) Texts() (texts []string) {
	reasons, _ := b.Now()
	for _, r := range reasons {
		texts = append(texts, r.Text)
	}
	return texts
}

// Has returns 1 while the node has a problem, for a gauge.
func (b *Board) Has(c Code) float64 {
	reasons, warnings := b.Now()
	for _, p := range append(reasons, warnings...) {
		if p.Code == c {
			return 1
		}
	}
	return 0
}
