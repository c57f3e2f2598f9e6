package bridge_test

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

var payStates = []string{"", "proposed", "signing", "signed", "finalized", "broadcast", "mined", "confirmed", "abandoned", "replaced"}
var outStates = []string{"", "requested", "ignored", "carried", "proposed", "finalized", "confirmed", "reverted"}

// name returns the name of a block or a transaction; payments are numbered as they come.
func (m *member) name(hash [32]byte) string {
	if hash == [32]byte{} {
		return "-"
	}
	n, known := m.names[hash]
	if !known {
		m.pays++
		n = fmt.Sprint("pay", m.pays)
		m.names[hash] = n
	}
	return n
}

// note writes what concerns payments into the transcript.
func (m *member) note(o core.Output) {
	text := ""
	switch v := o.Message.(type) {
	case *message.PaymentChanged:
		text = fmt.Sprintf("%s %s, %d signers, by %s at %d", m.name(v.Txid), payStates[v.State], v.Signers, m.name(v.Root), v.Number)
		if v.BitcoinHeight > 0 {
			text += fmt.Sprintf(", in Bitcoin %d of %d", v.BitcoinHeight, v.BitcoinTip)
		}
		text += m.because(v.Reason)
	case *message.PegOutChanged:
		text = fmt.Sprintf("request %d of %d %s", v.Log, v.Amount, outStates[v.State])
		if v.Payment != (chainhash.Hash{}) {
			text += fmt.Sprintf(", pays %d by %s:%d", v.Paid, m.name(v.Payment), v.Output)
		}
		text += fmt.Sprintf(", %s at %d%s", m.name(v.Root), v.Number, m.because(v.Reason))
	case *message.PegAlarm:
		text = fmt.Sprintf("alarm %s: %s", v.Rule, m.renamed(v.Reason))
	case *message.PegHalted:
		text = "halted"
	case *message.PegResumed:
		text = "resumed"
	case *message.SignPayout:
		text = "-> sign " + m.name(v.Txid)
		for _, r := range v.Replaces {
			text += ", replaces " + m.name(r.Txid)
		}
	case *message.PublishSignatures:
		for _, p := range v.Payments {
			text += fmt.Sprintf("-> publish %d signatures of %s\n", len(p.Signatures), m.name(p.Txid))
		}
		m.heard = append(m.heard, v.Payments...)
		text = strings.TrimSuffix(text, "\n")
	case *message.FetchSignatures:
		text = "-> ask for signatures of"
		for _, p := range v.Payments {
			text += " " + m.name(p.Txid)
		}
	case *message.BroadcastTransaction:
		text = "-> broadcast " + m.name(v.Txid)
	case *message.PegJudged:
		m.judged = v
		text = fmt.Sprintf("judged %s: valid", m.name(v.Root))
		if v.Grade != 0 {
			text = fmt.Sprintf("judged %s: %s, %s%s", m.name(v.Root), fault.Grade(v.Grade), v.Rule, m.because(v.Reason))
		}
	case *message.PegPlanned:
		m.planned = v
	}
	if text != "" {
		m.out.WriteString(text + "\n")
	}
}

func (m *member) because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + m.renamed(reason)
}

// renamed writes names in place of the hashes in a text.
func (m *member) renamed(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefx", r) })
	for _, w := range words {
		switch {
		case len(w) == 66 && w[:2] == "0x":
			text = strings.ReplaceAll(text, w, m.name(common.HexToHash(w)))
		case len(w) == 64:
			if h, err := chainhash.NewHashFromStr(w); err == nil {
				text = strings.ReplaceAll(text, w, m.name(*h))
			}
		}
	}
	return text
}

// take returns the transcript since the last call.
func (m *member) take() string {
	defer m.out.Reset()
	return m.out.String()
}
