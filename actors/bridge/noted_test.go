package bridge

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

var pegInStates = map[uint8]string{
	message.PegInSeen: "seen", message.PegInConfirmed: "confirmed", message.PegInQueued: "queued", message.PegInProposed: "proposed",
	message.PegInMinted: "minted", message.PegInFinalized: "finalised", message.PegInReorgedOut: "reorged out", message.PegInNone: "none",
	message.PegInDouble: "double", message.PegInBelow: "below",
}

// note writes what an output says, without hashes that change.
func (g *ground) note(to string, m core.Message) {
	text := ""
	switch m := m.(type) {
	case *message.PegInChanged:
		text = fmt.Sprintf("peg-in %s %s: %d to %s, bitcoin %d of %d", g.name(m.Txid), pegInStates[m.State], m.Amount, account(m.Account), m.BitcoinHeight, m.BitcoinTip)
		if m.Root != (common.Hash{}) {
			text += ", in " + g.name(m.Root)
		}
		if m.Reason != "" {
			text += " (" + g.shorten(m.Reason) + ")"
		}
	case *message.WalletChanged:
		text = "wallet at " + g.name(m.Root) + totals(m.Totals)
	case *message.BitcoinTipChanged:
		text = fmt.Sprintf("bitcoin followed to %d %s of %d, rate %d, left %d", m.Height, g.name(m.Hash), m.NodeHeight, m.FeeRate, m.Reverted)
	case *message.BitcoinLost:
		text = fmt.Sprintf("bitcoin lost (%s): %s", fault.Grade(m.Grade), g.shorten(m.Reason))
	case *message.PegHalted:
		text = "halted: " + g.shorten(m.Reason)
	case *message.PegResumed:
		text = "resumed: " + m.Reason
	case *message.PegAlarm:
		text = "alarm " + m.Rule + ": " + g.shorten(m.Reason)
	case *message.FollowBitcoin:
		var known []string
		for _, id := range m.Known {
			known = append(known, fmt.Sprintf("%d", id.Height))
		}
		text = fmt.Sprintf("follow after [%s] or from %d", strings.Join(known, " "), m.From)
	case *message.FetchTransaction:
		text = "fetch " + g.name(m.Txid) + " of " + g.name(m.Block)
	case *message.StartTimer:
		text = fmt.Sprintf("timer %d", m.After)
	case *message.BitcoinCurrent:
		text = "bitcoin current"
		if !m.Current {
			text = "bitcoin not current: " + m.Reason
		}
	case *message.PegJudged:
		text = "judged " + g.name(m.Root) + ": valid"
		if m.Grade != 0 {
			text = fmt.Sprintf("judged %s: %s by %s: %s", g.name(m.Root), fault.Grade(m.Grade), m.Rule, g.shorten(m.Reason))
		}
	case *message.PegPlanned:
		text = fmt.Sprintf("planned on %s:", g.name(m.Parent))
		for _, id := range m.PegIns {
			text += " " + g.name(id.Txid)
		}
		for _, w := range m.Credits {
			text += fmt.Sprintf(" %s+%d", account(w.Address), w.Amount)
		}
		if m.Refused != "" {
			text += " refused: " + g.shorten(m.Refused)
		}
	case *message.OperatorAnswer:
		text = fmt.Sprintf("answer %d done=%t %s", m.Request, m.Done, m.Reason)
	default:
		text = m.Type()
	}
	fmt.Fprintf(&g.log, "%s %s\n", to, text)
}

func account(a common.Address) string { return fmt.Sprintf("@%x", a[18:]) }

func totals(t *message.PegTotals) string {
	var text strings.Builder
	field := func(name string, v int64) {
		if v != 0 {
			fmt.Fprintf(&text, " %s=%d", name, v)
		}
	}
	field("deposited", int64(t.Deposited))
	field("credited", int64(t.Credited))
	field("fetched", int64(t.Fetched))
	field("coins", int64(t.Coins))
	field("count", int64(t.CoinCount))
	field("paid", int64(t.Paid))
	field("stray", int64(t.Stray))
	field("fees", int64(t.BitcoinFees))
	field("user", int64(t.UserFees))
	field("drift", t.PoolDrift)
	field("requested", int64(t.Requested))
	field("pending", int64(t.Pending))
	field("ignored", int64(t.Ignored))
	field("dust", int64(t.Dust))
	field("unbacked", t.Unbacked)
	field("unknown", int64(t.Unknown))
	return text.String()
}

// name returns what a script calls a hash.
func (g *ground) name(hash [32]byte) string {
	if name, ok := g.names[hash]; ok {
		return name
	}
	for name, tx := range g.btc.txs {
		if tx.TxHash() == chainhash.Hash(hash) {
			return name
		}
	}
	for name, b := range g.btc.names {
		if b.header.BlockHash() == chainhash.Hash(hash) {
			return name
		}
	}
	return "?"
}

// shorten replaces the hashes in a reason.
func (g *ground) shorten(reason string) string {
	words := strings.FieldsFunc(reason, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefx", r) })
	for _, w := range words {
		if hash, err := chainhash.NewHashFromStr(w); err == nil && len(w) == 64 {
			reason = strings.ReplaceAll(reason, w, g.name(*hash))
		} else if len(w) == 66 {
			reason = strings.ReplaceAll(reason, w, g.name(common.HexToHash(w)))
		}
	}
	return reason
}
