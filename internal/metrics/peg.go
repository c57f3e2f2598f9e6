package metrics

import "github.com/AnduroProject/alys-go/internal/protocol/message"

// pegFact counts in legacy's terms what becomes of deposits and payments. (peg.md A14)
func (l *legacy) pegFact(m any) {
	switch m := m.(type) {
	case *message.PegInChanged:
		l.pegIn(m)
	case *message.PaymentChanged:
		if m.State == message.PaymentProposed && m.Root == l.produced {
			l.production.inc("pegouts_created", success)
		}
	}
}

func (l *legacy) pegIn(m *message.PegInChanged) {
	switch m.State {
	case message.PegInQueued:
		l.pegIns.inc("add")
		l.bitcoinMonitor.inc(unbounded, "queued")
	case message.PegInMinted:
		l.pegIns.inc("process")
		l.pegIns.inc("remove")
		l.pegInAmount.Add(float64(m.Amount))
	case message.PegInReorgedOut:
		l.pegIns.inc("remove")
	case message.PegInNone, message.PegInBelow:
		l.bitcoinMonitor.inc(unbounded, "ignored")
	}
}
