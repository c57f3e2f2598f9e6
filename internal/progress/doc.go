// Package progress shows how far a long job is, by time and not by count: a bar
// on a terminal, a log line every 8 seconds elsewhere, a summary at the end.
//
// # Usage
//
//	job := progress.Start("replay", progress.Options{Writer: os.Stderr, Logger: log, Unit: "seq", From: first})
//	defer job.Stop()
//	for ... {
//		job.Set(progress.Update{Done: seq, Total: head, Bytes: read, Height: height})
//	}
//
// A line on a terminal, after the bar:
//
//	replay seq=1,204,331/9,870,112 12.2% height=88120 rate=41k/s window=60s left≈3m31s
//
// and in a log, with plain numbers in base units:
//
//	level=INFO msg=replay seq=1204331 total=9870112 percent=12.2 height=88120 rate=41000 window_seconds=60 left_seconds=211
//
// # Guarantees
//
//   - Set is cheap enough for every event and safe from any goroutine.
//   - A job that stalls still writes its line, with a rate that falls to 0.
//   - The rate covers at most the last 60 seconds, so that what is left follows
//     the present speed. It is left out until it is known.
//   - Percentages are cut, not rounded: 100.0% is the end.
//   - After Stop nothing of the job is written any more.
//
// # Layout
//
//	meter.go     samples, rate, time left: pure, told the time
//	line.go      a state as text and as log attributes
//	progress.go  the job: goroutine, terminal, log
package progress
