package core

import "github.com/AnduroProject/alys-go/internal/protocol/record"

// Expired is the result of an expiring effect that got none: the process was
// restarted, or its deadline passed.
type Expired struct {
	Reason string // "restart" or "deadline"
}

// Type implements [Message].
func (*Expired) Type() string { return "expired" }

// Schema implements [Message].
func (*Expired) Schema() uint32 { return 1 }

// Fields implements [record.Record].
func (e *Expired) Fields(f *record.Fields) { f.String(1, &e.Reason) }
