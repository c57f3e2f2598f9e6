// Command alys is the Alys node and its tools.
//
//	alys node --dev --data-dir D          run a development chain
//	alys replay --data-dir D              re-run every turn and compare
//	alys journal cat|verify --data-dir D  read the event log
//	alys status --data-dir D              heads, journal, warnings
//	alys migrate import|verify            take over a legacy node's store
//	alys config show                      every setting, its value and its origin
//	alys version
//
// The result of a command goes to stdout, progress and log to stderr. Every
// command that reads takes --json. Exit codes are in exit.go and in
// docs/operator.md.
//
// Commands that read a data directory work beside a running node: they ask it
// over its control socket for a checkpoint of the journal and read that.
package main
