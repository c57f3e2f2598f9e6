// Package core is the contract between an actor core and the runtime that runs
// it: the turn, messages, outputs, state.
//
// A core is a deterministic state machine in a package of its own. For every
// message the runtime calls Handle with a state it may change, the message and
// the turn, and the core answers by outputs:
//
//	func (chain) Handle(s core.State, m core.Message, t core.Turn, out *core.Out) {
//		state := s.(*State)
//		switch m := m.(type) {
//		case *message.SlotTick:
//			state.slotTick(m, t, out)
//		}
//	}
//
// Guarantees of the runtime: turns run one after the other in journal order;
// the state passed is a clone, kept only when Handle returns; a panic ends the
// turn as failed and leaves the state of before. Duties of the core: no clock,
// random source, environment, file, socket, goroutine, floating point or map
// order may reach state or outputs (internal/archtest checks what can be
// checked). What a core needs of the outside comes in messages.
//
// Outputs are released in this order: sends are handled as further turns right
// away; effects and facts leave the process only when the turn is on disk.
package core
