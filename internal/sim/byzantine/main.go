// Command byzantine is a hostile peer: it connects over libp2p to nodes with the real edge of
// peers and the real cores, misbehaves in more than twenty ways, and says what the node did.
//
//	go run ./internal/sim/byzantine            # all, one after the other
//	go run ./internal/sim/byzantine flood gap  # some
//	go run ./internal/sim/byzantine -json
//
// Each behaviour gets a node of its own, which knows the first blocks of a chain with real
// signatures. It fails, with exit code 3, when the node does not count what it should, when memory
// or goroutines pass their bounds or remain, when a turn fails, or when another peer is
// not served afterwards. A panic of the node ends it: it lives in the same process.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

func main() {
	asJSON := flag.Bool("json", false, "print one JSON object a behaviour")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := all(ctx, flag.Args(), *asJSON)
	stop()
	os.Exit(code)
}

// all runs the behaviours of these names, or every one.
func all(ctx context.Context, names []string, asJSON bool) int {
	w, err := newWorld(time.Now())
	if err != nil {
		fmt.Fprintln(os.Stderr, "byzantine:", err)
		return 1
	}
	code := 0
	for _, b := range behaviours() {
		if len(names) > 0 && !slices.Contains(names, b.name) {
			continue
		}
		o, err := run(ctx, w, b)
		if err != nil {
			fmt.Fprintln(os.Stderr, "byzantine:", b.name+":", err)
			return 1
		}
		if o.Failure != "" {
			code = 3
		}
		if asJSON {
			_ = json.NewEncoder(os.Stdout).Encode(o)
		} else {
			fmt.Println(o)
		}
	}
	return code
}

// String is the outcome in a line.
func (o outcome) String() string {
	did := []string{"score " + fmt.Sprintf("%.1f", float64(o.Score)/1000)}
	if len(o.Acts) > 0 {
		did = append(did, "counts "+strings.Join(o.Acts, ", "))
	}
	if o.Banned {
		did = append(did, "banned")
	}
	if len(o.Left) > 0 {
		did = append(did, "left: "+strings.Join(o.Left, ", "))
	}
	if o.Failure != "" {
		did = append(did, "FAILS: "+o.Failure)
	}
	return fmt.Sprintf("%-18s %s: %s; +%d goroutines, +%.1f MiB, %d remain", o.Name, o.Does, strings.Join(did, "; "), o.Goroutines, float64(o.Heap)/(1<<20), o.Remaining)
}
