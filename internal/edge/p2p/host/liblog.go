package host

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/gologshim"
)

// libraryLog is where the libraries' own log goes: errors, as debug lines of the host that
// was opened last. They tell nothing that is not told by an error, or is a peer's doing.
type libraryLog struct {
	to    *atomic.Pointer[slog.Logger]
	attrs []slog.Attr
}

var lastOpened atomic.Pointer[slog.Logger]

func init() { gologshim.SetDefaultHandler(libraryLog{to: &lastOpened}) }

// Enabled implements slog.Handler.
func (l libraryLog) Enabled(ctx context.Context, level slog.Level) bool {
	to := l.to.Load()
	return level >= slog.LevelError && to != nil && to.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (l libraryLog) Handle(ctx context.Context, r slog.Record) error {
	to := l.to.Load()
	if to == nil {
		return nil
	}
	line := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	line.AddAttrs(l.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line.AddAttrs(a)
		return true
	})
	return to.Handler().Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (l libraryLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryLog{l.to, append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup implements slog.Handler.
func (l libraryLog) WithGroup(string) slog.Handler { return l }
