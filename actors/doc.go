// Package actors runs actor cores: one turn after the other, one journal event
// a turn.
//
// [Machine] is the deterministic half. It holds the cores, their states and the
// runtime's own state (sends not yet handled, effects without a result) and
// turns an [Input] into a journal event. It knows no clock, goroutine or disk,
// so the live node and replay run the same code:
//
//	machine, err := actors.NewMachine(id, cores, requests)
//	turn, err := machine.Step(actors.Input{Actor: "chain", Message: m, Time: now})
//
// [Runtime] is the live half: inbox, sequencer, release of effects and facts
// after the journal says that their turn is on disk, snapshots.
//
//	Submit ──► inbox ──► sequencer: Machine.Step ──► Journal.Append ──► durable ──► effects, facts
//	                         ▲  sends come first                                      │
//	                         └───────────────── results, by their cause ◄─────────────┘
//
// Guarantees: the journal's order is the order of execution; an effect leaves
// the process after its turn is synced to disk and never before; a handler that
// panics ends its own turn only; a result is taken once, for an effect that is
// pending; after a failed append nothing more is released and Run returns.
package actors
