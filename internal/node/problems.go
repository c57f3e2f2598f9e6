package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/projections/heads"
)

// A head is called old when it is behind the clock by oldHeadSlots slots and by
// oldHead: members that are away cost a few slots, and short slots are no hurry.
const (
	oldHeadSlots = 20
	oldHead      = time.Minute
)

// problems are those of the running node, asked at each request for health.
func (n *Node) problems() map[health.Code]string {
	p := n.chainProblems(n.view.snapshot())
	if n.scrubber != nil {
		if s := n.scrubber.Status(); s.Findings > 0 {
			p[health.StoredDamage] = "stored bytes are damaged, make a backup now and verify it: " + s.LastFinding
		}
	}
	if problem, behind := n.engine.state.now(); problem != "" {
		p[health.ExecutionAway] = "execution layer: " + problem
	} else if behind > 0 {
		p[health.ExecutionAway] = fmt.Sprintf("execution layer is behind: %d payloads are being fed", behind)
	}
	if n.bitcoin != nil {
		if reason := n.bitcoin.watch.Trouble(); reason != "" {
			p[health.BitcoinAway] = "Bitcoin: " + clip(reason)
		}
	}
	if reason := n.pegSigner.now(); reason != "" {
		p[health.PaymentsUnsigned] = clip(reason)
	}
	if text := n.contradictions(); text != "" {
		p[health.JournalContradicted] = text
	}
	n.pegProblems(p)
	n.peersProblems(p)
	if failed := n.runtime.Counts().Failed; failed > 0 {
		p[health.TurnsFailed] = fmt.Sprintf("%d turns failed in this run: see the log, and report it", failed)
	}
	if err := n.journal.Err(); err != nil {
		p[health.JournalFailed] = "the journal takes no more events: " + err.Error()
	}
	return p
}

func (n *Node) chainProblems(c heads.View) map[health.Code]string {
	p := make(map[health.Code]string)
	if c.Signing.Held {
		p[health.SigningHeld] = signingWarning(c.Signing)
	}
	if c.Excluded != nil {
		p[health.BranchExcluded] = c.Excluded.Text + ": it is followed by an operator's decision only"
	}
	if c.Conflict != nil {
		p[health.FinalityConflict] = c.Conflict.Text
	}
	if s := c.Synced; s != nil && !s.Synced {
		p[health.NotSynced] = "not synced, no block is made: " + clip(s.Needs)
	}
	if c.Members.KeyInUse != "" {
		p[health.KeyInUse] = c.Members.KeyInUse
	}
	if c.ClockStepped {
		p[health.ClockStepped] = "production is off: the wall clock moved against the monotonic clock; correct the clock or restart the node"
	}
	if n.config.Producing && c.LastSkip != "" && c.SlotsSkipped > c.Produced {
		p[health.SlotsPass] = "most slots pass without a block, the last because: " + c.LastSkip
	}
	if age, old := n.headAge(c, time.Now()); old && !n.config.Importing {
		p[health.Syncing] = fmt.Sprintf("the head, block %d, is %s behind the clock", c.Head.Number, age.Round(time.Second))
		if c.Head.Number == 0 {
			p[health.Syncing] = "there is no block above genesis yet"
		}
	}
	return p
}

// headAge is how long ago the head's time was, and whether that is too long.
func (n *Node) headAge(c heads.View, now time.Time) (age time.Duration, old bool) {
	age = now.Sub(time.Unix(int64(min(c.HeadTime, 1<<40)), 0))
	return age, age > oldHead && age > oldHeadSlots*n.slot
}

// warnings are the problems of now as text, the most severe first.
func (n *Node) warnings() []string {
	texts := []string{}
	p := n.problems()
	for _, k := range health.Problems() {
		if text, ok := p[k.Code]; ok {
			texts = append(texts, text)
			delete(p, k.Code)
		}
	}
	return append(texts, slices.Sorted(maps.Values(p))...)
}
