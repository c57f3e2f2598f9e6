// Package health says whether a process lives and whether it can do its work.
//
//	b := health.NewBoard()
//	go b.Serve(ctx, listener, metricsHandler)  // GET /livez, /readyz, /metrics
//	b.Stage("replaying", 120, 5000)            // while it starts
//	b.Running()
//	b.Raise(health.DiskLow, "0.4 GiB free")    // and b.Clear(health.DiskLow)
//	b.Source(func() []health.Problem { ... })  // asked at each request
//
// Every problem is one of a closed list ([Problems]) with a severity and what to
// do about it, so that status, log, metric and readiness speak of the same things.
//
//	/livez   200 as long as the process answers
//	/readyz  200 {"ready":true,"reasons":[],"warnings":[…]}
//	         503 {"ready":false,"reasons":[{"code","text","do","since"}],"warnings":[…]}
//
// A Board may be used from any goroutine.
package health
