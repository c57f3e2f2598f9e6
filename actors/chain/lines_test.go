package chain_test

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// name is how a block or its payload appears in transcripts.
func (r *rig) name(h common.Hash) string {
	if h == (common.Hash{}) {
		return "none"
	}
	if n, ok := r.names[h]; ok {
		return n
	}
	return "?" + h.Hex()[2:8]
}

// line describes an output; "" for what only repeats others.
func (r *rig) line(o core.Output) string {
	switch o.Kind {
	case core.Fact:
		return "fact " + r.fact(o.Message)
	case core.Effect:
		return fmt.Sprintf("%s (%s) %s", o.Target, o.Class, r.request(o.Message))
	default:
		if m, ok := o.Message.(*message.ChainMoved); ok {
			return fmt.Sprintf("-> miner reset=%t joined=%s final=%s pow=%s queued=%s",
				m.Reset, r.ids(m.Connected), r.name(m.Finalized.Root), r.name(m.LatestPow.Root), r.name(m.QueuedEnd))
		}
		if m, ok := o.Message.(*message.PeerFault); ok {
			return fmt.Sprintf("-> network fault of %s: %s, %s", m.Peer, m.Kind, r.readable(m.Detail))
		}
		return ""
	}
}

func (r *rig) ids(list []message.BlockID) string {
	var names []string
	for _, id := range list {
		names = append(names, r.name(id.Root))
	}
	return "[" + strings.Join(names, " ") + "]"
}

func (r *rig) fact(m core.Message) string {
	switch m := m.(type) {
	case *message.BlockConnected:
		s := fmt.Sprintf("connected %s #%d on %s", r.name(m.Root), m.Number, r.name(m.Parent))
		if m.Carrier {
			s += " carrier"
		}
		if m.Transactions > 0 {
			s += fmt.Sprintf(" txs=%d", m.Transactions)
		}
		if len(m.Fees) > 0 {
			s += fmt.Sprintf(" fees=%s", new(big.Int).SetBytes(m.Fees))
		}
		return s
	case *message.BlockReverted:
		return fmt.Sprintf("reverted %s #%d", r.name(m.Root), m.Number)
	case *message.HeadChanged:
		if m.Depth > 0 {
			return fmt.Sprintf("head %s #%d depth=%d from %s", r.name(m.Root), m.Number, m.Depth, r.name(m.Ancestor.Root))
		}
		return fmt.Sprintf("head %s #%d", r.name(m.Root), m.Number)
	case *message.ApprovalMade:
		if m.RangeEnd != (common.Hash{}) {
			return fmt.Sprintf("approved %s #%d, locked on %s", r.name(m.Root), m.Number, r.name(m.RangeEnd))
		}
		return fmt.Sprintf("approved %s #%d", r.name(m.Root), m.Number)
	case *message.ApprovalWithheld:
		return fmt.Sprintf("withheld from %s #%d (%s) by %s: %s", r.name(m.Root), m.Number, fault.Grade(m.Grade), m.Rule, r.readable(m.Reason))
	case *message.RangeLocked:
		return fmt.Sprintf("locked on %s to sign %d payments", r.name(m.RangeEnd), m.Payments)
	case *message.LockEnded:
		return fmt.Sprintf("lock on %s ended by %s", r.name(m.RangeEnd), m.By)
	case *message.StatementMade:
		return fmt.Sprintf("statement of member %d never to approve %s", m.Authority, r.name(m.RangeEnd))
	case *message.BranchExcluded:
		return fmt.Sprintf("branch excluded %s #%d: it leaves ours at %s, below %s", r.name(m.Root), m.Number, r.name(m.Ancestor.Root), r.name(m.Finalized.Root))
	case *message.BranchDecided:
		return fmt.Sprintf("branch decided %s #%d instead of %s, from %s: %s", r.name(m.Root), m.Number, r.name(m.Abandoned.Root), r.name(m.Ancestor.Root), m.Reason)
	case *message.BranchKept:
		return fmt.Sprintf("kept to %s #%d: %s", r.name(m.Root), m.Number, m.Reason)
	case *message.FinalityConflict:
		return fmt.Sprintf("finality conflict: %s by %s (%d approvals), %s by %s (%d approvals)", r.name(m.Ours.Root), r.name(m.OurCarrier),
			r.proven(m.OurProof), r.name(m.Other.Root), r.name(m.OtherCarrier), r.proven(m.OtherProof))
	case *message.BlockFinalized:
		return fmt.Sprintf("finalized %s #%d by %s", r.name(m.Root), m.Number, r.name(m.Carrier))
	case *message.BlockRefused:
		return fmt.Sprintf("refused %s #%d %s (%s): %s: %s", r.name(m.Root), m.Number, m.Origin, fault.Grade(m.Grade), m.Field, r.readable(m.Reason))
	case *message.SlotSkipped:
		return fmt.Sprintf("skipped slot %d: %s", m.Slot, r.readable(m.Reason))
	case *message.ClockStepped:
		return fmt.Sprintf("clock stepped %d ms, agreeing=%t", m.OffsetMs, m.Agreeing)
	case *message.WorkQueued:
		return fmt.Sprintf("work queued %s..%s height=%d", r.name(m.RangeStart), r.name(m.RangeEnd), m.Height)
	case *message.WorkDropped:
		return fmt.Sprintf("work dropped %s..%s: %s", r.name(m.RangeStart), r.name(m.RangeEnd), r.readable(m.Reason))
	case *message.BlockProduced:
		return fmt.Sprintf("produced %s #%d txs=%d carrier=%t", r.name(m.Root), m.Number, m.Transactions, m.Carrier)
	case *message.SigningHeld:
		return fmt.Sprintf("signing held: %s after %d, slot %d", m.Hold.Kind, m.Hold.After, m.Hold.Slot)
	case *message.SyncedChanged:
		if m.Synced {
			return fmt.Sprintf("synced: %d agree, %d needed", m.Members, m.Quorum)
		}
		return "not synced: " + r.readable(m.Needs)
	case *message.KeyInUse:
		return fmt.Sprintf("key of member %d in use: it signed %s of slot %d", m.Authority, r.name(m.Root), m.Slot)
	case *message.Equivocation:
		r.proof = append(r.proof, m)
		return fmt.Sprintf("member %d signed %s and %s, both of slot %d", m.Authority, r.name(m.First), r.name(m.Second), m.Slot)
	case *message.SyncAssumed:
		return fmt.Sprintf("assumed to be synced at %s: %s", r.name(m.Head.Root), m.Reason)
	case *message.SigningReleased:
		if m.Reason != "" {
			return fmt.Sprintf("signing released by %s: %s", m.By, m.Reason)
		}
		return fmt.Sprintf("signing released by %s %s #%d slot %d", m.By, r.name(m.Carrier), m.Number, m.Slot)
	case *message.LegacyImported:
		return fmt.Sprintf("legacy imported %s final=%s", r.name(m.Head.Root), r.name(m.Finalized.Root))
	case *message.LegacyDiffers:
		return fmt.Sprintf("legacy differs in %s: %s, ours %s", m.Field, r.readable(m.Legacy), r.readable(m.Ours))
	default:
		return m.Type()
	}
}

