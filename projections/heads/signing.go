package heads

import (
	"fmt"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Signing says whether the node's signature is held, and why; after a release
// what ended the hold. The zero value is a node that never had an incident.
type Signing struct {
	Held       bool   `json:"held"`
	Incident   uint32 `json:"incident,omitempty"`
	Kind       string `json:"kind,omitempty"`        // of the incident
	After      uint64 `json:"after,omitempty"`       // last sequence that was kept
	SinceMs    int64  `json:"since_ms,omitempty"`    // Unix milliseconds
	Slot       uint64 `json:"slot,omitempty"`        // a carrier of a later slot, finalised without us, releases
	Text       string `json:"text,omitempty"`        // of the incident
	ReleasedBy string `json:"released_by,omitempty"` // "carrier" or "operator", in this run
	Reason     string `json:"reason,omitempty"`      // of the operator who released, or the carrier
}

// Take notes a hold; nil is none and changes nothing.
func (s *Signing) Take(h *message.SigningHold) {
	if h != nil {
		*s = Signing{Held: true, Incident: h.Incident, Kind: h.Kind, After: h.After, SinceMs: h.Time, Slot: h.Slot, Text: h.Text}
	}
}

func (s *Signing) release(m *message.SigningReleased) {
	s.Held, s.ReleasedBy, s.Reason = false, m.By, m.Reason
	if m.Reason == "" {
		s.Reason = fmt.Sprintf("block %d %s of slot %d was finalised by others", m.Number, m.Carrier, m.Slot)
	}
}

// Since names the hold: its incident and when it began.
func (s *Signing) Since() string {
	return fmt.Sprintf("%d, after event %d, %s", s.Incident, s.After, time.UnixMilli(s.SinceMs).UTC().Format(time.RFC3339))
}
