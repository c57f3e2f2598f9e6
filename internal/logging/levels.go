package logging

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// maxActors bounds the actors with a level of their own.
const maxActors = 64

// Levels are the lowest levels logged. They may change at any time, from any
// goroutine. Create them with [NewLevels].
type Levels struct {
	now    atomic.Pointer[levels]
	height atomic.Pointer[func() uint64]
}

type levels struct {
	all    slog.Level
	actors map[string]slog.Level
	lowest slog.Level
}

// NewLevels returns levels without one for an actor.
func NewLevels(all slog.Level) *Levels {
	l := &Levels{}
	l.now.Store(&levels{all: all, lowest: all})
	return l
}

// Set changes the level of an actor, or of all lines without one of their own
// when actor is empty. It is Invalid when too many actors have a level.
func (l *Levels) Set(actor string, level slog.Level) error {
	for {
		before := l.now.Load()
		after := &levels{all: before.all, actors: maps.Clone(before.actors)}
		if actor == "" {
			after.all = level
		} else {
			if after.actors == nil {
				after.actors = make(map[string]slog.Level)
			}
			after.actors[actor] = level
		}
		if len(after.actors) > maxActors {
			return fault.New(fault.Invalid, "%d actors have a log level of their own already", maxActors)
		}
		after.lowest = after.all
		for _, v := range after.actors {
			after.lowest = min(after.lowest, v)
		}
		if l.now.CompareAndSwap(before, after) {
			return nil
		}
	}
}

// SetAll changes the levels of actors to those of a text for [ParseActors].
func (l *Levels) SetAll(text string) error {
	list, err := ParseActors(text)
	for _, a := range list {
		if level, bad := ParseLevel(a.Level); bad == nil {
			err = l.Set(a.Actor, level)
		}
	}
	return err
}

// Height tells where to ask for the height of the head.
func (l *Levels) Height(f func() uint64) { l.height.Store(&f) }

// Level is the level of one actor.
type Level struct {
	Actor string `json:"actor"` // empty for all others
	Level string `json:"level"`
}

// List returns the levels, that of all first.
func (l *Levels) List() []Level {
	now := l.now.Load()
	out := []Level{{Level: name(now.all)}}
	for actor, level := range now.actors {
		out = append(out, Level{Actor: actor, Level: name(level)})
	}
	slices.SortFunc(out, func(a, b Level) int { return cmp.Compare(a.Actor, b.Actor) })
	return out
}

func name(l slog.Level) string { return strings.ToLower(l.String()) }

// of returns the level for a line of an actor.
func (n *levels) of(actor string) slog.Level {
	if v, ok := n.actors[actor]; ok && actor != "" {
		return v
	}
	return n.all
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(text string) (slog.Level, error) {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if text == name(l) {
			return l, nil
		}
	}
	return 0, fault.New(fault.Invalid, "log level %.40q: allowed is debug, info, warn or error", text)
}

// ParseActors reads levels by actor, such as "engine=debug,chain=warn", in the
// order of the text. The empty text is none.
func ParseActors(text string) ([]Level, error) {
	var out []Level
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		actor, level, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !ValidActor(actor) {
			return nil, fault.New(fault.Invalid, "%.60q: allowed is ACTOR=LEVEL, joined by commas", part)
		}
		if _, err := ParseLevel(level); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(l Level) bool { return l.Actor == actor }) {
			return nil, fault.New(fault.Invalid, "actor %s has two log levels", actor)
		}
		if out = append(out, Level{Actor: actor, Level: level}); len(out) > maxActors {
			return nil, fault.New(fault.Invalid, "more than %d actors", maxActors)
		}
	}
	return out, nil
}

// ValidActor reports whether a text can be the name of an actor or an edge.
func ValidActor(text string) bool {
	return text != "" && len(text) <= 32 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