func (r *rig) request(m core.Message) string {
	switch m := m.(type) {
	case *message.ImportPayloads:
		var names []string
		for _, b := range m.Blocks {
			_, root, err := r.work.Decode(b.Signed.Data)
			if err != nil {
				r.t.Fatalf("a block to execute: %v", err)
			}
			names = append(names, r.name(root))
		}
		return fmt.Sprintf("import [%s]", strings.Join(names, " "))
	case *message.UpdateForkchoice:
		return fmt.Sprintf("forkchoice %s final=%s", r.name(m.Head), r.name(m.Finalized))
	case *message.BuildPayload:
		s := fmt.Sprintf("build slot %d on %s at %d final=%s", m.Slot, r.name(m.Parent), m.Timestamp, r.name(m.Finalized))
		for _, w := range m.Withdrawals {
			s += fmt.Sprintf(" %x:%d", w.Address[18:], w.Amount)
		}
		return s
	case *message.SignBlock:
		return fmt.Sprintf("sign %s #%d", r.name(m.Root), m.Number)
	case *message.SignApproval:
		return fmt.Sprintf("approve %s #%d", r.name(m.Root), m.Number)
	case *message.SignStatement:
		return fmt.Sprintf("state never to approve %s", r.name(m.RangeEnd))
	case *message.AuxBlock:
		if m.Error != "" {
			return "no work: " + m.Error
		}
		return fmt.Sprintf("work %s..%s bits=%08x height=%d previous=%s", r.name(m.RangeStart), r.name(m.RangeEnd), m.Bits, m.Height, r.name(m.PreviousBlock))
	case *message.AuxBlockJudged:
		if m.Accepted {
			return "proof accepted"
		}
		return "proof refused: " + r.readable(m.Reason)
	case *message.SigningAnswer:
		return fmt.Sprintf("answer released=%t %s", m.Released, m.Reason)
	case *message.OperatorAnswer:
		return strings.TrimSpace(fmt.Sprintf("answer done=%t %s", m.Done, r.readable(m.Reason)))
	case *message.StopProcess:
		return fmt.Sprintf("stop exit=%d: %s", m.Exit, r.readable(m.Reason))
	case *message.PublishBlock:
		_, root, _ := r.work.Decode(m.Signed.Data)
		return "publish block " + r.name(root)
	case *message.PublishApproval:
		return fmt.Sprintf("publish approval of %s by %d", r.name(m.Root), m.Authority)
	case *message.FetchApprovals:
		return fmt.Sprintf("ask for approvals of %s #%d", r.name(m.Root), m.Number)
	case *message.FetchBlocks:
		return fmt.Sprintf("fetch %s from #%d", r.name(m.Root), m.From)
	default:
		return m.Type()
	}
}

// proven counts the approvals in a proof.
func (r *rig) proven(c record.Content) int {
	b, _, err := r.work.Decode(r.content[c.Hash])
	if err != nil {
		r.t.Fatalf("a proof: %v", err)
	}
	return b.Approvals.Count()
}

var hash = regexp.MustCompile("0x[0-9a-f]{64}|[0-9a-f]{64}")

// readable puts names in place of the hashes in a text.
func (r *rig) readable(s string) string {
	return hash.ReplaceAllStringFunc(s, func(h string) string { return r.name(common.HexToHash(h)) })
}
