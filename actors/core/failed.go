package core

import "github.com/AnduroProject/alys-go/internal/protocol/record"

// Supervisor is the actor that hears of failed turns. Every program has one.
const Supervisor ID = "supervisor"

// ActorFailed tells the supervisor that a turn of another actor panicked. The
// runtime emits it as the only output of the failed turn.
type ActorFailed struct {
	Actor   string
	Message string // type of the message being handled
	Reason  string
}

// Type implements [Message].
func (*ActorFailed) Type() string { return "actor_failed" }

// Schema implements [Message].
func (*ActorFailed) Schema() uint32 { return 1 }

// Fields implements [record.Record].
func (a *ActorFailed) Fields(f *record.Fields) {
	f.String(1, &a.Actor)
	f.String(2, &a.Message)
	f.String(3, &a.Reason)
}
