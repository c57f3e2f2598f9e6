package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/log"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// expectedMessages are warnings and errors of go-ethereum about what a peer
// did, what this package does on purpose, or what it reports through its
// results. They are logged at debug level: an error in the log is for us.
var expectedMessages = []string{
	"\n########## BAD BLOCK",
	"Failed to load old bad blocks",
	"Impossible reorg, please file an issue",
	"Large chain reorg detected",
	"Final block not in canonical chain",
	"Final block not available in database",
	"Safe block not in canonical chain",
	"Safe block not available in database",
	"Failed to build payload",
	"Ignoring already known beacon payload",
	"State not available, ignoring new payload",
	"Ignoring payload with missing parent",
	"Fetching the unknown forkchoice head from network",
	"Could not retrieve unknown head from peers",
	"NewPayload: inserting block failed",
	"Invalid NewPayload params",
	"Invalid timestamp",
	"Marked new chain head as invalid",
	"P2P server will be useless",
	"Post-merge network, but no beacon client seen",
	"Beacon client online, but no consensus updates",
	"Unclean shutdown detected",
	"Head block is not reachable",
}

// The root logger of go-ethereum is one per process, so the sink and the count
// of guarded calls are too.
var (
	installOnce sync.Once
	sink        atomic.Pointer[logSink]
	guarded     atomic.Int32
)

type logSink struct {
	logger *slog.Logger
	level  slog.Level
}

// rootLogger hides the concrete type of go-ethereum's logger: with that type
// log.SetDefault would also replace the default logger of log/slog.
type rootLogger struct{ log.Logger }

// routeLog sends go-ethereum's log to logger from the given level up.
func routeLog(logger *slog.Logger, level slog.Level) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	sink.Store(&logSink{logger: logger, level: level})
	installOnce.Do(func() { log.SetDefault(rootLogger{log.NewLogger(&logHandler{})}) })
}

// criticalError is what go-ethereum reports just before it would end the
// process.
type criticalError struct{ text string }

// guard runs f. Should go-ethereum call log.Crit or panic on f's goroutine,
// guard returns a Corrupt error instead of letting the process end; the engine
// must not be used afterwards. A log.Crit on a goroutine of go-ethereum's own
// still ends the process, as nothing can return from it.
func guard(what string, f func() error) (err error) {
	guarded.Add(1)
	defer guarded.Add(-1)
	defer func() {
		switch r := recover().(type) {
		case nil:
		case criticalError:
			err = fault.New(fault.Corrupt, "%s: go-ethereum cannot go on: %s", what, r.text)
		default:
			err = fault.New(fault.Corrupt, "%s: go-ethereum panicked: %v", what, r)
		}
	}()
	return f()
}

// logHandler is the slog.Handler at go-ethereum's log root.
type logHandler struct{ attrs []slog.Attr }

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	s := sink.Load()
	return s != nil && level >= s.level
}

func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	s := sink.Load()
	if record.Level >= log.LevelCrit {
		s.logger.ErrorContext(ctx, "execution client: "+record.Message, args(h.attrs, record)...)
		if guarded.Load() > 0 {
			panic(criticalError{describe(record)})
		}
		return nil
	}
	level := record.Level
	if expected(record.Message) {
		level = slog.LevelDebug
	}
	if level >= s.level {
		s.logger.Log(ctx, level, "execution client: "+record.Message, args(h.attrs, record)...)
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{attrs: append(append([]slog.Attr(nil), h.attrs...), attrs...)}
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }

func expected(message string) bool {
	for _, prefix := range expectedMessages {
		if strings.HasPrefix(message, prefix) {
			return true
		}
	}
	return false
}

func args(attrs []slog.Attr, record slog.Record) []any {
	out := make([]any, 0, len(attrs)+record.NumAttrs())
	for _, a := range attrs {
		out = append(out, a)
	}
	record.Attrs(func(a slog.Attr) bool {
		out = append(out, a)
		return true
	})
	return out
}

func describe(record slog.Record) string {
	var b strings.Builder
	b.WriteString(record.Message)
	record.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	return b.String()
}
