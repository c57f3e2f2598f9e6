// Package admit judges what peers say in gossip before it is forwarded or becomes a
// message: by its bytes, the federation's keys and the clock, and by no state of the
// chain.
//
// # Usage
//
//	a, err := admit.New(admit.Options{Chain: chain, Checks: memo, Work: work, Clock: time.Now})
//	r := a.Judge(admit.Heard{Topic: topic, Data: data, From: from, Author: author, Legacy: legacy})
//	switch r.Verdict { ... }
//	deliver(r.Message) // unless it is nil
//	for _, act := range r.Acts { report(act) }
//
// # Guarantees
//
//   - What is forwarded decodes, encodes again to the same bytes, and travels on its own
//     topic; its signatures hold; a proof of work in it is whole and, as far as its range
//     is known here, well formed. Anything else ends a legacy process that reads it.
//     (wire.md 9.7, P1)
//   - Signatures are checked through Checks, so that the core that asks again gets a
//     remembered answer.
//   - Whoever is blamed could have known: a legacy node forwards before it looks, so what
//     another one signed is its author's fault. (wire.md 9.2)
//   - Memory is bounded: by what is remembered of so many peers, ids and blocks.
//
// It is safe for concurrent use.
package admit
