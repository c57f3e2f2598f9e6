// Package metrics defines what a node counts about its work, for Prometheus. It
// has legacy's names, so that dashboards and alerts of running networks keep
// working, and ours beside them.
//
//	s := metrics.New()                     // every metric is there, with value 0
//	s.Fact(fact)                           // each durable fact, in order
//	s.Received(message)                    // each message that an edge admitted
//	s.Asked(edge, request)                 // each effect handed to an edge
//	s.Answered(edge, request, answer, d)   // its result
//	s.RPC("getheadblock", "ok", d)         // each call
//	promhttp.HandlerFor(s.Registry(), ...)
//
// Guarantees:
//   - All names of consensus.md C18 are there with the prefix alys_ and the label
//     names of legacy, also those without a source yet.
//   - No metric grows with the inputs: every label has a closed set of values, and
//     any other value counts as "other".
//   - Nothing here is asked of a core: the sources are facts and edges.
//
// A Set may be used from any goroutine. The metrics that are read from the
// running node's parts at a scrape (journal, runtime, scrubber) are defined in
// internal/node.
package metrics
