package core

// Kind says what an output is.
type Kind uint8

// The kinds of outputs, as they stand in the journal.
const (
	Send   Kind = 1 // a message to another actor, handled as a turn of its own
	Fact   Kind = 2 // a published domain event; actors never see facts
	Effect Kind = 3 // a request to the outside; its result is a message
)

// Class says what becomes of an effect that a crash or restart interrupts.
type Class uint8

// The effect classes of architecture section 1.6.
const (
	UntilDone       Class = 1 // executed again until it has a result; idempotent
	Expiring        Class = 2 // after a restart answered by [Expired]
	FireAndForget   Class = 3 // has no result
	ConnectionBound Class = 4 // an answer that dies with its connection; has no result
)

// Pending reports whether an effect of class c stays pending until its result.
func (c Class) Pending() bool { return c == UntilDone || c == Expiring }

// String returns the class's name.
func (c Class) String() string {
	switch c {
	case UntilDone:
		return "until-done"
	case Expiring:
		return "expiring"
	case FireAndForget:
		return "fire-and-forget"
	case ConnectionBound:
		return "connection-bound"
	default:
		return "none"
	}
}

// Output is one send, fact or effect of a turn.
type Output struct {
	Kind    Kind
	Target  string // the actor of a send, the edge of an effect, empty for a fact
	Class   Class  // of an effect
	Message Message
}

// Out collects the outputs of a turn in order.
type Out struct{ list []Output }

// Send emits a message to another actor. It is handled before any input from outside.
func (o *Out) Send(to ID, m Message) {
	o.list = append(o.list, Output{Kind: Send, Target: string(to), Message: m})
}

// Fact publishes a domain event.
func (o *Out) Fact(m Message) {
	o.list = append(o.list, Output{Kind: Fact, Message: m})
}

// Effect requests something of the outside. The result, if the class has one,
// comes back to the emitting actor with this output as its cause.
func (o *Out) Effect(edge Edge, class Class, request Message) {
	o.list = append(o.list, Output{Kind: Effect, Target: string(edge), Class: class, Message: request})
}

// List returns the outputs in the order they were emitted.
func (o *Out) List() []Output { return o.list }

// Reset empties o and keeps its memory.
func (o *Out) Reset() { o.list = o.list[:0] }
