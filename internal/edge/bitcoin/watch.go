package bitcoin

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

const (
	// pollEvery is how often a node is asked for a new tip, as legacy does. (peg.md A1)
	pollEvery = time.Second
	// longestPause bounds the pause between attempts to reach a node that is away.
	longestPause = 10 * time.Second
	// tellAgain is after what time the same kind of trouble is told with another text.
	tellAgain = time.Minute
)

// Watch waits for a node: for blocks, and while it is away. Trouble is told once, by one
// message and one line of the log, however long it lasts. It may be used from any goroutine.
type Watch struct {
	reader *Reader
	log    *slog.Logger
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) bool // false when ctx ended before

	mu       sync.Mutex
	followed bool // an answer of this run said where the chain is
	trouble  fault.Grade
	reason   string
	told     time.Time
}

// NewWatch returns a watch over the node of a reader.
func NewWatch(r *Reader, log *slog.Logger) *Watch {
	return &Watch{reader: r, log: log, now: time.Now, sleep: sleep}
}

// Follow waits until a request has an answer: what is new, or that the node is away. It
// returns neither when ctx ends before.
func (w *Watch) Follow(ctx context.Context, m *message.FollowBitcoin) (*message.BitcoinFollowed, *message.BitcoinAway) {
	for pause := pollEvery; ; {
		followed, err := w.reader.Follow(ctx, m)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case err != nil:
			if away := w.away(err); away != nil {
				return nil, away
			}
			pause = min(2*pause, longestPause)
		case followed != nil:
			w.back(followed)
			return followed, nil
		default:
			pause = pollEvery
		}
		if !w.sleep(ctx, pause) {
			return nil, nil
		}
	}
}

// away notes trouble. It is nil when the same was told already.
func (w *Watch) away(err error) *message.BitcoinAway {
	grade, reason := fault.Temporary, err.Error()
	if fault.Is(err, fault.Invalid) {
		grade = fault.Invalid
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.trouble == grade && (w.reason == reason || w.now().Sub(w.told) < tellAgain)
	w.trouble, w.reason = grade, reason
	if same {
		return nil
	}
	w.told = w.now()
	w.log.Warn("Bitcoin cannot be followed, it is asked again", "error", err)
	return &message.BitcoinAway{Grade: uint8(grade), Reason: reason}
}

// back notes that the node answers.
func (w *Watch) back(f *message.BitcoinFollowed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trouble != 0 || !w.followed {
		w.log.Info("Bitcoin is followed", "tip", f.Tip.Height, "hash", f.Tip.Hash.String())
	}
	w.followed, w.trouble, w.reason = true, 0, ""
}

// Trouble says why the node cannot be followed; empty while it can.
func (w *Watch) Trouble() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reason
}

// Fetch waits for a transaction: it asks until the node gives it, or says that it does not
// have it. It returns neither when ctx ends before. enter is called before each attempt,
// and what it returns after it; it returns nil when ctx ends.
func (w *Watch) Fetch(ctx context.Context, m *message.FetchTransaction, enter func() (leave func())) (*message.TransactionFetched, *message.TransactionMissing) {
	for pause := pollEvery; ; pause = min(2*pause, longestPause) {
		leave := enter()
		if leave == nil {
			return nil, nil
		}
		fetched, err := w.reader.Fetch(ctx, m)
		leave()
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case err == nil:
			return fetched, nil
		case !fault.Is(err, fault.Temporary):
			return nil, &message.TransactionMissing{Txid: m.Txid, Block: m.Block, Reason: err.Error()}
		}
		if !w.sleep(ctx, pause) {
			return nil, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
