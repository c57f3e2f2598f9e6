package logging

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// MaxText is how many bytes of a string a line shows.
const MaxText = 600

// handler is the handler of [New].
type handler struct {
	to     slog.Handler
	levels *Levels
	actor  string // by With
	has    attrs  // by With
	group  bool   // below a group, attributes are not ours
}

// attrs says which of the attributes of an event are there.
type attrs struct{ seq, actor, height, cause bool }

func (a *attrs) note(key string) {
	switch key {
	case "seq":
		a.seq = true
	case "actor":
		a.actor = true
	case "height":
		a.height = true
	case "cause":
		a.cause = true
	}
}

// New returns a handler that passes lines on to another, which must not have a
// level of its own above debug.
func New(to slog.Handler, l *Levels) slog.Handler { return &handler{to: to, levels: l} }

// Enabled implements slog.Handler. The actor of a line may be known later only.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	now := h.levels.now.Load()
	if h.actor != "" {
		return level >= now.of(h.actor)
	}
	return level >= now.lowest
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	actor, has := h.actor, h.has
	out := slog.NewRecord(r.Time, r.Level, cut(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if !h.group {
			has.note(a.Key)
			if a.Key == "actor" {
				actor = a.Value.Resolve().String()
			}
		}
		out.AddAttrs(bounded(a))
		return true
	})
	if r.Level < h.levels.now.Load().of(actor) {
		return nil
	}
	if has.seq && !h.group {
		h.complete(&out, has)
	}
	return h.to.Handle(ctx, out)
}

// complete adds what a line about an event lacks.
func (h *handler) complete(r *slog.Record, has attrs) {
	if !has.actor {
		r.AddAttrs(slog.String("actor", "node"))
	}
	if !has.height {
		if f := h.levels.height.Load(); f != nil {
			r.AddAttrs(slog.Uint64("height", (*f)()))
		} else {
			r.AddAttrs(slog.Uint64("height", 0))
		}
	}
	if !has.cause {
		r.AddAttrs(slog.String("cause", "none"))
	}
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(list []slog.Attr) slog.Handler {
	next := *h
	kept := make([]slog.Attr, 0, len(list))
	for _, a := range list {
		if !h.group {
			next.has.note(a.Key)
			if a.Key == "actor" {
				next.actor = a.Value.Resolve().String()
			}
		}
		kept = append(kept, bounded(a))
	}
	next.to = h.to.WithAttrs(kept)
	return &next
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.to = h.to.WithGroup(name)
	next.group = h.group || name != ""
	return &next
}

// bounded cuts what a value shows.
func bounded(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(cut(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case []byte:
			a.Value = slog.StringValue(fmt.Sprintf("%d bytes", len(v)))
		case error:
			a.Value = slog.StringValue(cut(v.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(cut(v.String()))
		default:
			a.Value = slog.StringValue(cut(fmt.Sprint(v)))
		}
	case slog.KindGroup:
		var list []slog.Attr
		for _, in := range a.Value.Group() {
			list = append(list, bounded(in))
		}
		a.Value = slog.GroupValue(list...)
	}
	return a
}

func cut(s string) string {
	if len(s) <= MaxText {
		return s
	}
	end := MaxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "") + fmt.Sprintf("… (%d bytes)", len(s))
}
